/** What a configuration says of IKE peers: swanctl's connections and children, made ready. */
import { type Address, compareAddresses, parseAddress } from '../../../base/address.js';
import { addressOctets, IdType, type TrafficSelector } from '../../../wire/ike-payload.js';
import type { Interface } from '../../interface.js';
import type { Mode } from '../sa.js';
import { type FlowKey, OPAQUE, type Selector } from '../selector.js';
import type { FromPacket } from '../spd.js';
import { formatName, parseName } from './distinguished-name.js';
import type { ProposalSpec } from './proposal.js';

/** Who somebody is: RFC 7296 §3.5. `data` is the payload's. */
export interface Identity {
  readonly type: number;
  readonly data: Uint8Array;
  readonly text: string;
}

/** How somebody proves it. */
export type Auth =
  | { readonly method: 'psk'; readonly secret: Uint8Array }
  | {
      readonly method: 'pubkey';
      /** DER; of ourselves with what leads to an anchor of the peer behind it. */
      readonly certificates: readonly Uint8Array[];
      /** PKCS#8 as PEM or DER; null for the peer. */
      readonly key: string | Uint8Array | null;
      /** The kind of our key: 'rsa', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521' or 'ed25519'. */
      readonly kind: string;
      /** Authorities that the peer's certificate must lead to. */
      readonly anchors: readonly Uint8Array[];
    };

/** What one child is to carry, and how. */
export interface ChildConfig {
  readonly name: string;
  readonly mode: Mode;
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
  readonly proposals: readonly ProposalSpec[];
  /** Soft lifetimes; the hard ones are a tenth above. 0: none. */
  readonly rekeySeconds: number;
  readonly rekeyOctets: number;
  readonly replayWindow: number;
  /** Inbound SAs belong to this interface and no policy is made: a route-based tunnel. */
  readonly iface: Interface | null;
  readonly tfc: number;
  /** Each SA carries only what is like the packet that asked for it; null: all that the selectors allow. RFC 4301 §4.4.1.2 (PFP). */
  readonly fromPacket: FromPacket | null;
  /** 'trap': when traffic asks for it; 'start': at once; 'none': when told to, or by the peer. */
  readonly start: 'none' | 'trap' | 'start';
}

/** A child to be made, and the selectors to offer for it. */
export interface WantedChild {
  readonly config: ChildConfig;
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
}

/** All that the configuration allows. */
export const wholeChild = (config: ChildConfig): WantedChild => ({ config, local: config.local, remote: config.remote });

/**
 * For a packet that found no SA: with PFP only what is like it, else all that is allowed with the packet's own values in
 * front, by which the peer may choose when it has to narrow (RFC 7296 §2.9).
 */
export function childFor(config: ChildConfig, flow: FlowKey): WantedChild {
  const { fromPacket } = config;
  const { local = false, remote = false, protocol = false, ports = false } = fromPacket ?? { local: true, remote: true, protocol: true, ports: true };
  const like = (configured: readonly TrafficSelector[], address: Address, port: number, exact: boolean): TrafficSelector[] => {
    const [firstPort, lastPort] = !ports ? [0, 65_535] : port === OPAQUE ? [65_535, 0] : [port, port];
    const packet = { protocol: protocol || ports ? flow.protocol : 0, firstPort, lastPort };
    const ranges = exact ? [{ first: address.clone(), last: address.clone() }] : configured.filter((s) => s.first.isV4 === address.isV4);
    const own = narrow(
      ranges.map(({ first, last }) => ({ ...packet, first, last })),
      configured,
    );
    return fromPacket === null ? [...own, ...configured] : own;
  };
  return { config, local: like(config.local, flow.local, flow.localPort, local), remote: like(config.remote, flow.remote, flow.remotePort, remote) };
}

/** One peer, or one kind of peer. */
export interface Connection {
  readonly name: string;
  /** Null: any of ours. */
  readonly localAddress: Address | null;
  /** Null: anybody; such a connection only answers. */
  readonly remoteAddress: Address | null;
  readonly proposals: readonly ProposalSpec[];
  readonly localId: Identity;
  /** Null: any identity that can authenticate. */
  readonly remoteId: Identity | null;
  readonly localAuth: Auth;
  readonly remoteAuth: Auth;
  readonly children: readonly ChildConfig[];
  /** Seconds without a sign of life before one is asked for; 0: never. RFC 7296 §2.4. */
  readonly dpdSeconds: number;
  /** Soft lifetime of the IKE SA; 0: none. */
  readonly rekeySeconds: number;
  /** UDP encapsulation even without a NAT. */
  readonly encapsulate: boolean;
  readonly fragmentation: boolean;
  /** Ends may move: RFC 4555. */
  readonly mobike: boolean;
  /** The peer is to refuse us when a NAT stands between: RFC 4555 §3.9. */
  readonly noNats: boolean;
  /** Goes where the peer sends us: RFC 5685. */
  readonly followRedirects: boolean;
  /** Sends peers that begin, and can, there. */
  readonly redirectTo: Address | null;
  /** Ask the peer for an inner address, or give one from the pool. */
  readonly virtualAddress: 'request' | null;
  readonly pool: readonly Address[];
  /** An IKE SA of the same peer is replaced by a new one (RFC 7296 §2.4, INITIAL_CONTACT). */
  readonly unique: boolean;
}

