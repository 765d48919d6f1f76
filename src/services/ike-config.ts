/** Connections as text, shaped like swanctl's, and what IKE makes of them. */
import { type Address, formatAddress, parseAddress, parsePrefix } from '../base/address.js';
import { ConfigError } from '../base/errors.js';
import type { Interface } from '../net/interface.js';
import { type Auth, type ChildConfig, type Connection, parseIdentity } from '../net/ipsec/ike/connection.js';
import { DEFAULT_ESP, DEFAULT_IKE, parseProposal } from '../net/ipsec/ike/proposal.js';
import { rangeOf } from '../net/ipsec/selector.js';
import type { FromPacket } from '../net/ipsec/spd.js';
import type { TrafficSelector } from '../wire/ike-payload.js';

/** What a line of traffic selectors looks like, for descriptions. */
export const SELECTOR_FORM = "Prefixes, ranges, 'dynamic'; with '[tcp/443]' behind for a protocol and port.";

/** One side of a connection. */
export interface IkePeerSpec {
  /** Default 'psk'. */
  readonly auth?: 'psk' | 'pubkey';
  /** Default: the address of this side; of the peer any when left out. */
  readonly id?: string;
  /** PEM. Of ourselves our own, then what leads to the peer's authority. */
  readonly certs?: readonly string[];
  /** PEM, PKCS#8; our side only. */
  readonly key?: string;
  /** The kind of the key. Default 'ecdsa-256'. */
  readonly keyType?: 'rsa' | 'ecdsa-256' | 'ecdsa-384' | 'ecdsa-521' | 'ed25519';
  /** PEM: authorities that the peer's certificate must lead to; the peer's side only. */
  readonly cacerts?: readonly string[];
}

export interface IkeChildSpec {
  /** '10.1.0.0/24', '10.1.0.1-10.1.0.9', with a protocol and port '10.1.0.0/24[tcp/443]', or 'dynamic' for our address. Default 'dynamic'. */
  readonly localTs?: readonly string[];
  readonly remoteTs?: readonly string[];
  readonly espProposals?: readonly string[];
  readonly mode?: 'tunnel' | 'transport';
  /** Seconds; default 3,600. */
  readonly rekeyTime?: number;
  readonly rekeyBytes?: number;
  readonly replayWindow?: number;
  /** Octets to pad inner packets to. */
  readonly tfcPadding?: number;
  readonly startAction?: 'none' | 'trap' | 'start';
  /** An SA for each local address, remote address, protocol, pair of ports that asks for one: RFC 4301 §4.4.1.2. */
  readonly fromPacket?: readonly (keyof FromPacket)[];
  /** A route-based tunnel: the ipsec interface it belongs to. */
  readonly interface?: string;
}

export interface IkeConnectionSpec {
  /** Default: any of ours. */
  readonly localAddr?: string;
  /** Default: anybody; then the peer begins. */
  readonly remoteAddr?: string;
  readonly proposals?: readonly string[];
  /** Group 2, which RFC 8247 advises against: one large cloud still has it as its default. */
  readonly allowWeak?: boolean;
  readonly local?: IkePeerSpec;
  readonly remote?: IkePeerSpec;
  readonly children: Readonly<Record<string, IkeChildSpec>>;
  /** Seconds; default 30. */
  readonly dpdDelay?: number;
  /** Seconds; default 14,400. */
  readonly rekeyTime?: number;
  /** UDP encapsulation without a NAT. */
  readonly encap?: boolean;
  readonly fragmentation?: boolean;
  /** RFC 4555; default true. */
  readonly mobike?: boolean;
  /** With MOBIKE the peer refuses us behind a NAT. Default false. */
  readonly noNats?: boolean;
  /** Goes where the peer sends us (RFC 5685); default true. */
  readonly followRedirects?: boolean;
  /** Sends peers that begin, and can, to this gateway. */
  readonly redirectTo?: string;
  /** Ask for an inner address. */
  readonly vips?: boolean;
  /** Inner addresses to give: a prefix. */
  readonly pool?: string;
  readonly unique?: boolean;
}

