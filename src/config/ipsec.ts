import { ConfigError } from '../base/errors.js';
import type { Connection } from '../net/ipsec/ike/connection.js';
import { IkeService } from '../services/ike.js';
import { type IkeConnectionSpec, type IkeSecretSpec, readConnection } from '../services/ike-config.js';
import type { Config } from './config.js';
import { placeOf, type Schema, wrong } from './schema.js';
import { changes, reversed, type Section, type Step, type Target } from './section.js';

/** IKEv2 connections and what is not protected. */
export interface IpsecConfig {
  /** Traffic that no policy names. Default 'bypass'. */
  readonly unmatched?: 'bypass' | 'discard';
  readonly connections?: Readonly<Record<string, IkeConnectionSpec>>;
  readonly secrets?: readonly IkeSecretSpec[];
}

const text = (description: string): Schema => ({ type: 'string', description });
const texts = (description: string): Schema => ({ type: 'array', items: { type: 'string' }, description });
const flag = (description: string): Schema => ({ type: 'boolean', description });
const count = (description: string): Schema => ({ type: 'integer', minimum: 0, maximum: 4_294_967_295, description });
const object = (description: string, properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  description,
  properties,
  additionalProperties: false,
});

const side = (description: string): Schema =>
  object(description, {
    auth: { type: 'string', enum: ['psk', 'pubkey'], description: "Default 'psk'." },
    id: text('Default: the address; of the peer any, where it has none.'),
    certs: texts('Certificates in PEM: our own, then what leads to the authority.'),
    key: text('Our private key, PKCS#8 in PEM.'),
    keyType: { type: 'string', enum: ['rsa', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'ed25519'], description: "Default 'ecdsa-256'." },
    cacerts: texts("Authorities that the peer's certificate must lead to, in PEM."),
  });

const child = object('What one pair of ESP SAs carries.', {
  localTs: texts("Prefixes, ranges, 'dynamic'; with '[tcp/443]' behind for a protocol and port."),
  remoteTs: texts('The same for the other side.'),
  espProposals: texts("As swanctl writes them: 'aes128gcm16-x25519'."),
  mode: { type: 'string', enum: ['tunnel', 'transport'], description: "Default 'tunnel'." },
  rekeyTime: count('Seconds. Default 3,600.'),
  rekeyBytes: count('Octets. Default: unlimited.'),
  replayWindow: { type: 'integer', minimum: 32, maximum: 262_144, description: 'Sequence numbers. Default 1,024.' },
  tfcPadding: count('Octets that inner packets are padded to. Default 0.'),
  startAction: { type: 'string', enum: ['none', 'trap', 'start'], description: "Default 'none'." },
  interface: text('The ipsec interface of a route-based tunnel.'),
});

const connection = object('One IKEv2 peer.', {
  localAddr: text('Default: any of ours.'),
  remoteAddr: text('Default: anybody; the peer begins then.'),
  proposals: texts("As swanctl writes them: 'aes128gcm16-prfsha256-x25519'."),
  allowWeak: flag('Allow group 2, against the advice of RFC 8247.'),
  local: side('Ourselves.'),
  remote: side('The peer.'),
  children: { type: 'object', description: 'By name.', additionalProperties: child },
  dpdDelay: count('Seconds without a sign of life before one is asked for. Default 30; 0: never.'),
  rekeyTime: count('Seconds. Default 14,400; 0: never.'),
  encap: flag('UDP encapsulation even without a NAT.'),
  fragmentation: flag('RFC 7383. Default true.'),
  vips: flag('Ask the peer for an inner address.'),
  pool: text('Inner addresses for peers that ask: a prefix.'),
  unique: flag('A peer that comes anew replaces its older IKE SA. Default true.'),
});

/** `"ipsec"`: one driver for all connections, begun with the first. */
export const ipsec: Section<'ipsec'> = {
  key: 'ipsec',
  schema: object('IPsec and IKEv2.', {
    unmatched: { type: 'string', enum: ['bypass', 'discard'], description: "What happens to traffic that no policy names. Default 'bypass'." },
    connections: { type: 'object', description: 'By name.', additionalProperties: connection },
    secrets: {
      type: 'array',
      description: 'Shared secrets.',
      items: object('One secret.', { ids: texts('Identities it is for. Default: all.'), secret: text('At least 16 octets of chance are advised.') }),
    },
  }),
  check({ ipsec: spec = {} }) {
    for (const [name, c] of Object.entries(spec.connections ?? {})) {
      try {
        // Interfaces are looked at when it is applied.
        readConnection(name, withoutInterfaces(c), spec.secrets ?? [], () => null);
      } catch (error) {
        if (error instanceof ConfigError) wrong(`${placeOf('ipsec', 'connections')}.${name}`, error.message);
        throw error;
      }
    }
  },
  difference(before, after) {
    const of = changes(wanted(before), wanted(after), (c) => reversed(adding(c)), adding);
    const [was, is] = [before.ipsec?.unmatched ?? 'bypass', after.ipsec?.unmatched ?? 'bypass'];
    return was === is ? of : { remove: of.remove, add: [unmatched(was, is), ...of.add] };
  },
};

function withoutInterfaces(c: IkeConnectionSpec): IkeConnectionSpec {
  const children = Object.entries(c.children ?? {}).map(([name, { interface: bound, ...rest }]) => {
    const all = bound === undefined ? {} : { localTs: rest.localTs ?? ['0.0.0.0/0'], remoteTs: rest.remoteTs ?? ['0.0.0.0/0'] };
    return [name, { ...rest, ...all }] as const;
  });
  return { ...c, children: Object.fromEntries(children) };
}

interface Placed {
  readonly name: string;
  readonly spec: IkeConnectionSpec;
  readonly secrets: readonly IkeSecretSpec[];
}

function wanted({ ipsec: spec = {} }: Config): Map<string, Placed> {
  const secrets = spec.secrets ?? [];
  return new Map(Object.entries(spec.connections ?? {}).map(([name, c]) => [name, { name, spec: c, secrets }]));
}

function unmatched(was: 'bypass' | 'discard', is: 'bypass' | 'discard'): Step {
  return {
    place: placeOf('ipsec', 'unmatched'),
    run: ({ core }) => void (core.ipsec.unmatched = is),
    undo: ({ core }) => void (core.ipsec.unmatched = was),
  };
}

function adding({ name, spec, secrets }: Placed): Step {
  return {
    place: `${placeOf('ipsec', 'connections')}.${name}`,
    run({ core }: Target) {
      const driver = core.ipsec.driver ?? new IkeService(core);
      driver.ike.add(readConnection(name, { ...spec, children: spec.children ?? {} }, secrets, (iface) => core.interfaces.named(iface)));
    },
    undo({ core }: Target) {
      const there: Connection | undefined = core.ipsec.driver?.ike.connection(name);
      if (there !== undefined) core.ipsec.driver?.ike.remove(there);
    },
  };
}
