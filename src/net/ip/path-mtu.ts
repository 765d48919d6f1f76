import { type Address, mixAddress } from '../../base/address.js';
import { type Micros, seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Context } from '../context.js';
import { TimerKind } from '../timer-kind.js';

/** Destinations whose path MTU is remembered; the oldest is forgotten. A stranger can fill it only by quoting packets we sent. */
const PATH_MTU_MAX = 1_024;

const plateaus: readonly number[] = [65_535, 32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296];

/** The MTU to try when one of a packet of `octets` failed and the router does not tell: RFC 1191 §7.1. */
export const plateauBelow = (octets: number): number => plateaus.find((p) => p < octets) ?? 68;

interface Entry {
  readonly destination: Address;
  readonly vrf: number;
  mtu: number;
  expires: Micros;
}

/** Path MTUs learned from too-big errors. RFC 1191 §6.3, RFC 8201 §5.3: forgotten after ten minutes, so that a longer path is found again. */
export class PathMtu {
  private readonly ctx: Context;
  /** In order of learning. */
  private readonly entries = new Map<number, Entry>();
  /** At the expiry of the oldest entry. */
  private readonly timer: Timer;
  /** Paths were made with an MTU that is believed no longer. */
  private readonly forgotten: () => void;

  constructor(ctx: Context, forgotten: () => void) {
    this.ctx = ctx;
    this.forgotten = forgotten;
    this.timer = new Timer(TimerKind.PathMtu, { owner: this });
  }

  /** The learned MTU, or Infinity. */
  get(destination: Address, vrf: number): number {
    if (this.entries.size === 0) return Number.POSITIVE_INFINITY;
    const key = this.key(destination, vrf);
    const entry = this.entries.get(key);
    if (entry === undefined || entry.vrf !== vrf || !entry.destination.equals(destination)) return Number.POSITIVE_INFINITY;
    return entry.mtu;
  }

  /** Lowers the MTU; true when that changed something. Never raises it (RFC 8201 §4). */
  lower(destination: Address, vrf: number, mtu: number): boolean {
    if (mtu >= this.get(destination, vrf)) return false;
    const key = this.key(destination, vrf);
    this.entries.delete(key);
    if (this.entries.size >= PATH_MTU_MAX) this.entries.delete(this.entries.keys().next().value as number);
    if (!this.timer.armed) this.ctx.wheel.arm(this.timer, this.ctx.now + seconds(this.ctx.sysctl.v['net.ipv4.route.mtu_expires']));
    this.entries.set(key, {
      destination: destination.clone(),
      vrf,
      mtu,
      expires: this.ctx.now + seconds(this.ctx.sysctl.v['net.ipv4.route.mtu_expires']),
    });
    return true;
  }

  expire(): void {
    for (const [key, entry] of this.entries) {
      if (entry.expires > this.ctx.now) {
        this.ctx.wheel.arm(this.timer, entry.expires);
        break;
      }
      this.entries.delete(key);
    }
    this.forgotten();
  }

  purge(): void {
    this.entries.clear();
    this.ctx.wheel.cancel(this.timer);
  }

  list(): { destination: Address; vrf: number; mtu: number; expires: Micros }[] {
    return [...this.entries.values()];
  }

  private key(destination: Address, vrf: number): number {
    return mixAddress((this.ctx.secret[1] as number) ^ vrf, destination);
  }
}
