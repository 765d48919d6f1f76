import type { Schema } from '#src/config/schema.js';

/** A cell of a table: one line, bars escaped. */
export const cell = (text: string): string => text.replaceAll('|', '\\|').replace(/\s+/g, ' ').trim();

/** What may stand there, in a few words. */
export function kindOf(schema: Schema): string {
  if (schema.target !== undefined || schema.$ref !== undefined) return `[${refName(schema)}](#${refName(schema)})`;
  if ('const' in schema) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${String(word)}\``).join(', ');
  if (schema.oneOf !== undefined) return `object with a \`type\`: ${schema.oneOf.map((one) => `\`${typeOf(one)}\``).join(', ')}`;
  if (schema.anyOf !== undefined) return schema.anyOf.map(kindOf).join(' or ');
  if (schema.type === 'array') return `list${schema.items === undefined ? '' : ` of ${kindOf(schema.items)}`}`;
  return `${schema.type ?? 'anything'}${range(schema)}`;
}

const refName = (schema: Schema): string => (schema.$ref ?? '').split('/').at(-1) ?? '';
const typeOf = (schema: Schema): string => String(schema.properties?.['type']?.const);

function range({ minimum, maximum }: Schema): string {
  if (minimum === undefined && maximum === undefined) return '';
  if (maximum === undefined) return ` from ${minimum}`;
  return minimum === undefined ? ` up to ${maximum}` : ` ${minimum} to ${maximum}`;
}

/** One row of a table of keys. */
interface Row {
  readonly key: string;
  readonly kind: string;
  readonly text: string;
}

/** All keys under a schema, each with its path: `interfaces.NAME.mtu`, `routes[].to`. */
function rows(schema: Schema, at: string, required: boolean): Row[] {
  const note = [schema.default === undefined ? '' : `Default \`${JSON.stringify(schema.default)}\`.`, required ? 'Needed.' : ''];
  const text = [schema.description ?? '', ...note].filter((part) => part !== '').join(' ');
  const row: Row = { key: at, kind: kindOf(schema), text };
  const members = below(schema, at);
  return [row, ...members];
}

function below(schema: Schema, at: string): Row[] {
  if (schema.$ref !== undefined) return [];
  if (schema.oneOf !== undefined) return schema.oneOf.flatMap((one) => object(one, `${at}(${typeOf(one)})`));
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap((one) => below(one, at));
  if (schema.type === 'array' && schema.items !== undefined) return below(schema.items, `${at}[]`);
  return object(schema, at);
}

function object(schema: Schema, at: string): Row[] {
  const { properties = {}, required = [], additionalProperties } = schema;
  const named = Object.entries(properties)
    .filter(([key, member]) => !(key === 'type' && 'const' in member))
    .flatMap(([key, member]) => rows(member, `${at}.${key}`, required.includes(key)));
  const any = typeof additionalProperties === 'object' ? rows(additionalProperties, `${at}.NAME`, false) : [];
  return [...named, ...any];
}

/** The table of everything under a section. */
export function keyTable(schema: Schema, at: string): string[] {
  const all = below(schema, at);
  if (all.length === 0) return [];
  const lines = all.map(({ key, kind, text }) => `| \`${cell(key)}\` | ${cell(kind)} | ${cell(text)} |`);
  return ['| Key | Value | Meaning |', '| --- | --- | --- |', ...lines];
}
