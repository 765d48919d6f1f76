import type { Address } from '../../base/address.js';
import type { Packet } from '../../base/packet.js';
import { COOKIE_MAX } from '../../wire/tcp-options.js';
import type { Listener } from './listener.js';
import type { Segment } from './segment.js';
import type { Tcb } from './tcb.js';
import type { Tcp } from './tcp.js';

/** Servers remembered; at the bound the one remembered longest goes, and its next connection asks again. */
const SERVERS_MAX = 1_024;
/** Room for options that the first data leaves in a SYN: the most there can be, so that no SYN is longer than the server's segments. */
const SYN_OPTIONS = 40;

/** Bits of net.ipv4.tcp_fastopen. */
const FlagBit = { Client: 1, Server: 2, CookieNotSent: 4, CookieNotAsked: 0x200, AllListeners: 0x400 } as const;

/** What a client knows of a server (RFC 7413 §4.1.3). */
interface Known {
  readonly cookie: Uint8Array;
  /** The server's MSS, as it was. */
  readonly mss: number;
}

/** Servers by address: their cookies, or that they threw data away and are not to be tried. */
export class FastOpenCache {
  private readonly servers = new Map<string, Known | null>();

  /** What is known; undefined when nothing is, null when it is known to fail. */
  get(remote: Address, vrf: number): Known | null | undefined {
    return this.servers.get(`${vrf}|${remote.toString()}`);
  }

  set(remote: Address, vrf: number, known: Known | null): void {
    const key = `${vrf}|${remote.toString()}`;
    this.servers.delete(key);
    this.servers.set(key, known);
    if (this.servers.size > SERVERS_MAX) this.servers.delete(this.servers.keys().next().value as string);
  }

  /** For tests, and when Fast Open is switched off. */
  clear(): void {
    this.servers.clear();
  }
}

/** True when a connection may try Fast Open as client: asked for, allowed, and not known to fail. */
const tries = (tcb: Tcb): boolean =>
  tcb.options.fastOpenConnect !== 0 &&
  (tcb.tcp.ctx.sysctl.v['net.ipv4.tcp_fastopen'] & FlagBit.Client) !== 0 &&
  tcb.tcp.fastOpen.get(tcb.remote, tcb.vrf) !== null;

/**
 * Puts a cookie, or the request for one, into the options of a SYN about to be written. Returns the octets of data that may go
 * along: none without a cookie, and none when the SYN is sent again (RFC 7413 §4.2.1: something on the path may not like it).
 */
export function offerFastOpen(tcb: Tcb): number {
  const { tcp } = tcb;
  if (!tries(tcb) || tcb.retries > 0) return 0;
  const known = tcp.fastOpen.get(tcb.remote, tcb.vrf) ?? null;
  if (known !== null) {
    tcp.out.cookieLength = known.cookie.length;
    tcp.out.cookie.set(known.cookie);
  } else if (!dataWithoutCookie(tcp)) tcp.out.cookieLength = 0;
  return Math.min(tcb.sendBuffer?.octets ?? 0, synRoom(tcb));
}

/** Octets of data that a SYN may carry: none without a cookie, unless the sysctl says so. */
export function synRoom(tcb: Tcb): number {
  const known = tcb.tcp.fastOpen.get(tcb.remote, tcb.vrf) ?? null;
  if (known === null && !dataWithoutCookie(tcb.tcp)) return 0;
  return Math.max(0, (known === null ? tcb.snd.mss : known.mss) - SYN_OPTIONS);
}

/** True when data written now leaves with the SYN. */
export const cookieKnown = (tcb: Tcb): boolean =>
  tries(tcb) && (dataWithoutCookie(tcb.tcp) || tcb.tcp.fastOpen.get(tcb.remote, tcb.vrf) !== undefined);

const dataWithoutCookie = (tcp: Tcp): boolean => (tcp.ctx.sysctl.v['net.ipv4.tcp_fastopen'] & FlagBit.CookieNotSent) !== 0;

/** The SYN-ACK: takes its cookie, and takes note when the data was not. `sent`: octets that went with the SYN. RFC 7413 §4.2.2. */
export function learnFastOpen(tcb: Tcb, seg: Segment, sent: number): void {
  const { tcp } = tcb;
  const { options } = seg;
  if (tcb.options.fastOpenConnect === 0) return;
  if (options.cookieLength > 0) {
    tcp.fastOpen.set(tcb.remote, tcb.vrf, { cookie: options.cookie.slice(0, Math.min(options.cookieLength, COOKIE_MAX)), mss: tcb.snd.peerMss });
  } else if (sent > 0 && seg.ack === ((tcb.snd.iss + 1) | 0)) tcp.fastOpen.set(tcb.remote, tcb.vrf, null);
}

/** Data in SYNs that a listener takes at a time: what it asked for, or its backlog where all may. 0 for none. */
export function earlyMax(tcp: Tcp, listener: Listener): number {
  const bits = tcp.ctx.sysctl.v['net.ipv4.tcp_fastopen'];
  if ((bits & FlagBit.Server) === 0) return 0;
  return listener.options.fastOpen > 0 || (bits & FlagBit.AllListeners) === 0 ? listener.options.fastOpen : listener.backlog;
}

/** May the data of this SYN be taken at once? It brings the cookie we gave, or none is asked for. */
export function mayOpenEarly(tcp: Tcp, seg: Segment, packet: Packet): boolean {
  if (seg.length > 0 && (tcp.ctx.sysctl.v['net.ipv4.tcp_fastopen'] & FlagBit.CookieNotAsked) !== 0) return true;
  return tcp.openCookies.taken(seg.options, packet.destination, packet.source);
}
