import { ConfigError } from '../base/errors.js';
import { FORWARDS_MAX, type ForwardSpec, type ProxyConfig, type ProxySpec } from '../services/relay/forwards.js';
import { opposite, parseListening, parsePlace } from '../services/relay/place.js';
import type { Config } from './config.js';
import { placeOf, type Schema, wrong } from './schema.js';
import { changes, reversed, type Section, type Step } from './section.js';

const max: Schema = { type: 'integer', minimum: 1, maximum: 65_535, description: 'Connections, or UDP peers, at a time. Default 256.' };
const listening = 'Where it listens, and nowhere else: host:127.0.0.1:8080, stack:10.0.0.2:80, stack:[2001:db8::2]:80.';

/** Ports of the host that lead into the stack's network, and the other way round. */
export const forwards: Section<'forwards'> = {
  key: 'forwards',
  schema: {
    type: 'array',
    maxItems: FORWARDS_MAX,
    description: "Ports of the host's network that lead to places of the stack's, and the other way round.",
    items: {
      type: 'object',
      properties: {
        from: { type: 'string', description: listening },
        to: { type: 'string', description: 'A place of the other network; a name is looked up there: stack:plant.example:80.' },
        protocol: { type: 'string', enum: ['tcp', 'udp'], description: "Default 'tcp'." },
        max,
        idle: { type: 'integer', minimum: 1, maximum: 86_400, description: 'Seconds a UDP peer may be silent. Default 300.' },
      },
      required: ['from', 'to'],
      additionalProperties: false,
    },
  },
  check({ forwards: all = [] }) {
    const seen = new Set<string>();
    for (const [i, spec] of all.entries()) {
      const place = placeOf('forwards', i);
      const from = placed(placeOf(place, 'from'), () => parseListening(spec.from));
      const to = placed(placeOf(place, 'to'), () => parsePlace(spec.to));
      if (to.side !== opposite(from.side)) wrong(place, `leads from the ${from.side} to the ${to.side}; one end is to be of the other network`);
      if (seen.has(keyOf(spec))) wrong(place, `listens at ${keyOf(spec)}, and so does another`);
      seen.add(keyOf(spec));
    }
  },
  difference: (before, after) =>
    changes(
      wanted(before),
      wanted(after),
      (w) => reversed(adding(w)),
      adding,
      (a, b) => JSON.stringify(a.spec) === JSON.stringify(b.spec),
    ),
};

interface Wanted {
  readonly place: string;
  readonly spec: ForwardSpec;
}

const keyOf = ({ from, protocol = 'tcp' }: ForwardSpec): string => `${protocol} ${from}`;
const wanted = ({ forwards: all = [] }: Config): Map<string, Wanted> =>
  new Map(all.map((spec, i) => [keyOf(spec), { place: placeOf('forwards', i), spec }]));
const adding = ({ place, spec }: Wanted): Step => ({
  place,
  run: ({ forward }) => forward.add(spec),
  undo: ({ forward }) => forward.del(spec),
});

/** What is no place says where it stands. */
function placed<T>(place: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(`${place}: ${error.message}`) : error;
  }
}

const proxyOf = (description: string): Schema => ({
  description,
  anyOf: [
    { type: 'string', description: listening },
    {
      type: 'object',
      properties: {
        listen: { type: 'string', description: listening },
        max,
        users: {
          type: 'object',
          additionalProperties: { type: 'string' },
          description: 'Passwords by user. Default: whoever reaches it may use it.',
        },
      },
      required: ['listen'],
      additionalProperties: false,
    },
  ],
});

/** A SOCKS 5 and an HTTP proxy. */
export const proxy: Section<'proxy'> = {
  key: 'proxy',
  schema: {
    type: 'object',
    description: 'Proxies that listen on one network and dial in the other.',
    properties: {
      socks5: proxyOf('SOCKS 5 (RFC 1928): CONNECT and UDP ASSOCIATE.'),
      http: proxyOf('HTTP (RFC 9110): CONNECT, and absolute http: URIs.'),
    },
    additionalProperties: false,
  },
  check({ proxy: all = {} }) {
    for (const [kind, spec] of Object.entries(all) as [keyof ProxyConfig, string | ProxySpec][]) {
      placed(placeOf('proxy', kind), () => parseListening(typeof spec === 'string' ? spec : spec.listen));
      for (const user of typeof spec === 'string' ? [] : Object.keys(spec.users ?? {}))
        if (user === '' || user.includes(':'))
          wrong(`${placeOf('proxy', kind)}.users`, `'${user}' is no name: it is empty, or has a colon (RFC 7617 §2)`);
    }
  },
  difference: (before, after) => changes(proxiesOf(before), proxiesOf(after), (p) => reversed(starting(p)), starting),
};

type Proxy = readonly [kind: keyof ProxyConfig, spec: string | ProxySpec];

const proxiesOf = ({ proxy: all = {} }: Config): Map<string, Proxy> => new Map((Object.entries(all) as Proxy[]).map((entry) => [entry[0], entry]));
const starting = ([kind, spec]: Proxy): Step => ({
  place: placeOf('proxy', kind),
  run: ({ forward }) => forward.startProxy(kind, spec),
  undo: ({ forward }) => forward.stopProxy(kind),
});
