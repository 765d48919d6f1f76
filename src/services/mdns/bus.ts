import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { createDgram } from '../../api/dgram.js';
import { parseAddress, samePrefix } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import type { Interface } from '../../net/interface.js';
import type { Stack } from '../../net/stack.js';

/** RFC 6762 §3. */
export const MDNS_PORT = 5_353;
const GROUP = { 4: '224.0.0.251', 6: 'ff02::fb' } as const;

/** A record as dns-packet has it. Text is without the dot at its end. */
export interface MdnsRecord {
  readonly name: string;
  readonly type: string;
  readonly ttl: number;
  /** The record is ours alone, and what others have of its name and type is over (RFC 6762 §10.2). */
  readonly flush?: boolean;
  readonly data: unknown;
}

/** A question as dns-packet has it. */
export interface MdnsQuestion {
  readonly name: string;
  readonly type: string;
  /** The answer may come to the asker alone. */
  readonly qu?: boolean;
}

/** A message as dns-packet has it; what is missing is empty. */
export interface MdnsPacket {
  readonly id?: number;
  readonly questions?: readonly MdnsQuestion[];
  readonly answers?: readonly MdnsRecord[];
  readonly authorities?: readonly MdnsRecord[];
  readonly additionals?: readonly MdnsRecord[];
  /** More known answers follow. */
  readonly flag_tc?: boolean;
}

/** Where a message came from. */
export interface MdnsSender {
  readonly address: string;
  readonly port: number;
}

/** The library: one socket, one group. */
interface Library extends EventEmitter {
  query(packet: MdnsPacket): void;
  respond(packet: MdnsPacket, to: MdnsSender | null, sent?: () => void): void;
  destroy(): void;
}

/** Multicast DNS on one interface, in one family. */
export interface MdnsLink {
  readonly iface: Interface;
  query(packet: MdnsPacket): void;
  /** To everybody, or to one; `sent` is told when it has left. */
  respond(packet: MdnsPacket, to?: MdnsSender | null, sent?: () => void): void;
}

/** What is told of messages of stations on the link. */
export interface MdnsListener {
  query?(link: MdnsLink, packet: MdnsPacket, from: MdnsSender): void;
  response?(link: MdnsLink, packet: MdnsPacket): void;
}

/** Multicast DNS on all interfaces, as long as somebody listens. The packet multicast-dns does the messages, on our sockets. */
export class MdnsBus {
  /** Those it works on; null for all but the loopback. */
  interfaces: readonly string[] | null = null;
  private readonly core: Stack;
  private readonly listeners = new Set<MdnsListener>();
  private readonly open = new Map<string, MdnsLink & { readonly library: Library }>();

  constructor(core: Stack) {
    this.core = core;
  }

  /** `least` to `least + more` milliseconds, at random. */
  jitter(least: number, more: number): number {
    return least + this.core.ctx.prng.below(more + 1);
  }

  get links(): readonly MdnsLink[] {
    return [...this.open.values()];
  }

  /** The function returned ends it; the sockets go with the last listener. */
  listen(listener: MdnsListener): () => void {
    this.listeners.add(listener);
    this.refresh();
    return () => {
      this.listeners.delete(listener);
      this.refresh();
    };
  }

  /** Begins on interfaces that are new, ends on those that are gone. */
  refresh(): void {
    const { core, interfaces, open } = this;
    const wanted = new Map<string, readonly [Interface, 4 | 6]>();
    for (const iface of this.listeners.size === 0 ? [] : core.interfaces) {
      if (interfaces === null ? iface.name === 'lo' : !interfaces.includes(iface.name)) continue;
      wanted.set(`${iface.index} 4`, [iface, 4]);
      if (core.ip.v6 !== null) wanted.set(`${iface.index} 6`, [iface, 6]);
    }
    for (const [key, { library }] of open) {
      if (wanted.has(key)) continue;
      open.delete(key);
      library.destroy();
    }
    for (const [key, [iface, family]] of wanted) if (!open.has(key)) open.set(key, this.start(iface, family));
  }

  private start(iface: Interface, family: 4 | 6): MdnsLink & { readonly library: Library } {
    const { core } = this;
    const socket = createDgram(core).createSocket({
      type: `udp${family}`,
      reuseAddr: true,
      interface: iface.name,
      ...(family === 6 ? { ipv6Only: true } : {}),
    });
    const make = createRequire(import.meta.url)('multicast-dns') as (options: object) => Library;
    const zone = family === 4 ? `0.0.0.0%${iface.name}` : `::%${iface.name}`;
    const library = make({ socket, type: `udp${family}`, ip: GROUP[family], interface: zone, bind: family === 4 ? '0.0.0.0' : '::' });
    const link = {
      iface,
      library,
      query: (packet: MdnsPacket) => library.query(packet),
      respond: (packet: MdnsPacket, to: MdnsSender | null = null, sent?: () => void) => library.respond(packet, to, sent),
    };
    const tell = (what: keyof MdnsListener, packet: MdnsPacket, from: MdnsSender): void => {
      if (!onLink(iface, from.address)) core.ctx.countDrop(Drop.DnsNotAnswered);
      else for (const listener of this.listeners) listener[what]?.(link, packet, from);
    };
    library.on('query', (packet: MdnsPacket, from: MdnsSender) => tell('query', packet, from));
    library.on('response', (packet: MdnsPacket, from: MdnsSender) => {
      // RFC 6762 §11: an answer from another port is nobody's.
      if (from.port === MDNS_PORT) tell('response', packet, from);
    });
    library.on('warning', (error: NodeJS.ErrnoException) => {
      if (error.syscall === undefined) core.ctx.countDrop(Drop.DnsMalformed);
    });
    library.on('error', (error: Error) => core.hyper.log('error', `mdns ${iface.name}: ${error.message}`));
    return link;
  }
}

/** RFC 6762 §11: only stations on the link are heard, and ourselves. */
function onLink({ addresses }: Interface, text: string): boolean {
  const address = parseAddress(text.replace(/%.*$/, ''));
  if (address === null) return false;
  if (address.isLinkLocal) return true;
  return addresses.some((a) => a.address.isV4 === address.isV4 && samePrefix(a.address, address, a.length + (address.isV4 ? 96 : 0)));
}
