/** Hypercalls on Node: libuv's loop, the addon where there is one, files, node:crypto. */
import { randomFillSync } from 'node:crypto';
import { assert } from '../base/assert.js';
import { NetError } from '../base/errors.js';
import { type Micros, NEVER } from '../base/time.js';
import { AlarmQueue, type QueuedAlarm } from './alarm-queue.js';
import type { Crypto } from './crypto.js';
import type { DeviceContext } from './device-context.js';
import { fileStore } from './file-store.js';
import type { Device, DeviceSpec, Hypercalls, Store } from './hypercalls.js';
import { memoryStore } from './memory-store.js';
import { loadNative, type Native, type NativeTimer, type PortIo } from './native.js';
import { nodeCrypto } from './node-crypto.js';
import { openDevice } from './open-device.js';
import { tapFfi } from './tap-ffi.js';

/** What a program may give the host of its stack. */
export interface NodeHostOptions {
  /** Folder of the store, made with mode 0700 when missing. Default: a store in memory. */
  readonly storePath?: string;
  /** Where log lines go. Default: 'warn' and 'error' to stderr. */
  readonly log?: (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void;
  /** False: without the addon, as where it cannot be built. Default true. */
  readonly native?: boolean;
}

/** A host for one stack. */
export function createNodeHost(options: NodeHostOptions = {}): Hypercalls & DeviceContext {
  return new NodeHost(options);
}

/** Longest setTimeout; a later alarm is armed again. */
const TIMEOUT_MAX = 2 ** 31 - 1;

class NodeHost implements Hypercalls, DeviceContext {
  private readonly native: Native | null;
  private ports: PortIo | null;
  readonly crypto: Crypto;
  readonly store: Store;
  private readonly alarms = new AlarmQueue(() => this.arm());
  private readonly wake: QueuedAlarm;
  private readonly timer: NativeTimer | null;
  private timeout: NodeJS.Timeout | null = null;
  /** What the timer is set for; earlier alarms move it, later ones wait until it fires for nothing. */
  private armed: Micros = NEVER;
  private readonly logger: (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void;
  private poll: () => void = () => {};
  private readonly onImmediate = (): void => this.runSoon();
  private readonly onTimer = (): void => this.fireDue();
  /** Calls from the loop under way: see enter. */
  private depth = 0;
  private asked = false;
  private polling = false;
  private immediate = false;
  private holds = 0;
  private keeper: NodeJS.Timeout | null = null;

  constructor(options: NodeHostOptions) {
    this.native = options.native === false ? null : loadNative();
    this.ports = this.native;
    this.logger = options.log ?? logToStderr;
    this.crypto = nodeCrypto(this.native);
    this.store = options.storePath === undefined ? memoryStore() : fileStore(options.storePath);
    this.wake = this.alarms.alarm(() => {
      this.asked = true;
    });
    const timer = this.native?.timer(this.onTimer) ?? null;
    this.timer = typeof timer === 'number' ? null : timer;
  }

  attach(poll: () => void): void {
    this.poll = poll;
  }

  monotonic(): Micros {
    if (this.native !== null) return this.native.monotonic();
    // Half of what performance.now costs.
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1e6 + nanoseconds / 1e3;
  }

  wallClock(): Micros {
    return (performance.timeOrigin + performance.now()) * 1_000;
  }

  /** Without the addon it stands still while the machine sleeps, like monotonic: leases are then renewed late. */
  bootTime(): Micros {
    return this.native?.bootTime() ?? this.monotonic();
  }

  random(into: Uint8Array): void {
    randomFillSync(into);
  }

  wakeAt(at: Micros): void {
    this.wake.set(at);
  }

  /**
   * By setImmediate: behind all microtasks of the turn, and behind the other descriptors that are ready, whose frames
   * then share the poll. A tick behind the microtasks would come 1 µs earlier and could starve the loop. Within enter … leave the poll comes at leave.
   */
  soon(): void {
    this.asked = true;
    if ((this.depth > 0 && !this.polling) || this.immediate) return;
    this.immediate = true;
    setImmediate(this.onImmediate);
  }

  enter(): void {
    this.depth++;
  }

  leave(): void {
    this.depth--;
    // A device may tell something while it is being polled: that poll comes in a turn of its own.
    if (this.depth > 0 || this.polling || !this.asked) return;
    this.run();
  }

  hold(): void {
    this.holds++;
    this.keeper ??= setInterval(() => {}, TIMEOUT_MAX);
  }

  release(): void {
    assert(this.holds > 0, 'each release answers a hold');
    if (--this.holds > 0 || this.keeper === null) return;
    clearInterval(this.keeper);
    this.keeper = null;
  }

  open(spec: DeviceSpec): Device {
    return openDevice(spec, this);
  }

  portIo(): PortIo {
    if (this.ports !== null) return this.ports;
    this.ports = tapFfi();
    if (this.ports === null) {
      throw new NetError(
        'ENOSYS',
        'open',
        undefined,
        undefined,
        'needs the addon (a C compiler, then node scripts/build-native.mjs) or the npm package koffi',
      );
    }
    this.log('warn', 'native addon missing: frames go through koffi, with more latency and about two thirds of the packet rate');
    return this.ports;
  }

  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void {
    this.logger(level, message);
  }

  alarm(fire: () => void): QueuedAlarm {
    return this.alarms.alarm(fire);
  }

  private runSoon(): void {
    this.immediate = false;
    if (this.asked) this.run();
  }

  /** What the poll itself asks for waits for the microtasks it caused. */
  private run(): void {
    this.asked = false;
    this.polling = true;
    try {
      this.poll();
    } finally {
      this.polling = false;
    }
  }

  private arm(): void {
    const at = this.alarms.next();
    if (at >= this.armed) return;
    this.armed = at;
    if (this.timer !== null) {
      this.native?.timerSet(this.timer, at);
      return;
    }
    if (this.timeout !== null) clearTimeout(this.timeout);
    const ms = Math.ceil((at - this.monotonic()) / 1_000);
    this.timeout = setTimeout(this.onTimer, Math.min(Math.max(ms, 0), TIMEOUT_MAX));
    this.timeout.unref();
  }

  private fireDue(): void {
    this.armed = NEVER;
    const now = this.monotonic();
    this.enter();
    try {
      // Those set meanwhile for a time already past wait for the next turn: fire() could set itself for ever.
      for (let n = this.alarms.size; n > 0 && this.alarms.next() <= now; n--) this.alarms.take()?.fire();
    } finally {
      this.leave();
      if (this.alarms.size > 0) this.arm();
    }
  }
}

function logToStderr(level: string, message: string): void {
  if (level === 'warn' || level === 'error') process.stderr.write(`anystack: ${message}\n`);
}
