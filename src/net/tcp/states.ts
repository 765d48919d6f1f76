import { assert } from '../../base/assert.js';
import type { Tcb } from './tcb.js';

/** RFC 9293 §3.3.2. The order is used: from Established on a connection is synchronized. */
export const State = {
  Closed: 0,
  Listen: 1,
  SynSent: 2,
  SynReceived: 3,
  Established: 4,
  FinWait1: 5,
  FinWait2: 6,
  CloseWait: 7,
  Closing: 8,
  LastAck: 9,
  TimeWait: 10,
} as const;

/** Names by State value, as RFC 9293 writes them. */
export const stateNames = [
  'CLOSED',
  'LISTEN',
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  'TIME-WAIT',
] as const;

/** By state a bit for each state it may go to: RFC 9293 figure 5, and to CLOSED from everywhere (reset, abort, timeout). */
const edges: readonly number[] = [
  /* Closed      */ bits(State.SynSent, State.SynReceived, State.Established),
  /* Listen      */ 0,
  /* SynSent     */ bits(State.SynReceived, State.Established, State.Closed),
  /* SynReceived */ bits(State.Established, State.FinWait1, State.CloseWait, State.Closed),
  /* Established */ bits(State.FinWait1, State.CloseWait, State.Closed),
  /* FinWait1    */ bits(State.FinWait2, State.Closing, State.TimeWait, State.Closed),
  /* FinWait2    */ bits(State.TimeWait, State.Closed),
  /* CloseWait   */ bits(State.LastAck, State.Closed),
  /* Closing     */ bits(State.TimeWait, State.Closed),
  /* LastAck     */ bits(State.Closed),
  /* TimeWait    */ bits(State.Closed),
];

function bits(...states: number[]): number {
  return states.reduce((set, state) => set | (1 << state), 0);
}

/** The one place where a connection changes its state. Asserts the edge. */
export function enter(tcb: Tcb, state: number): void {
  const from = tcb.state;
  assert(((edges[from] as number) & (1 << state)) !== 0, `no way leads from ${stateNames[from]} to ${stateNames[state]}`);
  tcb.state = state;
  const { observer } = tcb.tcp.ctx;
  if (observer.state !== null) observer.state('tcp', stateNames[from] as string, stateNames[state] as string);
}

/** True where the peer's data is still to come: RFC 9293 §3.10.7.4 seventh. */
export const receives = (state: number): boolean => state === State.Established || state === State.FinWait1 || state === State.FinWait2;

/** True where the application may still write. */
export const sends = (state: number): boolean => state === State.Established || state === State.CloseWait;