/** '10.0.0.1', 'fd00::1', 'gw.example.org', 'joe@example.org', 'C=CH, O=Example, CN=gw', or '@#a1b2' for a key id. Throws ConfigError. */
export function parseIdentity(text: string): Identity {
  const address = parseAddress(text);
  if (address !== null) return { type: address.isV4 ? IdType.Ipv4 : IdType.Ipv6, data: addressOctets(address), text };
  if (text.startsWith('@#'))
    return { type: IdType.KeyId, data: Uint8Array.from(text.slice(2).match(/../g) ?? [], (x) => Number.parseInt(x, 16)), text };
  if (/^\/?[A-Za-z]+\s*=/.test(text)) {
    const data = parseName(text);
    return { type: IdType.Dn, data, text: formatName(data) ?? text };
  }
  const name = text.startsWith('@') ? text.slice(1) : text;
  return { type: name.includes('@') ? IdType.Email : IdType.Fqdn, data: new TextEncoder().encode(name), text: name };
}

/** An identity as a peer sent it. Text is for people and for the names of certificates. */
export function readIdentity(type: number, data: Uint8Array): Identity {
  const text =
    type === IdType.Fqdn || type === IdType.Email
      ? new TextDecoder().decode(data)
      : ((type === IdType.Dn ? formatName(data) : null) ?? Array.from(data, (x) => x.toString(16).padStart(2, '0')).join(''));
  return { type, data: data.slice(), text };
}

/** Names compare without regard to case (RFC 7296 §3.5 has them ASCII), all else octet by octet. */
export function sameIdentity(a: Identity, b: Identity): boolean {
  if (a.type !== b.type) return false;
  // One authority stores its strings so, another so: what they say counts.
  if (a.type === IdType.Dn) return a.text === b.text;
  if (a.type === IdType.Fqdn || a.type === IdType.Email) return a.text.toLowerCase() === b.text.toLowerCase();
  return a.data.length === b.data.length && a.data.every((x, i) => x === b.data[i]);
}

/** What both sides allow: every pair of the two lists that has something in common, without what lies in another. RFC 7296 §2.9. */
export function narrow(offered: readonly TrafficSelector[], ours: readonly TrafficSelector[]): TrafficSelector[] {
  const out: TrafficSelector[] = [];
  for (const a of offered) {
    for (const b of ours) {
      const common = intersect(a, b);
      if (common !== null && !out.some((s) => sameSelector(s, common))) out.push(common);
    }
  }
  return out.filter((s) => !out.some((other) => other !== s && holds(other, s)));
}

/** Does `a` cover all of `b`? */
function holds(a: TrafficSelector, b: TrafficSelector): boolean {
  const common = intersect(a, b);
  return common !== null && sameSelector(common, b);
}

function intersect(a: TrafficSelector, b: TrafficSelector): TrafficSelector | null {
  if (a.first.isV4 !== b.first.isV4) return null;
  if (a.protocol !== 0 && b.protocol !== 0 && a.protocol !== b.protocol) return null;
  const first = compareAddresses(a.first, b.first) >= 0 ? a.first : b.first;
  const last = compareAddresses(a.last, b.last) <= 0 ? a.last : b.last;
  if (compareAddresses(first, last) > 0) return null;
  const ports = portsOf(a, b);
  return ports === null ? null : { protocol: a.protocol || b.protocol, firstPort: ports[0], lastPort: ports[1], first, last };
}

function portsOf(a: TrafficSelector, b: TrafficSelector): [number, number] | null {
  const opaque = (s: TrafficSelector): boolean => s.firstPort > s.lastPort;
  const any = (s: TrafficSelector): boolean => s.firstPort === 0 && s.lastPort === 65_535;
  if (opaque(a) || opaque(b)) return (opaque(a) || any(a)) && (opaque(b) || any(b)) ? [65_535, 0] : null;
  const first = Math.max(a.firstPort, b.firstPort);
  const last = Math.min(a.lastPort, b.lastPort);
  return first > last ? null : [first, last];
}

const sameSelector = (a: TrafficSelector, b: TrafficSelector): boolean =>
  a.protocol === b.protocol && a.firstPort === b.firstPort && a.lastPort === b.lastPort && a.first.equals(b.first) && a.last.equals(b.last);

/** Each pair of a local and a remote selector that can hold one packet. */
export function pairs(local: readonly TrafficSelector[], remote: readonly TrafficSelector[]): Selector[] {
  const out: Selector[] = [];
  for (const l of local) {
    for (const r of remote) {
      if (l.first.isV4 !== r.first.isV4 || (l.protocol !== 0 && r.protocol !== 0 && l.protocol !== r.protocol)) continue;
      out.push({
        local: { first: l.first, last: l.last },
        remote: { first: r.first, last: r.last },
        protocol: l.protocol || r.protocol,
        localPorts: [l.firstPort, l.lastPort],
        remotePorts: [r.firstPort, r.lastPort],
      });
    }
  }
  return out;
}
