import type { Micros } from '../base/time.js';
import type { PortIo } from './native.js';
import type { Timing } from './timing.js';

/** What a host lends its devices. */
export interface DeviceContext extends Timing {
  /** Batched frames over descriptors: the addon, else koffi in its place. Throws NetError ENOSYS where neither is to be had. */
  portIo(): PortIo;
  random(into: Uint8Array): void;
  /** Since the epoch. */
  wallClock(): Micros;
  /**
   * Bracket the calls of a device's events that come from the host's loop: a poll asked for in between runs at `leave`,
   * without another turn of the loop.
   */
  enter(): void;
  leave(): void;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void;
}
