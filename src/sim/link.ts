import type { AnyStack } from '../anystack.js';
import { type Address, parsePrefix } from '../base/address.js';
import { ConfigError } from '../base/errors.js';
import type { FaultInjector, Faults } from '../hyper/fault-injector.js';
import type { MemoryDevice } from '../hyper/memory-link.js';
import type { Interface } from '../net/interface.js';

/** A link between two stacks. What is left out is perfect: no delay, no loss, no end of the rate. */
export interface LinkOptions {
  /** From the first stack to the second. */
  readonly forward?: Faults;
  /** From the second to the first. Default: as forward. */
  readonly backward?: Faults;
  /** Greatest IP packet that both ends know of. Default 1,500. A smaller one that nobody is told of is `Faults.mtu`. */
  readonly mtu?: number;
  /** Default 'ip': no address resolution, no duplicate detection. */
  readonly medium?: 'ethernet' | 'ip';
  /** Prefixes of each end. Default 10.x.y.1/24 and fd00:x::1/64, and .2 and ::2, unlike for each link. */
  readonly addresses?: readonly [readonly string[], readonly string[]];
}

/** One end of a link. */
export interface LinkEnd {
  readonly stack: AnyStack;
  readonly iface: Interface;
  /** IPv4 and IPv6, as far as it has both. */
  readonly v4: Address | null;
  readonly v6: Address | null;
}

/** A link as it runs: it can be changed, cut and looked at. */
export class SimLink {
  readonly ends: readonly [LinkEnd, LinkEnd];
  private readonly injectors: readonly [FaultInjector, FaultInjector];
  private readonly ports: readonly [MemoryDevice, MemoryDevice];

  constructor(ends: readonly [LinkEnd, LinkEnd], injectors: readonly [FaultInjector, FaultInjector], ports: readonly [MemoryDevice, MemoryDevice]) {
    this.ends = ends;
    this.injectors = injectors;
    this.ports = ports;
  }

  /** Changes faults while running; what is not named stays. */
  set(direction: 'forward' | 'backward' | 'both', faults: Faults): void {
    if (direction !== 'backward') this.injectors[0].set('tx', faults);
    if (direction !== 'forward') this.injectors[1].set('tx', faults);
  }

  /** Nothing passes while it is true; nobody is told. */
  partition(cut: boolean, direction: 'forward' | 'backward' | 'both' = 'both'): void {
    this.set(direction, { partitioned: cut });
  }

  /** Pulls the cable out of both ends, or puts it in: the stacks see it. */
  carrier(up: boolean): void {
    for (const port of this.ports) port.setCarrier(up);
  }

  /** What the injectors have done: passed, lost, duplicated, corrupted, reordered, oversize, queueFull. */
  statistics(direction: 'forward' | 'backward'): Record<string, number> {
    const all = this.injectors[direction === 'forward' ? 0 : 1].statistics();
    return Object.fromEntries(
      Object.entries(all).flatMap(([name, n]) => (/^tx[A-Z]/.test(name) ? [[name.charAt(2).toLowerCase() + name.slice(3), n]] : [])),
    );
  }
}

/** Gives an interface its addresses and says which it has. */
export function addressed(stack: AnyStack, iface: Interface, prefixes: readonly string[]): LinkEnd {
  const addresses = prefixes.map((text) => {
    const prefix = parsePrefix(text);
    if (prefix === null) throw new ConfigError(`'${text}' is no prefix`);
    stack.core.addAddress(iface, prefix);
    return prefix.address;
  });
  return { stack, iface, v4: addresses.find((a) => a.isV4) ?? null, v6: addresses.find((a) => !a.isV4) ?? null };
}
