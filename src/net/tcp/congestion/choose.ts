import type { Tcb } from '../tcb.js';
import { Bbr } from './bbr.js';
import type { Congestion } from './controller.js';
import { Cubic } from './cubic.js';
import { NewReno } from './newreno.js';

/** Names that TCP_CONGESTION takes: one line here and one in the tunable for each controller. */
export const congestionNames: readonly string[] = ['cubic', 'reno', 'bbr'];

/** The controller of that name; CUBIC for a name nobody knows. */
export function makeCongestion(tcb: Tcb, name: string): Congestion {
  if (name === 'bbr') return new Bbr(tcb);
  const hystart = tcb.tcp.ctx.sysctl.v['anystack.tcp_hystart'];
  return name === 'reno' ? new NewReno(tcb, hystart) : new Cubic(tcb, hystart);
}
