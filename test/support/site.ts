import assert from 'node:assert/strict';
import { type Micros, seconds } from '#src/base/time.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import type { Chain } from '#src/net/filter/filter.js';
import { FilterRule, type HookName, type Match, type Verdict } from '#src/net/filter/rule.js';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import type { Stack } from '#src/net/stack.js';
import { address, assertEmpty, lone, prefix } from './stacks.js';

/** Index of the gateway's inner interface; lo is 1. */
export const INSIDE = 2;
export const OUTSIDE = 3;
export const accept: Verdict = { kind: 'accept' };

/** A base chain of its hook's name. */
export function chain(hook: HookName, rules: readonly [Match, Verdict][], policy: 'accept' | 'drop' = 'accept'): Chain {
  return { name: hook, hook, policy, rules: rules.map(([match, verdict]) => new FilterRule(match, verdict)) };
}

/** inner hosts 192.168.0.2 and .3 – gateway 192.168.0.1 / 203.0.113.1 – outer host 203.0.113.9. */
export class Site {
  readonly clock = new VirtualClock();
  readonly inner: Stack;
  readonly gateway: Stack;
  readonly outer: Stack;

  constructor() {
    const make = (name: string, n: number): Stack => lone(this.clock, name, {}, n).stack;
    [this.inner, this.gateway, this.outer] = [make('inner', 1), make('gateway', 2), make('outer', 3)];
    const [i0, g0] = memoryLink();
    const [g1, o0] = memoryLink();
    const eth0 = this.inner.addInterface('eth0', i0);
    this.inner.addAddress(eth0, prefix('192.168.0.2/24'));
    this.inner.addAddress(eth0, prefix('192.168.0.3/24'));
    this.gateway.addAddress(this.gateway.addInterface('lan', g0), prefix('192.168.0.1/24'));
    this.gateway.addAddress(this.gateway.addInterface('wan', g1), prefix('203.0.113.1/24'));
    this.outer.addAddress(this.outer.addInterface('eth0', o0), prefix('203.0.113.9/24'));
    this.inner.ip.routes.add({
      family: 4,
      prefix: address('0.0.0.0'),
      length: 0,
      type: 'unicast',
      index: eth0.index,
      gateway: address('192.168.0.1'),
      source: null,
      metric: 0,
      mtu: 0,
      table: MAIN_TABLE,
      vrf: 0,
      protocol: 'static',
    });
    this.gateway.ctx.sysctl.set('net.ipv4.ip_forward', 1);
  }

  run(span: Micros = seconds(0.5)): void {
    this.clock.advance(span);
  }

  udp(stack: Stack, port: number, at: string | null = null): UdpSocket {
    const socket = stack.udp.openSocket(4);
    assert.equal(socket.bind(at === null ? null : address(at), port), 0);
    return socket;
  }

  /** What the gateway has dropped since the last look. */
  dropped(): Record<string, number> {
    const { counters } = this.gateway.ctx;
    const d = counters.dropped();
    counters.drops.fill(0);
    return d;
  }

  /** The outer host knows a way to an inner prefix. */
  routeBack(to: string): void {
    const { address: at, length } = prefix(to);
    this.outer.ip.routes.add({
      family: 4,
      prefix: at,
      length,
      type: 'unicast',
      index: 2,
      gateway: address('203.0.113.1'),
      source: null,
      metric: 0,
      mtu: 0,
      table: MAIN_TABLE,
      vrf: 0,
      protocol: 'static',
    });
  }

  end(): void {
    for (const stack of [this.inner, this.gateway, this.outer]) stack.close();
    this.run();
    for (const stack of [this.inner, this.gateway, this.outer]) assertEmpty(stack);
  }
}

/** Sends a text. */
export const send = (socket: UdpSocket, to: string, port: number, data = 'x'): number => {
  const octets = new TextEncoder().encode(data);
  return socket.sendTo(octets, 0, octets.length, address(to), port);
};
/** "address:port data" of the next datagram, or '' */
export const next = (socket: UdpSocket): string => {
  const info = new DatagramInfo();
  const into = new Uint8Array(65_536);
  const n = socket.receive(into, 0, into.length, info);
  return n < 0 ? '' : `${info.address}:${info.port} ${new TextDecoder().decode(into.subarray(0, n))}`;
};
