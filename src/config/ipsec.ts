import { ConfigError } from '../base/errors.js';
import type { Connection } from '../net/ipsec/ike/connection.js';
import { unfit } from '../net/ipsec/ipsec.js';
import { IkeService } from '../services/ike.js';
import { type IkeConnectionSpec, type IkeSecretSpec, readConnection, SELECTOR_FORM } from '../services/ike-config.js';
import type { Config } from './config.js';
import { replaced } from './interfaces.js';
import { addingPolicy, addingSa, type PolicySpec, policySchema, readPolicy, readSa, type SaSpec, saSchema } from './ipsec-manual.js';
import { hint, placeOf, type Schema, wrong } from './schema.js';
import { changes, type Difference, reversed, type Section, type Step, type Target } from './section.js';

/** Policies, SAs by hand, IKEv2 connections, and what is not protected. */
export interface IpsecConfig {
  /** Traffic that no policy names. Default 'discard' (RFC 4301 §5), with route-based tunnels alone 'bypass': the routes are the policy. */
  readonly unmatched?: 'bypass' | 'discard';
  readonly policies?: Readonly<Record<string, PolicySpec>>;
  readonly sas?: Readonly<Record<string, SaSpec>>;
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
  localTs: texts(SELECTOR_FORM),
  remoteTs: texts('The same for the other side.'),
  espProposals: texts("As swanctl writes them: 'aes128gcm16-x25519'."),
  mode: { type: 'string', enum: ['tunnel', 'transport'], description: "Default 'tunnel'." },
  rekeyTime: count('Seconds. Default 3,600.'),
  rekeyBytes: count('Octets. Default: unlimited.'),
  replayWindow: { type: 'integer', minimum: 32, maximum: 262_144, description: 'Sequence numbers. Default 1,024.' },
  tfcPadding: count('Octets that inner packets are padded to. Default 0.'),
  startAction: { type: 'string', enum: ['none', 'trap', 'start'], description: "Default 'none'." },
  fromPacket: {
    type: 'array',
    items: { type: 'string', enum: ['local', 'remote', 'protocol', 'ports'] },
    description: 'Each SA carries only what is in these like the packet that asked for it: RFC 4301 §4.4.1.2 (PFP).',
  },
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
  mobike: flag('Tunnels follow when an end changes its address: RFC 4555. Default true.'),
  followRedirects: flag('Go where the peer sends us: RFC 5685. Default true.'),
  redirectTo: text('Another gateway to send peers to that begin, if they can be sent (RFC 5685). Default: none.'),
  noNats: flag('With MOBIKE the peer refuses us behind a NAT (RFC 4555 §3.9). Default false.'),
  vips: flag('Ask the peer for an inner address.'),
  pool: text('Inner addresses for peers that ask: a prefix.'),
  unique: flag('A peer that comes anew replaces its older IKE SA. Default true.'),
});

/** `"ipsec"`: one driver for all connections, begun with the first. */
export const ipsec: Section<'ipsec'> = {
  key: 'ipsec',
  schema: object('IPsec and IKEv2.', {
    unmatched: {
      type: 'string',
      enum: ['bypass', 'discard'],
      description:
        "What happens to traffic that no policy names: by RFC 4301 §5 and by default 'discard', but for IKE, neighbour discovery, and our own DHCP, IGMP and MLD. With route-based tunnels alone 'bypass': the routes are the policy.",
    },
    policies: { type: 'object', description: 'By name.', additionalProperties: policySchema },
    sas: { type: 'object', description: 'SAs with keys by hand, by name.', additionalProperties: saSchema },
    connections: { type: 'object', description: 'By name.', additionalProperties: connection },
    secrets: {
      type: 'array',
      description: 'Shared secrets.',
      items: object('One secret.', { ids: texts('Identities it is for. Default: all.'), secret: text('At least 16 octets of chance are advised.') }),
    },
  }),
  check({ ipsec: spec = {}, interfaces = {} }) {
    checkManual(spec, interfaces);
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
    const fresh = replaced(before, after);
    // Those of an interface that comes anew come with it.
    const same = <T extends { readonly on: readonly string[] }>(a: T, b: T): boolean =>
      JSON.stringify(a) === JSON.stringify(b) && !b.on.some((name) => fresh.has(name));
    const step = <T extends Placed>(placed: T): Step => placed.step();
    const gone = (placed: Placed): Step => reversed(placed.step());
    const [policies, sas, connections] = [policiesOf, sasOf, connectionsOf].map((of) => changes(of(before), of(after), gone, step, same));
    const parts = [policies, sas, connections] as readonly Difference[];
    const [was, is] = [unmatchedOf(before), unmatchedOf(after)];
    return {
      remove: parts.toReversed().flatMap((part) => part.remove),
      add: [...(was === is ? [] : [unmatched(was, is)]), ...parts.flatMap((part) => part.add)],
    };
  },
};

/** The RFC's default, where there is a policy it can be the end of. */
function unmatchedOf({ ipsec }: Config): 'bypass' | 'discard' {
  if (ipsec === undefined) return 'discard'; // as a stack begins
  const { unmatched: given, policies = {}, connections = {} } = ipsec;
  const routed = Object.values(connections).every((c) => Object.values(c.children ?? {}).every((child) => child.interface !== undefined));
  return given ?? (routed && Object.keys(policies).length === 0 ? 'bypass' : 'discard');
}

