import { type DropName, dropNames, drops } from '../base/drops.js';
import type { Packet } from '../base/packet.js';
import type { Micros } from '../base/time.js';
import type { Interface } from '../net/interface.js';
import type { Stack } from '../net/stack.js';
import { protocolName } from '../wire/protocol.js';
import { type Filter, parseFilter } from './filter.js';
import { FrameFields } from './frame-fields.js';
import type { Observers } from './observers.js';

/** One thing that happened to one packet. */
export interface TraceEvent {
  /** The packet's number: the same on all its way, in its copies and fragments too. */
  readonly packet: number;
  /** Microseconds since the trace began. */
  readonly time: Micros;
  /**
   * 'rx', 'tx' and 'drop', or who decided: 'route', 'output' (the path of a packet of our own), 'track', 'nat', 'neighbour', 'reassembly',
   * 'ipsec', 'nat64', 'tunnel', 'bridge', 'mirror', 'deliver', 'chain[n]' for a rule of the filter, 'chain' for what becomes of packets that no rule of it decides.
   */
  readonly where: string;
  /** What was decided: an interface, a route and why, a verdict, a drop reason. */
  readonly what: string;
  /** Addresses, ports and length as they were then. */
  readonly summary: string;
  /** Of a drop: what the reason means, and what can be done. */
  readonly cause?: string;
  readonly remedy?: string;
}

export interface TraceOptions {
  /** See parseFilter; looked at where a packet comes in, and where one of ours is routed. Default: everything. */
  readonly filter?: string;
  /** Stops by itself when so many packets have come to their end. Default: never. */
  readonly count?: number;
  /** Events that may wait for `tell`; those beyond are lost and counted. Default 10,000. */
  readonly bufferMax?: number;
}

/** What a trace has done so far. */
export interface TraceStats {
  packets: number;
  events: number;
  /** Events the buffer had no room for. */
  lost: number;
}

/** Packets followed at one time: those a packet socket swallowed stay until newer ones push them out. */
const FOLLOWED_MAX = 4_096;

/**
 * Follows packets through the stack: by which interface, route, rule, translation and neighbour they go, and where they end. A packet is
 * followed from the moment it matches; `tell` gets the events outside the stack, in order.
 */
export class Trace {
  readonly stats: TraceStats = { packets: 0, events: 0, lost: 0 };
  /** Resolves when it has stopped and everything is told. */
  readonly done: Promise<TraceStats>;
  private readonly core: Stack;
  private readonly observers: Observers;
  private readonly tell: (event: TraceEvent) => void;
  private readonly options: TraceOptions;
  private readonly filter: Filter;
  private readonly fields = new FrameFields();
  private readonly unwatch: () => void;
  private readonly began: Micros;
  /** Numbers of the packets followed, and whether they have come to an end. */
  private readonly followed = new Map<number, boolean>();
  private ended = 0;
  private waiting: TraceEvent[] = [];
  private flushing = false;
  private stopped = false;
  private settle: () => void = () => {};

  constructor(core: Stack, observers: Observers, options: TraceOptions, tell: (event: TraceEvent) => void) {
    this.core = core;
    this.observers = observers;
    this.options = options;
    this.tell = tell;
    this.filter = parseFilter(options.filter ?? '');
    this.began = core.hyper.monotonic();
    this.done = new Promise((resolve) => {
      this.settle = () => resolve(this.stats);
    });
    this.unwatch = observers.watch({
      rx: (iface, packet) => this.received(iface, packet),
      tx: (iface, packet) => this.transmitted(iface, packet),
      drop: (packet, reason) => this.dropped(packet, reason),
      verdict: (packet, where, what) => this.verdict(packet, where, what),
    });
  }

  /** Ends it; `done` resolves when everything is told. */
  stop(): Promise<TraceStats> {
    if (!this.stopped) {
      this.stopped = true;
      this.unwatch();
      this.flushSoon();
    }
    return this.done;
  }

  private received(iface: Interface, packet: Packet): void {
    this.fields.read(packet, packet.head, iface.name, iface.medium);
    if (this.follows(packet)) this.event(packet, 'rx', iface.name);
  }

  private transmitted(iface: Interface, packet: Packet): void {
    this.fields.read(packet, packet.head, iface.name, iface.medium);
    if (!this.follows(packet)) return;
    this.event(packet, 'tx', iface.name);
    this.end(packet);
  }

  private verdict(packet: Packet, where: string, what: string): void {
    if (!this.look(packet)) return;
    this.event(packet, where, what);
    if (where === 'deliver') this.end(packet);
  }

  private dropped(packet: Packet, reason: number): void {
    if (!this.look(packet)) return;
    const name = dropNames[reason] as DropName;
    this.event(packet, 'drop', name, drops[name]);
    this.end(packet);
  }

  /** Reads the packet from its network header on, wherever its head is now. */
  private look(packet: Packet): boolean {
    const { interfaces } = this.core;
    const iface = interfaces.at(packet.inIndex || packet.outIndex);
    if (packet.network >= 0) this.fields.read(packet, packet.network, iface?.name ?? '', 'ip');
    else if (packet.link >= 0 && iface !== null) this.fields.read(packet, packet.link, iface.name, iface.medium);
    else this.fields.read(packet, packet.tail, iface?.name ?? '', 'ip');
    return this.follows(packet);
  }

  private follows(packet: Packet): boolean {
    if (this.followed.has(packet.trace)) return true;
    const { count } = this.options;
    if (count !== undefined && this.stats.packets >= count) return false;
    if (!this.filter(this.fields)) return false;
    if (packet.trace === 0) packet.trace = this.observers.number();
    this.followed.set(packet.trace, false);
    this.stats.packets++;
    if (this.followed.size > FOLLOWED_MAX) this.followed.delete(this.followed.keys().next().value as number);
    return true;
  }

  private end(packet: Packet): void {
    if (this.followed.get(packet.trace) !== false) return;
    this.followed.set(packet.trace, true);
    if (++this.ended === this.options.count) void this.stop();
  }

  private event(packet: Packet, where: string, what: string, why?: { readonly cause: string; readonly remedy: string }): void {
    if (this.waiting.length >= (this.options.bufferMax ?? 10_000)) {
      this.stats.lost++;
      return;
    }
    this.stats.events++;
    const time = this.core.ctx.now - this.began;
    this.waiting.push({ packet: packet.trace, time, where, what, summary: summaryOf(this.fields), ...why });
    this.flushSoon();
  }

  /** Observers run inside the stack, whoever is told does not. */
  private flushSoon(): void {
    if (this.flushing) return;
    this.flushing = true;
    setImmediate(() => {
      this.flushing = false;
      const events = this.waiting;
      this.waiting = [];
      for (const event of events) this.tell(event);
      if (this.stopped) this.settle();
    });
  }
}

/** "10.0.0.1:1024 > 10.0.0.2:80 tcp 60". */
function summaryOf({ family, etherType, source, destination, sourcePort, destinationPort, protocol, length }: FrameFields): string {
  if (family === 0) return etherType === 0 ? `${length} octets` : `type 0x${etherType.toString(16).padStart(4, '0')} ${length}`;
  const port = (n: number): string => (n < 0 ? '' : `:${n}`);
  const end = (address: string, n: number): string => (family === 6 && n >= 0 ? `[${address}]${port(n)}` : `${address}${port(n)}`);
  return `${end(`${source}`, sourcePort)} > ${end(`${destination}`, destinationPort)} ${protocolName(protocol)} ${length}`;
}