export interface IkeSecretSpec {
  /** Identities it is for; default: all. */
  readonly ids?: readonly string[];
  readonly secret: string;
}

/** Addresses of one pool. */
const POOL_MAX = 4_096;
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, gre: 47, icmpv6: 58, sctp: 132 };

/** Reads a connection; throws ConfigError with a sentence that begins with the key at fault. */
export function readConnection(
  name: string,
  spec: IkeConnectionSpec,
  secrets: readonly IkeSecretSpec[],
  iface: (name: string) => Interface | null,
): Connection {
  const local = addressAt('localAddr', spec.localAddr);
  const remote = addressAt('remoteAddr', spec.remoteAddr);
  const localText = spec.local?.id ?? (local === null ? '' : formatAddress(local));
  if (localText === '') throw new ConfigError('local.id: needed where localAddr is not given');
  const remoteText = spec.remote?.id ?? (remote === null ? null : formatAddress(remote));
  const weak = spec.allowWeak ?? false;
  const ids = [localText, ...(remoteText === null ? [] : [remoteText])];
  return {
    name,
    localAddress: local,
    remoteAddress: remote,
    proposals: (spec.proposals ?? DEFAULT_IKE).map((p) => parseProposal(p, 'ike', weak)),
    localId: parseIdentity(localText),
    remoteId: remoteText === null ? null : parseIdentity(remoteText),
    localAuth: authOf('local', spec.local ?? {}, ids, secrets),
    remoteAuth: authOf('remote', spec.remote ?? {}, ids, secrets),
    children: Object.entries(spec.children).map(([child, c]) => childOf(child, c, spec, local, remote, iface)),
    dpdSeconds: spec.dpdDelay ?? 30,
    rekeySeconds: spec.rekeyTime ?? 14_400,
    encapsulate: spec.encap ?? false,
    fragmentation: spec.fragmentation ?? true,
    mobike: spec.mobike ?? true,
    noNats: spec.noNats ?? false,
    followRedirects: spec.followRedirects ?? true,
    redirectTo: addressAt('redirectTo', spec.redirectTo),
    virtualAddress: spec.vips === true ? 'request' : null,
    pool: spec.pool === undefined ? [] : poolOf(spec.pool),
    unique: spec.unique ?? true,
  };
}

function addressAt(key: string, text: string | undefined): Address | null {
  if (text === undefined || text === '%any') return null;
  const address = parseAddress(text);
  if (address === null) throw new ConfigError(`${key}: '${text}' is no address`);
  return address;
}

function authOf(side: 'local' | 'remote', spec: IkePeerSpec, ids: readonly string[], secrets: readonly IkeSecretSpec[]): Auth {
  if ((spec.auth ?? 'psk') === 'psk') {
    const found = secrets.find((s) => s.ids?.some((id) => ids.includes(id))) ?? secrets.find((s) => s.ids === undefined);
    if (found === undefined) throw new ConfigError(`${side}.auth: no secret for ${ids.join(', ')}`);
    return { method: 'psk', secret: new TextEncoder().encode(found.secret) };
  }
  if (side === 'local' && (spec.key === undefined || spec.certs === undefined)) throw new ConfigError("local: auth 'pubkey' needs certs and key");
  if (side === 'remote' && (spec.cacerts ?? []).length === 0) throw new ConfigError("remote: auth 'pubkey' needs cacerts");
  return {
    method: 'pubkey',
    certificates: (spec.certs ?? []).map(derOf),
    key: spec.key ?? null,
    kind: spec.keyType ?? 'ecdsa-256',
    anchors: (spec.cacerts ?? []).map(derOf),
  };
}

