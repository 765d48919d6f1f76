import type { ServiceName, ServiceSpecs } from '../services/services.js';
import type { Config } from './config.js';
import { replaced } from './interfaces.js';
import { hint, placeOf, type Schema, wrong } from './schema.js';
import { changes, reversed, type Section, type Step } from './section.js';

const names: Schema = { type: 'array', items: { type: 'string' }, minItems: 1, description: 'Interfaces it listens on. Default: all.' };
const port = (standard: number): Schema => ({ type: 'integer', minimum: 1, maximum: 65_535, description: `Default ${standard}.` });

/** True for the defaults, or an object. */
const optional = (description: string, properties: Readonly<Record<string, Schema>>): Schema => ({
  description,
  anyOf: [{ type: 'boolean' }, { type: 'object', properties, additionalProperties: false }],
});
/** One that listens. */
const service = (description: string, properties: Readonly<Record<string, Schema>>): Schema =>
  optional(description, { interfaces: names, ...properties });

const rate: Schema = { type: 'integer', minimum: 1, maximum: 10_000_000, description: 'UDP answers a second. Default 10,000.' };

/** The services every stack brings along, off unless named. */
export const services: Section<'services'> = {
  key: 'services',
  schema: {
    type: 'object',
    description: 'Services every stack brings along; off unless named.',
    properties: {
      echo: service('RFC 862, TCP and UDP port 7: sends back what comes.', { rate }),
      discard: service('RFC 863, TCP and UDP port 9: throws away what comes.', { rate }),
      chargen: service('RFC 864, TCP and UDP port 19: sends characters.', { rate }),
      http: service('The status page, its JSON and metrics, and a bulk source and sink. Read only.', {
        port: port(80),
        capture: { type: 'boolean', description: 'Whoever reaches the page may download what passes. Default false.' },
      }),
      otlp: optional('Metrics pushed to a collector: OTLP over HTTP, in JSON.', {
        url: { type: 'string', pattern: '^http://[^\\s]+$', description: 'an http: URL. Default http://127.0.0.1:4318/v1/metrics.' },
        on: { type: 'string', enum: ['host', 'stack'], description: "Whose network leads there. Default the host's." },
        interval: { type: 'number', minimum: 1, maximum: 86_400, description: 'Seconds between two pushes. Default 10.' },
        service: { type: 'string', description: "Resource attribute service.name. Default 'anystack'." },
      }),
      mdns: service('Multicast DNS: answers for NAME.local, and for services, on the link.', {
        host: {
          type: 'string',
          pattern: '^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$',
          description: "a label: 'plant' is plant.local. Default: the stack's name.",
        },
        services: {
          type: 'array',
          maxItems: 64,
          description: 'What this stack offers.',
          items: {
            type: 'object',
            properties: {
              name: {
                type: 'string',
                pattern: '^[^.\\u0000-\\u001f]{1,48}$',
                description: "a name for people, of at most 48 letters and without a dot: 'Boiler 2'",
              },
              type: { type: 'string', pattern: '^_[A-Za-z0-9-]{1,15}\\._(tcp|udp)$', description: "a type such as '_http._tcp'" },
              port: { type: 'integer', minimum: 1, maximum: 65_535, description: 'Where it listens.' },
              txt: { type: 'object', additionalProperties: { type: 'string' }, description: 'Keys and values for programs. RFC 6763 §6.' },
            },
            required: ['name', 'type', 'port'],
            additionalProperties: false,
          },
        },
      }),
      fpm: service('Forwarding Plane Manager: a routing engine, FRRouting, programs our tables.', {
        port: port(2_620),
        on: { type: 'string', enum: ['host', 'stack'], description: "Whose TCP it listens on. Default the host's." },
        address: { type: 'string', description: 'Of the host, where it listens. Default 127.0.0.1.' },
        ports: { type: 'object', additionalProperties: { type: 'string' }, description: "Our interfaces by the engine's interface numbers." },
        vrf: { type: 'integer', minimum: 0, maximum: 65_535, description: 'The network its routes belong to. Default 0.' },
        grace: {
          type: 'number',
          minimum: 0,
          maximum: 86_400,
          description: 'Seconds its routes outlive the connection, and a new one has to tell them again. Default 30.',
        },
        routesMax: { type: 'integer', minimum: 1, maximum: 8_000_000, description: 'Routes it may have. Default 2,000,000.' },
      }),
    },
    additionalProperties: false,
  },
  check({ services: all = {}, interfaces = {} }) {
    const url = typeof all.otlp === 'object' ? all.otlp.url : undefined;
    if (url !== undefined && !URL.canParse(url)) wrong('services.otlp.url', `'${url}' is no URL`);
    for (const [name, spec] of Object.entries(all)) {
      const listed = typeof spec === 'object' ? ((spec as { interfaces?: readonly string[] }).interfaces ?? []) : [];
      const known = ['lo', ...Object.keys(interfaces)];
      for (const [i, iface] of listed.entries()) {
        if (!known.includes(iface)) wrong(`${placeOf('services', name)}.interfaces[${i}]`, `'${iface}' is no interface${hint(iface, known)}`);
      }
    }
  },
  difference(before, after) {
    const fresh = replaced(before, after);
    const same = (a: Placed, b: Placed): boolean => JSON.stringify(a) === JSON.stringify(b) && !listedIn(a).some((name) => fresh.has(name));
    return changes(wanted(before), wanted(after), (s) => reversed(starting(s)), starting, same);
  },
};

interface Placed {
  readonly name: ServiceName;
  readonly spec: ServiceSpecs[ServiceName];
}

const listedIn = ({ spec }: Placed): readonly string[] => (typeof spec === 'object' && 'interfaces' in spec ? (spec.interfaces ?? []) : []);

function wanted({ services: all = {} }: Config): Map<string, Placed> {
  const on = Object.entries(all).filter(([, spec]) => spec !== false && spec !== undefined);
  return new Map(on.map(([name, spec]) => [name, { name: name as ServiceName, spec }]));
}

function starting({ name, spec = true }: Placed): Step {
  return {
    place: placeOf('services', name),
    run: ({ services: running }) => running.start(name, spec),
    undo: ({ services: running }) => running.stop(name),
  };
}
