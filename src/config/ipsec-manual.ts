import { type Address, parseAddress } from '../base/address.js';
import { ConfigError } from '../base/errors.js';
import type { Interface } from '../net/interface.js';
import { parseSuite } from '../net/ipsec/algorithms.js';
import { pairs } from '../net/ipsec/ike/connection.js';
import { NAT_PORT } from '../net/ipsec/nat-t.js';
import type { Sa, SaOptions } from '../net/ipsec/sa.js';
import type { Selector } from '../net/ipsec/selector.js';
import type { Policy, PolicyOptions } from '../net/ipsec/spd.js';
import { TunnelDevice } from '../net/ipsec/tunnel-device.js';
import type { Stack } from '../net/stack.js';
import { IkeService } from '../services/ike.js';
import { SELECTOR_FORM, selectorAt } from '../services/ike-config.js';
import { placeOf, type Schema } from './schema.js';
import type { Step } from './section.js';

/** A policy of the SPD (RFC 4301 §4.4.1). Its SAs name it. */
export interface PolicySpec {
  readonly action: 'bypass' | 'discard' | 'protect';
  /** Default: everything. */
  readonly localTs?: readonly string[];
  readonly remoteTs?: readonly string[];
  readonly direction?: 'in' | 'out' | 'both';
  /** Lower ones are asked first. Default 100. */
  readonly priority?: number;
  /** Only traffic of this interface. */
  readonly interface?: string;
  readonly vrf?: number;
}

/** An SA with keys by hand (RFC 4301 §4.5.1), one direction. */
export interface SaSpec {
  readonly direction: 'in' | 'out';
  /** Outer addresses. */
  readonly src: string;
  readonly dst: string;
  readonly spi: number | string;
  readonly protocol?: 'esp' | 'ah';
  readonly mode?: 'tunnel' | 'transport' | 'beet';
  readonly suite: string;
  readonly key: string;
  /** Counter modes, which repeat their nonces when the process starts anew. */
  readonly allowWeak?: boolean;
  /** The policy whose traffic it carries out, or the ipsec interface it belongs to. */
  readonly policy?: string;
  readonly interface?: string;
  /** Inner traffic it may carry. Default: any. */
  readonly localTs?: readonly string[];
  readonly remoteTs?: readonly string[];
  /** Inner addresses of BEET mode. */
  readonly inner?: { readonly src: string; readonly dst: string };
  readonly esn?: boolean;
  readonly replayWindow?: number;
  /** ESP in UDP: the peer's port; ours is 4,500. */
  readonly encapPort?: number;
  readonly df?: 'copy' | 'set' | 'clear';
  readonly copyDscp?: boolean;
  readonly tfcPadding?: number;
  readonly vrf?: number;
}

const text = (description: string): Schema => ({ type: 'string', description });
const flag = (description: string): Schema => ({ type: 'boolean', description });
const integer = (minimum: number, maximum: number, description: string): Schema => ({ type: 'integer', minimum, maximum, description });
const choice = (values: readonly string[], description: string): Schema => ({ type: 'string', enum: values, description });
const selectors = (description: string): Schema => ({ type: 'array', items: { type: 'string' }, description });
const vrf = integer(0, 65_535, 'The network it is of. Default 0.');
const textual = { type: 'string', pattern: '^0x[0-9a-fA-F]{1,8}$', description: 'hexadecimal after 0x' } as const;

/** Schema of one policy. */
export const policySchema: Schema = {
  type: 'object',
  description: 'A policy of the SPD. The first that matches decides.',
  properties: {
    action: choice(['bypass', 'discard', 'protect'], 'What becomes of the traffic.'),
    localTs: selectors(`${SELECTOR_FORM} Default: all.`),
    remoteTs: selectors('The same for the other side.'),
    direction: choice(['in', 'out', 'both'], "Of the traffic. Default 'both'."),
    priority: integer(-2_147_483_648, 2_147_483_647, 'Lower ones are asked first. Default 100.'),
    interface: text('Only traffic of this interface.'),
    vrf,
  },
  required: ['action'],
  additionalProperties: false,
};

/** Schema of one SA. */
export const saSchema: Schema = {
  type: 'object',
  description: 'An SA with keys by hand, one direction.',
  properties: {
    direction: choice(['in', 'out'], 'Seen from here.'),
    src: text('Outer source.'),
    dst: text('Outer destination.'),
    spi: { description: '256 or more; as text in hexadecimal.', anyOf: [integer(256, 4_294_967_295, 'A number.'), textual] },
    protocol: choice(['esp', 'ah'], "Default 'esp'."),
    mode: choice(['tunnel', 'transport', 'beet'], "Default 'tunnel'."),
    suite: text("The algorithms: 'aes128-sha256' or 'null-sha256' for ESP, 'sha256' for AH."),
    key: {
      type: 'string',
      pattern: '^(0x)?([0-9a-fA-F]{2})+$',
      description: 'Cipher key, salt and integrity key one after the other, in hexadecimal.',
    },
    allowWeak: flag('Counter modes with a fixed key, against RFC 8221 §3: their nonces come again when the process starts anew.'),
    policy: text('Outbound: the policy whose traffic it carries.'),
    interface: text('The ipsec interface it belongs to.'),
    localTs: selectors('Inner traffic it may carry. Default: any.'),
    remoteTs: selectors('The same for the other side.'),
    inner: {
      type: 'object',
      description: 'Inner addresses of BEET mode.',
      properties: { src: text('Source.'), dst: text('Destination.') },
      required: ['src', 'dst'],
      additionalProperties: false,
    },
    esn: flag('Extended sequence numbers. Default false.'),
    replayWindow: integer(0, 262_144, 'Sequence numbers, inbound. Default 64; 0: no replay protection.'),
    encapPort: integer(1, 65_535, "ESP in UDP: the peer's port. Ours is 4,500."),
    df: choice(['copy', 'set', 'clear'], "DF of the outer IPv4 header. Default 'copy'."),
    copyDscp: flag('The outer header shows the inner DSCP. Default true.'),
    tfcPadding: integer(0, 65_535, 'Octets that inner packets are padded to. Default 0.'),
    vrf,
  },
  required: ['direction', 'src', 'dst', 'spi', 'suite', 'key'],
  additionalProperties: false,
};