function derOf(pem: string): Uint8Array {
  const body = /-----BEGIN CERTIFICATE-----([\s\S]*?)-----END CERTIFICATE-----/.exec(pem)?.[1];
  if (body === undefined) throw new ConfigError('certs: not a certificate in PEM');
  return Uint8Array.from(atob(body.replace(/\s+/g, '')), (c) => c.charCodeAt(0));
}

function childOf(
  name: string,
  spec: IkeChildSpec,
  connection: IkeConnectionSpec,
  local: Address | null,
  remote: Address | null,
  iface: (name: string) => Interface | null,
): ChildConfig {
  const mode = spec.mode ?? 'tunnel';
  const bound = spec.interface === undefined ? null : iface(spec.interface);
  if (spec.interface !== undefined && bound === null) throw new ConfigError(`children.${name}.interface: no interface ${spec.interface}`);
  const everything = bound === null ? ['dynamic'] : ['0.0.0.0/0', '::/0'];
  return {
    name,
    mode,
    local: (spec.localTs ?? everything).map((text) => selectorAt(`children.${name}.localTs`, text, local, connection.vips === true)),
    remote: (spec.remoteTs ?? everything).map((text) => selectorAt(`children.${name}.remoteTs`, text, remote, connection.pool !== undefined)),
    proposals: (spec.espProposals ?? DEFAULT_ESP).map((p) => parseProposal(p, 'esp', connection.allowWeak ?? false)),
    rekeySeconds: spec.rekeyTime ?? 3_600,
    rekeyOctets: spec.rekeyBytes ?? 0,
    replayWindow: spec.replayWindow ?? 1_024,
    iface: bound,
    tfc: spec.tfcPadding ?? 0,
    fromPacket: spec.fromPacket === undefined ? null : Object.fromEntries(spec.fromPacket.map((which) => [which, true])),
    start: spec.startAction ?? 'none',
  };
}

/** One traffic selector. `any`: an address is still to be given, so that 'dynamic' allows all. Throws ConfigError that begins with `key`. */
export function selectorAt(key: string, text: string, dynamic: Address | null, any: boolean): TrafficSelector {
  const [, range = '', protocolText, portText] = /^([^[]+)(?:\[(\w+)(?:\/(\d+))?\])?$/.exec(text) ?? [];
  const protocol = protocolText === undefined ? 0 : (PROTOCOLS[protocolText] ?? Number(protocolText));
  if (!Number.isInteger(protocol) || protocol > 255) throw new ConfigError(`${key}: '${text}' names no protocol`);
  const [firstPort, lastPort] = portText === undefined ? [0, 65_535] : [Number(portText), Number(portText)];
  const ends = { protocol, firstPort, lastPort };
  if (range === 'dynamic') {
    const prefix = dynamic !== null && !any ? { address: dynamic, length: dynamic.isV4 ? 32 : 128 } : parsePrefix('0.0.0.0/0');
    return { ...ends, ...rangeOf(prefix as NonNullable<typeof prefix>) };
  }
  const dash = range.split('-');
  if (dash.length === 2) {
    const [first, last] = dash.map((part) => parseAddress(part));
    if (first != null && last != null && first.isV4 === last.isV4) return { ...ends, first, last };
  }
  const prefix = parsePrefix(range);
  if (prefix === null) throw new ConfigError(`${key}: '${text}' is neither a prefix nor a range nor 'dynamic'`);
  return { ...ends, ...rangeOf(prefix) };
}

function poolOf(text: string): Address[] {
  const prefix = parsePrefix(text);
  if (prefix === null || !prefix.address.isV4) throw new ConfigError(`pool: '${text}' is no IPv4 prefix`);
  const { first } = rangeOf(prefix);
  const size = Math.min(2 ** (32 - prefix.length), POOL_MAX + 2);
  // Neither the network's own address nor its broadcast.
  const [from, to] = prefix.length >= 31 ? [0, size] : [1, size - 1];
  return Array.from({ length: to - from }, (_, i) => {
    const address = first.clone();
    address.setV4((first.w3 + from + i) | 0);
    return address;
  });
}
