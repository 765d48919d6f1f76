/** Hypercalls in a browser page or a worker of one: web APIs only, and devices that a page can have. */
import { ConfigError } from '../base/errors.js';
import { type Micros, NEVER } from '../base/time.js';
import { AlarmQueue, type QueuedAlarm } from './alarm-queue.js';
import type { Crypto } from './crypto.js';
import { nearest } from './device-spec.js';
import type { Device, DeviceSpec, Hypercalls, Store } from './hypercalls.js';
import { memoryStore } from './memory-store.js';
import type { Timing } from './timing.js';
import { NO_CRYPTO } from './virtual-host.js';
import { openWebSocket } from './websocket.js';

/** What a page may give its stack. */
export interface BrowserHostOptions {
  /** Default: a host without algorithms, since WebCrypto answers with promises only: no IPsec then. anystack/hyper/noble has them. */
  readonly crypto?: Crypto;
  /** Default: in memory. A page may give one over localStorage. */
  readonly store?: Store;
  /** Default: 'warn' and 'error' to the console. */
  readonly log?: (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void;
}

/** A host for one stack. */
export function createBrowserHost(options: BrowserHostOptions = {}): Hypercalls & Timing {
  return new BrowserHost(options);
}

/** What getRandomValues gives in one call. */
const RANDOM_MAX = 65_536;
const TIMEOUT_MAX = 2 ** 31 - 1;

class BrowserHost implements Hypercalls, Timing {
  readonly crypto: Crypto;
  readonly store: Store;
  private readonly alarms = new AlarmQueue(() => this.arm());
  private readonly wake: QueuedAlarm;
  private readonly logger: (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void;
  /** A message to ourselves is a turn of its own without setTimeout's least wait of 4 ms. */
  private readonly channel = new MessageChannel();
  private timeout: ReturnType<typeof setTimeout> | undefined;
  private armed: Micros = NEVER;
  private asked = false;
  private poll: () => void = () => {};

  constructor(options: BrowserHostOptions) {
    this.crypto = options.crypto ?? NO_CRYPTO;
    this.store = options.store ?? memoryStore();
    this.logger = options.log ?? logToConsole;
    this.wake = this.alarms.alarm(() => this.poll());
    this.channel.port1.onmessage = () => {
      this.asked = false;
      this.poll();
    };
    // Node runs this host in tests: there an open port would keep the process.
    (this.channel.port1 as MessagePort & { unref?(): void }).unref?.();
  }

  attach(poll: () => void): void {
    this.poll = poll;
  }

  monotonic(): Micros {
    return performance.now() * 1_000;
  }

  wallClock(): Micros {
    return Date.now() * 1_000;
  }

  /** The wall clock runs through suspend, and is all that a page has of that kind: setting it moves leases. */
  bootTime(): Micros {
    return this.wallClock();
  }

  random(into: Uint8Array): void {
    for (let at = 0; at < into.length; at += RANDOM_MAX) {
      const part = new Uint8Array(Math.min(RANDOM_MAX, into.length - at));
      into.set(globalThis.crypto.getRandomValues(part), at);
    }
  }

  wakeAt(at: Micros): void {
    this.wake.set(at);
  }

  soon(): void {
    if (this.asked) return;
    this.asked = true;
    this.channel.port2.postMessage(0);
  }

  hold(): void {}

  release(): void {}

  open(spec: DeviceSpec): Device {
    if (spec.type === 'memory') return spec['device'] as Device;
    if (spec.type === 'websocket') return openWebSocket(spec, this);
    throw new ConfigError(`no device type '${spec.type}' in a browser; did you mean '${nearest(spec.type, ['memory', 'websocket'])}'?`);
  }

  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void {
    this.logger(level, message);
  }

  alarm(fire: () => void): QueuedAlarm {
    return this.alarms.alarm(fire);
  }

  private arm(): void {
    const at = this.alarms.next();
    if (at >= this.armed) return;
    this.armed = at;
    clearTimeout(this.timeout);
    const ms = Math.ceil((at - this.monotonic()) / 1_000);
    this.timeout = setTimeout(() => this.fireDue(), Math.min(Math.max(ms, 0), TIMEOUT_MAX));
  }

  private fireDue(): void {
    this.armed = NEVER;
    const now = this.monotonic();
    try {
      for (let n = this.alarms.size; n > 0 && this.alarms.next() <= now; n--) this.alarms.take()?.fire();
    } finally {
      if (this.alarms.size > 0) this.arm();
    }
  }
}

function logToConsole(level: string, message: string): void {
  if (level === 'warn') console.warn(message);
  if (level === 'error') console.error(message);
}
