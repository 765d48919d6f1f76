import { type Address, compareAddresses } from '../../base/address.js';
import { type Micros, millis } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import { Priority } from '../../wire/vrrp.js';
import type { Context } from '../context.js';
import type { Interface, Station } from '../interface.js';
import { TimerKind } from '../timer-kind.js';

/** How one virtual router is set. */
export interface VirtualRouterOptions {
  /** VRID, [1, 255]. */
  readonly id: number;
  /** Of one family, not empty; of IPv6 the first is link-local (RFC 9568 §5.2.9). */
  readonly addresses: readonly Address[];
  /** [1, 255]; 255: the addresses are our own. */
  readonly priority: number;
  /** Hundredths of a second, [1, 4095]. */
  readonly interval: number;
  /** A router of lower priority is relieved. */
  readonly preempt: boolean;
  /** Packets to the addresses are ours, not only those through them: Accept_Mode. */
  readonly accept: boolean;
  /** IPv4 checksums cover a pseudo header, as some read RFC 5798 §5.2.8. */
  readonly pseudoHeader: boolean;
}

/** RFC 9568 §6.3. */
export type VirtualRouterState = 'initialize' | 'backup' | 'active';

/** What an advertisement says. */
export interface Advertisement {
  readonly source: Address;
  readonly priority: number;
  /** Hundredths of a second. */
  readonly interval: number;
}

/** What the machine has done to the world. */
export interface VirtualRouterEvents {
  /** Sends an advertisement of this priority. */
  advertise(router: VirtualRouter, priority: number): void;
  /** The addresses are ours from now on, and neighbours are told. */
  takeOver(router: VirtualRouter): void;
  /** They are another's. */
  giveUp(router: VirtualRouter): void;
  /** Our address on the link, null while there is none. */
  primary(router: VirtualRouter): Address | null;
}

/** A hundredth of a second. */
const centis = (n: number): Micros => millis(10 * n);

/** One virtual router on one interface: RFC 9568 §6.4, as it stands there. */
export class VirtualRouter {
  readonly iface: Interface;
  readonly options: VirtualRouterOptions;
  readonly v4: boolean;
  /** 00-00-5E-00-01-XX, or -02-XX: §7.3. */
  readonly station: Station;
  state: VirtualRouterState = 'initialize';
  /** Who is active, null while nobody is known. */
  active: Address | null = null;
  /** Times we took over. */
  takeovers = 0;
  private readonly ctx: Context;
  private readonly events: VirtualRouterEvents;
  /** Adver_Timer of the active router, Active_Down_Timer of a backup: there is never more than one. */
  private readonly timer: Timer;
  /** Active_Adver_Interval: what the active router says. */
  private activeInterval: number;

  constructor(ctx: Context, iface: Interface, options: VirtualRouterOptions, events: VirtualRouterEvents) {
    this.ctx = ctx;
    this.iface = iface;
    this.options = options;
    this.events = events;
    this.v4 = (options.addresses[0] as Address).isV4;
    this.station = { high: 0x0000, low: (this.v4 ? 0x5e000100 : 0x5e000200) | options.id };
    this.activeInterval = options.interval;
    this.timer = new Timer(TimerKind.VirtualRouter, this);
  }

  /** §6.1: what a backup waits beyond three intervals, the shorter the higher its priority. */
  private get skew(): Micros {
    return (centis(this.activeInterval) * (256 - this.options.priority)) / 256;
  }

  private get downInterval(): Micros {
    return 3 * centis(this.activeInterval) + this.skew;
  }

  private arm(span: Micros): void {
    this.ctx.wheel.arm(this.timer, this.ctx.now + span);
  }

  /** §6.4.1: the interface is up and has an address. */
  startup(): void {
    if (this.state !== 'initialize') return;
    const { options } = this;
    this.activeInterval = options.interval;
    if (options.priority === Priority.Owner) this.become();
    else {
      this.state = 'backup';
      this.arm(this.downInterval);
    }
  }

  /** §6.4.2, §6.4.3: we leave, and say so if anybody can hear it. */
  shutdown(): void {
    this.ctx.wheel.cancel(this.timer);
    if (this.state === 'active') {
      this.events.advertise(this, Priority.Resigns);
      this.events.giveUp(this);
    }
    this.state = 'initialize';
    this.active = null;
  }

  private become(): void {
    this.state = 'active';
    this.active = this.events.primary(this);
    this.takeovers++;
    this.events.advertise(this, this.options.priority);
    this.events.takeOver(this);
    this.arm(centis(this.options.interval));
  }

  expire(): void {
    if (this.state === 'backup') this.become();
    else {
      this.events.advertise(this, this.options.priority);
      this.arm(centis(this.options.interval));
    }
  }

  /** An advertisement that has passed the checks of §7.1. */
  heard(advertisement: Advertisement): void {
    if (this.state === 'backup') this.heardAsBackup(advertisement);
    else if (this.state === 'active') this.heardAsActive(advertisement);
  }

  private heardAsBackup({ source, priority, interval }: Advertisement): void {
    const { options } = this;
    if (priority === Priority.Resigns) this.arm(this.skew);
    else if (!options.preempt || priority >= options.priority) {
      this.activeInterval = interval;
      this.active = source.clone();
      this.arm(this.downInterval);
    }
  }

  private heardAsActive({ source, priority, interval }: Advertisement): void {
    const { options, events } = this;
    const own = events.primary(this);
    const yields = priority > options.priority || (priority === options.priority && own !== null && compareAddresses(source, own) > 0);
    if (priority === Priority.Resigns || !yields) {
      events.advertise(this, options.priority); // asserts who is active, to the sender and to the switches between
      this.arm(centis(options.interval));
      return;
    }
    events.giveUp(this);
    this.state = 'backup';
    this.activeInterval = interval;
    this.active = source.clone();
    this.arm(this.downInterval);
  }
}
