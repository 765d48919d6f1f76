import assert from 'node:assert/strict';
import { type Address, type Prefix, parseAddress, parsePrefix } from '#src/base/address.js';
import { type Micros, seconds } from '#src/base/time.js';
import type { Crypto } from '#src/hyper/crypto.js';
import { type MemoryDevice, type MemoryLinkOptions, memoryHub } from '#src/hyper/memory-link.js';
import { VirtualClock, VirtualHost } from '#src/hyper/virtual-host.js';
import type { Interface } from '#src/net/interface.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';

/** An address from its text; the test fails when it is none. */
export function address(text: string): Address {
  const a = parseAddress(text);
  assert(a !== null, `${text} is an address`);
  return a;
}

/** The same for a prefix. */
export function prefix(text: string): Prefix {
  const p = parsePrefix(text);
  assert(p !== null, `${text} is a prefix`);
  return p;
}

/** A stack on virtual time with what a test looks at. */
export interface Host {
  readonly stack: Stack;
  readonly host: VirtualHost;
  /** Its first interface. */
  readonly eth0: Interface;
  readonly device: MemoryDevice;
  /** What StackEvents told. */
  readonly events: string[];
}

export interface NetOptions {
  readonly link?: MemoryLinkOptions;
  /** IPv6 is off unless a test sets disable_ipv6 to 0: it speaks of its own accord. */
  readonly sysctl?: Readonly<Record<string, unknown>>;
  readonly seed?: number;
  /** Default: a host without algorithms. */
  readonly crypto?: Crypto;
}

/** A stack of its own on a clock, without interfaces. */
export function lone(clock: VirtualClock, name: string, options: NetOptions = {}, seed = 1): { stack: Stack; host: VirtualHost; events: string[] } {
  const host = new VirtualHost({ clock, seed, ...(options.crypto === undefined ? {} : { crypto: options.crypto }) });
  const events: string[] = [];
  const stack = new Stack(name, host, new Sysctl('linux', { 'net.ipv6.conf.all.disable_ipv6': 1, ...options.sysctl }), {
    failed: (error) => events.push(`failed: ${error.message}`),
    conflict: (a, mac) => events.push(`conflict: ${a.address} ${mac}`),
    link: (iface) => events.push(`link: ${iface.name} ${iface.running ? 'up' : 'down'}`),
  });
  return { stack, host, events };
}

/** Hosts on one wire, the n-th with addresses[n]. */
export class Net {
  readonly clock = new VirtualClock();
  readonly hosts: Host[];

  constructor(addresses: readonly (readonly string[])[], options: NetOptions = {}) {
    const devices = memoryHub(addresses.length, options.link);
    this.hosts = addresses.map((texts, n) => {
      const { stack, host, events } = lone(this.clock, `host${n}`, options, (options.seed ?? 1) * 100 + n);
      const device = devices[n] as MemoryDevice;
      const eth0 = stack.addInterface('eth0', device);
      for (const text of texts) stack.addAddress(eth0, prefix(text));
      return { stack, host, eth0, device, events };
    });
  }

  /** Lets virtual time pass. */
  run(span: Micros = seconds(1)): void {
    this.clock.advance(span);
  }

  /** Closes all stacks and asserts that none holds a packet, a slot or a timer. */
  end(): void {
    for (const { stack } of this.hosts) stack.close();
    this.run();
    for (const { stack } of this.hosts) assertEmpty(stack);
  }
}

/** No packet, slot or timer is left. */
export function assertEmpty(stack: Stack): void {
  const { ctx } = stack;
  assert.equal(ctx.pool.held, 0, `${ctx.name}: packets held`);
  assert.equal(ctx.slab.held, 0, `${ctx.name}: slots held`);
  assert.equal(ctx.big.held, 0, `${ctx.name}: big slots held`);
  assert.equal(ctx.chunks.held, 0, `${ctx.name}: chunks held`);
  assert.equal(ctx.wheel.armed, 0, `${ctx.name}: timers armed`);
}
