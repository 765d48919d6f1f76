/** Two stacks in real time on one memory link: what tests of the APIs run on. */
import { once } from 'node:events';
import { type MemoryDevice, type MemoryLinkOptions, memoryLink } from '#src/hyper/memory-link.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import { assertEmpty, prefix } from './stacks.js';

export interface PairOptions {
  readonly link?: MemoryLinkOptions;
  readonly sysctl?: Readonly<Record<string, unknown>>;
}

/** Stack `a` is 10.0.0.1, stack `b` 10.0.0.2, both on eth0. */
export class Pair {
  readonly a: Stack;
  readonly b: Stack;
  readonly devices: [MemoryDevice, MemoryDevice];
  /** What StackEvents.failed told. */
  readonly failures: Error[] = [];

  constructor(options: PairOptions = {}) {
    this.devices = memoryLink(options.link);
    this.a = this.stack('a', options, 0, '10.0.0.1/24');
    this.b = this.stack('b', options, 1, '10.0.0.2/24');
  }

  private stack(name: string, options: PairOptions, n: 0 | 1, address: string): Stack {
    const stack = new Stack(name, createNodeHost(), new Sysctl('linux', options.sysctl), {
      failed: (error) => this.failures.push(error),
      conflict: () => {},
      link: () => {},
    });
    stack.addAddress(stack.addInterface('eth0', this.devices[n]), prefix(address));
    return stack;
  }

  /** Closes both; nothing is left of either. */
  close(): void {
    this.a.close();
    this.b.close();
    if (this.failures[0] !== undefined) throw this.failures[0];
    assertEmpty(this.a);
    assertEmpty(this.b);
  }
}

/** The arguments of the next `event`. */
export async function next<T extends unknown[]>(emitter: NodeJS.EventEmitter, event: string): Promise<T> {
  return (await once(emitter, event)) as T;
}

/** Lets the loop turn until `fact` holds; a test that waits for ever ends by mocha's timeout. */
export async function until(fact: () => boolean): Promise<void> {
  while (!fact()) await new Promise((resolve) => setImmediate(resolve));
}

/** Milliseconds of real time. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
