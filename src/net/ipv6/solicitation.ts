import type { Address } from '../../base/address.js';
import { seconds } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import { TimerKind } from '../timer-kind.js';
import type { NdSender } from './nd-sender.js';

interface Asking {
  readonly timer: Timer;
  sent: number;
  interval: number;
}

/** Router solicitations: RFC 4861 §6.3.7, going on with growing pauses until a router answers (RFC 7559). */
export class RouterSolicitations {
  private readonly ctx: Context;
  private readonly sender: NdSender;
  private readonly asking = new Map<Interface, Asking>();

  constructor(ctx: Context, sender: NdSender) {
    this.ctx = ctx;
    this.sender = sender;
  }

  /** Begins anew. Duplicate detection has waited at random before, so the first goes out at once (RFC 4861 §6.3.7). */
  begin(iface: Interface): void {
    this.end(iface);
    if (iface.conf6.router_solicitations === 0) return;
    const asking: Asking = { timer: new Timer(TimerKind.RouterSolicit, { expire: () => this.ask(iface, asking) }), sent: 0, interval: 0 };
    this.asking.set(iface, asking);
    this.ask(iface, asking);
  }

  private ask(iface: Interface, asking: Asking): void {
    const { conf6 } = iface;
    const most = conf6.router_solicitations;
    if (!iface.running || (most >= 0 && asking.sent >= most)) {
      this.asking.delete(iface);
      return;
    }
    asking.sent++;
    this.sender.routerSolicitation(iface, linkLocalOf(iface));
    // RFC 8415 §15, as RFC 7559 §2 has it: RT = 2 RTprev + RAND RTprev, RAND within a tenth; never less than RFC 4861 §6.3.7's pause.
    const jitter = 0.1 * this.ctx.prng.float();
    const first = seconds(conf6.router_solicitation_interval);
    const longest = seconds(conf6.router_solicitation_max_interval);
    asking.interval = asking.interval === 0 ? first * (1 + jitter) : asking.interval * (2 + jitter);
    if (asking.interval > longest) asking.interval = longest * (1 + jitter);
    this.ctx.wheel.arm(asking.timer, this.ctx.now + asking.interval);
  }

  /** A router has answered, or the interface is down. */
  end(iface: Interface): void {
    const asking = this.asking.get(iface);
    if (asking === undefined) return;
    this.ctx.wheel.cancel(asking.timer);
    this.asking.delete(iface);
  }
}

/** The interface's link-local address in use, or null. */
export function linkLocalOf(iface: Interface): Address | null {
  for (const a of iface.addresses)
    if (!a.address.isV4 && a.address.isLinkLocal && (a.state === 'preferred' || a.state === 'deprecated')) return a.address;
  return null;
}