type Named = (name: string) => Interface | null;

const ALL = ['0.0.0.0/0', '::/0'];

function selectorsOf(localTs: readonly string[] = ALL, remoteTs: readonly string[] = ALL): readonly Selector[] {
  const read = (key: string, lines: readonly string[]) => lines.map((line) => selectorAt(key, line, null, false));
  return pairs(read('localTs', localTs), read('remoteTs', remoteTs));
}

/** What the stack takes. Throws ConfigError that begins with the key at fault; interfaces that `named` does not know are not complained of. */
export function readPolicy(name: string, spec: PolicySpec, named: Named): PolicyOptions {
  const { action, direction = 'both', priority = 100, vrf: network = 0 } = spec;
  const index = spec.interface === undefined ? 0 : (named(spec.interface)?.index ?? 0);
  return { name, action, direction, priority, vrf: network, index, selectors: selectorsOf(spec.localTs, spec.remoteTs) };
}

function addressOf(key: string, value: string): Address {
  const address = parseAddress(value);
  if (address === null) throw new ConfigError(`${key}: '${value}' is no address`);
  return address;
}

/** The same for an SA. */
export function readSa(name: string, spec: SaSpec, named: Named): SaOptions {
  const suite = parseSuite(spec.suite);
  const { cipher } = suite;
  // RFC 8221 §3. A counter starts anew with the process, and under the same key that gives the plain text away.
  if (cipher !== null && cipher.saltLength > 0 && spec.allowWeak !== true)
    throw new ConfigError(`suite: ${cipher.name} MUST NOT have a fixed key (RFC 8221 §3); 'aes128-sha256' may, and "allowWeak" permits it`);
  if (spec.policy !== undefined && spec.interface !== undefined) throw new ConfigError('policy: the SA belongs to an interface already');
  if (spec.policy !== undefined && spec.direction === 'in') throw new ConfigError('policy: what comes in is not sent by a policy');
  const { esn, replayWindow, df, copyDscp, tfcPadding: tfc, inner, localTs, remoteTs } = spec;
  return {
    name,
    direction: spec.direction,
    spi: Number(spec.spi),
    protocol: spec.protocol ?? 'esp',
    mode: spec.mode ?? 'tunnel',
    source: addressOf('src', spec.src),
    destination: addressOf('dst', spec.dst),
    suite,
    keys: Uint8Array.from(spec.key.replace(/^0x/, '').match(/../g) ?? [], (octet) => Number.parseInt(octet, 16)),
    vrf: spec.vrf ?? 0,
    selectors: localTs === undefined && remoteTs === undefined ? null : selectorsOf(localTs, remoteTs),
    iface: spec.interface === undefined ? null : named(spec.interface),
    encapsulation: spec.encapPort === undefined ? null : { localPort: NAT_PORT, remotePort: spec.encapPort },
    ...(inner === undefined ? {} : { inner: { source: addressOf('inner.src', inner.src), destination: addressOf('inner.dst', inner.dst) } }),
    ...(esn === undefined ? {} : { esn }),
    ...(replayWindow === undefined ? {} : { replayWindow }),
    ...(df === undefined ? {} : { df }),
    ...(copyDscp === undefined ? {} : { copyDscp }),
    ...(tfc === undefined ? {} : { tfc }),
  };
}

const policyNamed = (core: Stack, name: string): Policy | null => core.ipsec.spd.list().find((policy) => policy.name === name) ?? null;
const saNamed = (core: Stack, name: string): Sa | undefined => core.ipsec.sas().find((sa) => sa.name === name);

/** A policy comes, with the SAs that name it (`carriers`) and are there already: a changed policy leaves their sequence numbers alone. */
export function addingPolicy(name: string, spec: PolicySpec, carriers: readonly string[]): Step {
  return {
    place: placeOf('ipsec.policies', name),
    run({ core }) {
      const policy = core.ipsec.addPolicy(readPolicy(name, spec, (iface) => core.interfaces.named(iface)));
      for (const sa of core.ipsec.sas()) if (!sa.inbound && carriers.includes(sa.name)) policy.outbound.push(sa);
    },
    undo({ core }) {
      const policy = policyNamed(core, name);
      if (policy !== null) core.ipsec.removePolicy(policy);
    },
  };
}

/** An SA comes. */
export function addingSa(name: string, spec: SaSpec): Step {
  return {
    place: placeOf('ipsec.sas', name),
    run({ core }) {
      const options = readSa(name, spec, (iface) => core.interfaces.named(iface));
      const device = options.iface?.device;
      if (options.encapsulation != null && core.ipsec.driver === null) new IkeService(core); // it holds the port
      const policy = spec.policy !== undefined ? policyNamed(core, spec.policy) : device instanceof TunnelDevice ? device.policy : null;
      core.ipsec.addSa(options, spec.direction === 'out' ? policy : null);
    },
    undo({ core }) {
      const sa = saNamed(core, name);
      if (sa !== undefined) core.ipsec.removeSa(sa);
    },
  };
}
