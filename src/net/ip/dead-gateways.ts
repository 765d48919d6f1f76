import { type Address, formatAddress } from '../../base/address.js';
import { seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Context } from '../context.js';
import type { Interfaces } from '../interfaces.js';
import { TimerKind } from '../timer-kind.js';
import type { Hop } from './route.js';
import type { Routes } from './routes.js';

/** Gateways remembered as dead; while there are more, the oldest counts as alive again. */
const DEAD_MAX = 64;
/** Dead gateways are asked whether they are back, ever more rarely: it is to be found out, and nobody is to be asked all the time (RFC 1122 §3.3.1.4). */
const RETRY_MIN = seconds(10);
const RETRY_MAX = seconds(320);

interface Dead {
  readonly index: number;
  readonly address: Address;
}

/** Gateways that do not answer: routes through others are taken instead, where there are some. RFC 1122 §3.3.1.5, RFC 1812 §5.2.1. */
export class DeadGateways {
  private readonly ctx: Context;
  private readonly routes: Routes;
  private readonly interfaces: Interfaces;
  /** In order of death. */
  private readonly all = new Map<string, Dead>();
  private readonly timer: Timer;
  private wait = RETRY_MIN;

  constructor(ctx: Context, routes: Routes, interfaces: Interfaces) {
    this.ctx = ctx;
    this.routes = routes;
    this.interfaces = interfaces;
    this.timer = new Timer(TimerKind.Gateway, this);
  }

  has({ index, gateway }: Hop): boolean {
    return gateway !== null && this.all.has(keyOf(index, gateway));
  }

  /** A neighbour has stopped answering, or answers again. */
  heard(index: number, address: Address, answers: boolean): void {
    const key = keyOf(index, address);
    if (answers ? !this.all.delete(key) : this.all.has(key) || !this.routes.leadsBy(index, address)) return;
    if (!answers) {
      if (this.all.size >= DEAD_MAX) this.all.delete(this.all.keys().next().value as string);
      this.all.set(key, { index, address: address.clone() });
      this.wait = RETRY_MIN;
      this.ctx.wheel.arm(this.timer, this.ctx.now + this.wait);
    }
    this.changed();
  }

  private changed(): void {
    if (this.all.size === 0) this.ctx.wheel.cancel(this.timer);
    this.routes.dead = this.all.size === 0 ? null : this;
    this.routes.invalidate();
  }

  expire(): void {
    for (const [key, { index, address }] of this.all) {
      const table = this.interfaces.at(index)?.neighbors ?? null;
      if (table === null || !this.routes.leadsBy(index, address)) this.all.delete(key);
      else table.ask(address);
    }
    this.wait = Math.min(2 * this.wait, RETRY_MAX);
    if (this.all.size > 0) this.ctx.wheel.arm(this.timer, this.ctx.now + this.wait);
    this.changed();
  }

  /** The interface goes, or the stack does. */
  forget(index: number): void {
    for (const [key, dead] of this.all) if (dead.index === index) this.all.delete(key);
    this.changed();
  }
}

const keyOf = (index: number, address: Address): string => `${index} ${formatAddress(address)}`;
