import { AnyStack } from '../anystack.js';
import { ConfigError } from '../base/errors.js';
import { Prng } from '../base/prng.js';
import { type Micros, NEVER, seconds } from '../base/time.js';
import type { Config } from '../config/config.js';
import { FaultInjector } from '../hyper/fault-injector.js';
import { memoryLink } from '../hyper/memory-link.js';
import { VirtualClock, VirtualHost } from '../hyper/virtual-host.js';
import { SimCapture } from './capture.js';
import { SimClock } from './clock.js';
import { addressed, type LinkOptions, SimLink } from './link.js';

/** What is fixed for a whole simulation. */
export interface SimulationOptions {
  /** Of all chance: faults, sequence numbers, ports, jitter. Default 1. */
  readonly seed?: number;
  /** Writes down every frame at every end of every link: see `capture`. Default false. */
  readonly capture?: boolean;
  /** Wall clock at the start, µs since 1970. Default 2026-01-01T00:00:00Z. */
  readonly epoch?: Micros;
}

/** Distinct prefixes for links that name none. */
const LINKS_MAX = 65_536;

/**
 * Many stacks on links of any quality, on virtual time, from one seed. Core sockets and `runSync` give the same packets at the
 * same times on every machine. Programs that await use `run`, which moves time only when they have come to rest.
 * Not from the seed, and so not exact: Date, Math.random and what uses them (Date headers of HTTP), TLS's randomness,
 * and work of Node's thread pool (files, dns.lookup, crypto).
 */
export class Simulation {
  readonly seed: number;
  readonly clock: SimClock;
  readonly stacks: AnyStack[] = [];
  readonly links: SimLink[] = [];
  private readonly virtual = new VirtualClock();
  private readonly prng: Prng;
  private readonly epoch: Micros;
  private readonly recording: SimCapture | null;

  constructor(options: SimulationOptions = {}) {
    this.seed = options.seed ?? 1;
    this.prng = new Prng(this.seed);
    this.epoch = options.epoch ?? Date.UTC(2026, 0, 1) * 1_000;
    this.clock = new SimClock(this.virtual);
    const start = this.virtual.now;
    this.recording = options.capture === true ? new SimCapture(() => this.epoch + this.virtual.now - start) : null;
  }

  /** A stack of its own host. `config` is that of createStack; its devices come with `link`. */
  stack(name: string, config: Config = {}): AnyStack {
    const host = new VirtualHost({ clock: this.virtual, seed: this.prng.uint32(), epoch: this.epoch - this.virtual.now });
    const stack = new AnyStack({ ...config, name }, { host, recorded: 0 });
    this.stacks.push(stack);
    return stack;
  }

  /** Joins two stacks: each gets an interface `simN`, N counted over all links. */
  link(a: AnyStack, b: AnyStack, options: LinkOptions = {}): SimLink {
    const n = this.links.length;
    if (n >= LINKS_MAX) throw new ConfigError(`at most ${LINKS_MAX} links`);
    const { medium = 'ip', mtu = 1_500, forward = {}, backward = forward } = options;
    const name = `sim${n}`;
    const mac = (end: number): Uint8Array => Uint8Array.of(2, 0, n >> 8, n & 255, 0, end);
    const ports = memoryLink({ medium, mtu, ...(medium === 'ethernet' ? { macs: [mac(1), mac(2)] } : {}) });
    const injectors = [
      new FaultInjector(ports[0], this.virtual, { seed: this.prng.uint32(), tx: forward }),
      new FaultInjector(ports[1], this.virtual, { seed: this.prng.uint32(), tx: backward }),
    ] as const;
    const addresses =
      options.addresses ??
      ([1, 2].map((host) => [`10.${n >> 8}.${n & 255}.${host}/24`, `fd00:${n.toString(16)}::${host}/64`]) as [string[], string[]]);
    const ends = [a, b].map((stack, i) => {
      const device = injectors[i as 0 | 1];
      const watched = this.recording?.watch(device, `${stack.name}/${name}`) ?? device;
      return addressed(stack, stack.core.addInterface(name, watched), addresses[i as 0 | 1]);
    }) as unknown as SimLink['ends'];
    const link = new SimLink(ends, injectors, ports);
    this.links.push(link);
    return link;
  }

  /** Virtual time since the start. */
  get now(): Micros {
    return this.clock.now;
  }

  /** Runs everything up to `span` from now, for core sockets: synchronous, and exact to the octet. Default: until nothing is left to do. */
  runSync(span: Micros = NEVER): void {
    if (span === NEVER) while (this.virtual.step());
    else this.virtual.run(this.virtual.now + span);
  }

  /** Runs until `done` answers true, at most `span`: whether it did. */
  runUntil(done: () => boolean, span: Micros = seconds(3_600)): boolean {
    const until = this.virtual.now + span;
    while (!done()) if (this.virtual.next() > until || !this.virtual.step()) return false;
    return true;
  }

  /**
   * Runs programs that await up to `span` from now, or until `done` settles: promises, ticks and immediates of one instant are
   * drained before time moves. Answers what `done` resolves to.
   */
  async run<T = void>(span: Micros | PromiseLike<T>, limit: Micros = seconds(3_600)): Promise<T | undefined> {
    if (typeof span === 'number') {
      await this.clock.drive(this.virtual.now + span, () => false);
      return undefined;
    }
    let settled = false;
    const end = (): void => {
      settled = true;
    };
    span.then(end, end);
    await this.clock.drive(this.virtual.now + limit, () => settled);
    if (!settled) throw new SimulationTimeout(limit);
    return span;
  }

  /** The pcapng file so far; empty unless asked for at the start. */
  capture(): Uint8Array {
    return this.recording?.file() ?? new Uint8Array(0);
  }

  /** Ends all stacks. What they held is given back; see `leaks`. */
  close(): void {
    for (const stack of this.stacks) void stack.close();
    this.virtual.run(this.virtual.now);
  }
}

/** What a run waited for did not come in the time given. */
export class SimulationTimeout extends Error {
  override readonly name = 'SimulationTimeout';

  constructor(limit: Micros) {
    super(`what the simulation ran for did not come within ${limit / 1e6} s of virtual time`);
  }
}
