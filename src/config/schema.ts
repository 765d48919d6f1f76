/**
 * JSON Schema, the part of it a configuration needs (draft 2020-12: type, const, enum, bounds, pattern, items, properties,
 * propertyNames, required, oneOf, anyOf), and a checker for it that answers in one sentence. A full validator takes 90 ms to
 * load and compile, a stack 0.3 ms to start; the tests hold this one against ajv on the same schema.
 */
import { ConfigError } from '../base/errors.js';
import { nearest } from '../net/sysctl.js';

export type JsonType = 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';

/** One schema. `description` ends up in editors and in docs. */
export interface Schema {
  readonly description?: string;
  readonly type?: JsonType;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  /** For keys that are none of `properties`, by their form. */
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly propertyNames?: Schema;
  readonly additionalProperties?: false | Schema;
  readonly required?: readonly string[];
  /** Of objects that differ in the constant of their key `type`, which chooses. */
  readonly oneOf?: readonly Schema[];
  /** Of values that differ in their JSON type, which chooses. */
  readonly anyOf?: readonly Schema[];
  /** A schema of $defs. `target` finds it, and JSON leaves functions out. */
  readonly $ref?: string;
  readonly target?: () => Schema;
  readonly $defs?: Readonly<Record<string, Schema>>;
}

/** Throws ConfigError where `value` does not fit: the place, what is wrong, and the nearest name where a name is unknown. */
export function checkSchema(schema: Schema, value: unknown, place = ''): void {
  if (schema.target !== undefined) {
    checkSchema(schema.target(), value, place);
    return;
  }
  if (schema.oneOf !== undefined) {
    checkByType(schema.oneOf, value, place);
    return;
  }
  if (schema.anyOf !== undefined) {
    const branch = schema.anyOf.find((s) => fitsType(s, value));
    if (branch === undefined) wrong(place, `is to be ${schema.anyOf.map(nounOf).join(' or ')}, not ${show(value)}`);
    checkSchema(branch, value, place);
    return;
  }
  if (!fitsType(schema, value)) wrong(place, `is to be ${nounOf(schema)}, not ${show(value)}`);
  if (schema.enum !== undefined) checkChoice(schema.enum, value, place);
  if (typeof value === 'number') checkNumber(schema, value, place);
  if (typeof value === 'string' && schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value)) {
    wrong(place, `${show(value)} is not ${schema.description ?? `of the form ${schema.pattern}`}`);
  }
  if (Array.isArray(value)) checkItems(schema, value, place);
  else if (isObject(value)) checkObject(schema, value, place);
}

/** A ConfigError in its usual form: 'interfaces.eth0.mtu is to be …'. The empty place is the whole configuration. */
export function wrong(place: string, what: string): never {
  throw new ConfigError(`${place === '' ? 'the configuration' : place} ${what}`);
}

/** A member's place: interfaces.eth0, routes[2], sysctl["net.ipv4.ip_forward"]. */
export function placeOf(parent: string, key: string | number): string {
  if (typeof key === 'number') return `${parent}[${key}]`;
  if (!/^[\w-]+$/.test(key)) return `${parent}[${JSON.stringify(key)}]`;
  return parent === '' ? key : `${parent}.${key}`;
}

/** ", did you mean 'via'?", or what there is when nothing is near. */
export function hint(word: string, known: readonly string[]): string {
  const best = nearest(word, known);
  const near = best !== '' && edits(word, best);
  return near ? `; did you mean '${best}'?` : `; there is ${known.join(', ')}`;
}

/** Near enough to be meant: they share more than half their letters in order, or one begins with the other. */
function edits(word: string, candidate: string): boolean {
  if (candidate.startsWith(word) || word.startsWith(candidate)) return true;
  let at = 0;
  let common = 0;
  for (const letter of word.toLowerCase()) {
    const found = candidate.toLowerCase().indexOf(letter, at);
    if (found < 0) continue;
    common++;
    at = found + 1;
  }
  return common * 2 > Math.max(word.length, candidate.length);
}

function checkByType(branches: readonly Schema[], value: unknown, place: string): void {
  if (!isObject(value)) wrong(place, `is to be an object with a 'type', not ${show(value)}`);
  const types = branches.map((b) => String(b.properties?.['type']?.const));
  if (value['type'] === undefined) wrong(place, `has no 'type'; there is ${types.join(', ')}`);
  const i = types.indexOf(String(value['type']));
  if (i < 0) wrong(placeOf(place, 'type'), `${show(value['type'])} is unknown${hint(String(value['type']), types)}`);
  checkSchema(branches[i] as Schema, value, place);
}

function checkChoice(choices: readonly unknown[], value: unknown, place: string): void {
  if (choices.includes(value)) return;
  wrong(place, `${show(value)} is unknown${hint(String(value), choices.map(String))}`);
}

function checkNumber({ minimum, maximum }: Schema, value: number, place: string): void {
  if (minimum !== undefined && value < minimum) wrong(place, `is to be at least ${minimum}, not ${value}`);
  if (maximum !== undefined && value > maximum) wrong(place, `is to be at most ${maximum}, not ${value}`);
}

function checkItems({ items, minItems, maxItems }: Schema, value: readonly unknown[], place: string): void {
  if (minItems !== undefined && value.length < minItems) wrong(place, `is to have at least ${minItems} entries, not ${value.length}`);
  if (maxItems !== undefined && value.length > maxItems) wrong(place, `is to have at most ${maxItems} entries, not ${value.length}`);
  if (items !== undefined) for (const [i, item] of value.entries()) checkSchema(items, item, placeOf(place, i));
}

function checkObject(schema: Schema, value: Readonly<Record<string, unknown>>, place: string): void {
  const { properties = {}, patternProperties = {}, additionalProperties, propertyNames, required = [] } = schema;
  const patterns = Object.entries(patternProperties).map(([pattern, member]) => [new RegExp(pattern, 'u'), member] as const);
  for (const key of required) if (value[key] === undefined) wrong(place, `has no '${key}'`);
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue;
    const at = placeOf(place, key);
    if (propertyNames !== undefined) checkSchema(propertyNames, key, at);
    const known = Object.hasOwn(properties, key) ? properties[key] : (patterns.find(([p]) => p.test(key))?.[1] ?? additionalProperties);
    if (known === false) wrong(at, `is unknown${hint(key, Object.keys(properties))}`);
    if (known !== undefined) checkSchema(known, member, at);
  }
}

function fitsType(schema: Schema, value: unknown): boolean {
  if ('const' in schema) return schema.const === value;
  switch (schema.type) {
    case undefined:
      return true;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === schema.type;
  }
}

const nouns: Record<JsonType, string> = {
  object: 'an object',
  array: 'a list',
  string: 'a string',
  integer: 'an integer',
  number: 'a number',
  boolean: 'true or false',
};

const nounOf = (schema: Schema): string => ('const' in schema ? show(schema.const) : nouns[schema.type as JsonType]);

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value as JSON, cut short. */
function show(value: unknown): string {
  if (isObject(value)) return 'an object';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
