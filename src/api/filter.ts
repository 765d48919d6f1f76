import { type Connection, idleNames } from '../net/filter/connection.js';
import { tcpTrackNames } from '../net/filter/track-tcp.js';
import type { Tuple } from '../net/filter/tuple.js';
import { Nat64Device } from '../net/nat64/nat64.js';
import { tcp64Names } from '../net/nat64/tcp-state.js';
import type { Stack } from '../net/stack.js';
import { protocolName } from '../wire/protocol.js';

/** A chain with its counters. */
export interface ChainInfo {
  readonly name: string;
  readonly hook: string | null;
  readonly policy: string;
  readonly rules: readonly { readonly verdict: string; readonly comment: string; readonly packets: number; readonly octets: number }[];
}

/** A tracked flow. */
export interface ConnectionInfo {
  readonly protocol: string;
  readonly state: string;
  /** Seconds without a packet. */
  readonly idle: number;
  readonly original: string;
  readonly reply: string;
  readonly nat: readonly ('source' | 'destination')[];
  readonly packets: readonly [number, number];
  readonly octets: readonly [number, number];
}

/** The filter of one stack to look at: rules with counters, flows. */
export class FilterApi {
  private readonly core: Stack;

  constructor(core: Stack) {
    this.core = core;
  }

  /** All chains in order. */
  show(): ChainInfo[] {
    return this.core.filter.list().map((chain) => ({
      name: chain.name,
      hook: chain.hook,
      policy: chain.policy,
      rules: chain.rules.map((rule) => ({ verdict: rule.verdict.kind, comment: rule.comment, packets: rule.packets, octets: rule.octets })),
    }));
  }

  /** Tracked flows and sessions of NAT64, the longest idle of each kind first; at most `max`. */
  connections(max = 10_000): ConnectionInfo[] {
    const all: ConnectionInfo[] = [];
    const now = this.core.hyper.monotonic();
    for (const [c, states] of this.flows()) {
      if (all.length >= max) break;
      const nat: ('source' | 'destination')[] = [];
      if (c.sourceNat) nat.push('source');
      if (c.destinationNat) nat.push('destination');
      all.push({
        protocol: protocolName(c.original.protocol),
        state: c.tcp === 0 ? (idleNames[c.idle] as string) : (states[c.tcp] as string),
        idle: Math.max(0, (now - c.usedAt) / 1e6),
        original: tuple(c.original),
        reply: tuple(c.reply),
        nat,
        packets: [c.packets[0], c.packets[1]],
        octets: [c.octets[0], c.octets[1]],
      });
    }
    return all;
  }

  private *flows(): Generator<[Connection, readonly string[]]> {
    for (const c of this.core.filter.conntrack.entries()) yield [c, tcpTrackNames];
    for (const translator of this.translators()) for (const c of translator.sessions.entries()) yield [c, tcp64Names];
  }

  private translators(): Nat64Device[] {
    return [...this.core.interfaces].map(({ device }) => device).filter((device) => device instanceof Nat64Device);
  }

  /** Forgets all of them; says how many there were. */
  flush(): number {
    const sessions = this.translators().reduce((n, translator) => n + translator.sessions.flush(), 0);
    return sessions + this.core.filter.conntrack.flush();
  }
}

const tuple = (t: Tuple): string => `${t.source}:${t.sourcePort} > ${t.destination}:${t.destinationPort}`;