function checkManual({ policies = {}, sas = {}, connections = {} }: IpsecConfig, interfaces: NonNullable<Config['interfaces']>): void {
  const children = new Set(Object.values(connections).flatMap((c) => Object.keys(c.children ?? {})));
  const attempt = (place: string, read: () => void): void => {
    try {
      read();
    } catch (error) {
      if (error instanceof ConfigError) wrong(place, error.message);
      throw error;
    }
  };
  const checkInterface = (place: string, name: string | undefined): void => {
    if (name !== undefined && interfaces[name] === undefined)
      wrong(`${place}.interface`, `'${name}' is no interface${hint(name, Object.keys(interfaces))}`);
  };
  for (const [name, policy] of Object.entries(policies)) {
    const place = placeOf('ipsec.policies', name);
    if (children.has(name)) wrong(place, 'has the name of a child');
    checkInterface(place, policy.interface);
    attempt(place, () => void readPolicy(name, policy, () => null));
  }
  const checkTunnel = (place: string, name: string | undefined): void => {
    checkInterface(place, name);
    if (name !== undefined && interfaces[name]?.ipsec === undefined) wrong(`${place}.interface`, `'${name}' is no ipsec interface`);
  };
  for (const [name, c] of Object.entries(connections)) {
    const place = `${placeOf('ipsec.connections', name)}.children`;
    for (const [child, spec] of Object.entries(c.children ?? {})) checkTunnel(placeOf(place, child), spec.interface);
  }
  const taken = new Set<number>();
  for (const [name, sa] of Object.entries(sas)) {
    const place = placeOf('ipsec.sas', name);
    checkTunnel(place, sa.interface);
    if (sa.policy !== undefined && policies[sa.policy]?.action !== 'protect')
      wrong(`${place}.policy`, `'${sa.policy}' is no policy that protects${hint(sa.policy, Object.keys(policies))}`);
    attempt(place, () => {
      const problem = unfit(readSa(name, sa, () => null));
      if (problem !== null) throw new ConfigError(problem);
    });
    if (sa.direction === 'in' && taken.has(Number(sa.spi))) wrong(`${place}.spi`, 'is that of another inbound SA');
    if (sa.direction === 'in') taken.add(Number(sa.spi));
  }
}

function withoutInterfaces(c: IkeConnectionSpec): IkeConnectionSpec {
  const children = Object.entries(c.children ?? {}).map(([name, { interface: bound, ...rest }]) => {
    const all = bound === undefined ? {} : { localTs: rest.localTs ?? ['0.0.0.0/0'], remoteTs: rest.remoteTs ?? ['0.0.0.0/0'] };
    return [name, { ...rest, ...all }] as const;
  });
  return { ...c, children: Object.fromEntries(children) };
}

/** One entry: what it says, the interfaces it hangs from, and the step that adds it. */
interface Placed {
  readonly said: unknown;
  readonly on: readonly string[];
  step(): Step;
}

const entries = <T>(of: Readonly<Record<string, T>> = {}, placed: (name: string, spec: T) => Placed): Map<string, Placed> =>
  new Map(Object.entries(of).map(([name, spec]) => [name, placed(name, spec)]));
const named = (name: string | undefined): string[] => (name === undefined ? [] : [name]);

const policiesOf = ({ ipsec: { policies, sas = {} } = {} }: Config): Map<string, Placed> =>
  entries(policies, (name, spec) => {
    const carriers = Object.keys(sas).filter((sa) => sas[sa]?.policy === name);
    return { said: spec, on: named(spec.interface), step: () => addingPolicy(name, spec, carriers) };
  });

const sasOf = ({ ipsec: { sas } = {} }: Config): Map<string, Placed> =>
  entries(sas, (name, spec) => ({ said: spec, on: named(spec.interface), step: () => addingSa(name, spec) }));

const connectionsOf = ({ ipsec: { connections, secrets = [] } = {} }: Config): Map<string, Placed> =>
  entries(connections, (name, spec) => ({
    said: [spec, secrets],
    on: Object.values(spec.children ?? {}).flatMap((child) => named(child.interface)),
    step: () => adding(name, spec, secrets),
  }));

function unmatched(was: 'bypass' | 'discard', is: 'bypass' | 'discard'): Step {
  return {
    place: placeOf('ipsec', 'unmatched'),
    run: ({ core }) => void (core.ipsec.unmatched = is),
    undo: ({ core }) => void (core.ipsec.unmatched = was),
  };
}

function adding(name: string, spec: IkeConnectionSpec, secrets: readonly IkeSecretSpec[]): Step {
  return {
    place: `${placeOf('ipsec', 'connections')}.${name}`,
    run({ core }: Target) {
      if (spec.allowWeak === true)
        core.hyper.log('warn', `IKE connection ${name} allows group 2, which RFC 8247 §2.4 advises against: it can be broken`);
      const driver = core.ipsec.driver ?? new IkeService(core);
      driver.ike.add(readConnection(name, { ...spec, children: spec.children ?? {} }, secrets, (iface) => core.interfaces.named(iface)));
    },
    undo({ core }: Target) {
      const there: Connection | undefined = core.ipsec.driver?.ike.connection(name);
      if (there !== undefined) core.ipsec.driver?.ike.remove(there);
    },
  };
}
