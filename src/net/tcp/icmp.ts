import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import { seqGte, seqLt } from '../../base/sequence.js';
import * as wire from '../../wire/tcp.js';
import { Counter } from '../counters.js';
import type { IcmpError } from '../ip/service.js';
import { CaState } from './info.js';
import { refreshPath } from './paths.js';
import { State } from './states.js';
import type { Tcb } from './tcb.js';
import type { Tcp } from './tcp.js';

/**
 * An ICMP error about a segment of `tcb`'s (RFC 9293 §3.9.2.2, MUST-54 to MUST-56). Believed only when it quotes a sequence number in flight
 * (RFC 5927 §4.1). Soft ones are remembered, hard ones end an attempt to connect but no connection (RFC 5461, 5927 §5.2).
 */
export function icmpArrives(tcp: Tcp, tcb: Tcb, error: IcmpError): void {
  const { snd } = tcb;
  const seq = wire.seq(error.view, error.at);
  if (!(seqGte(seq, snd.una) && seqLt(seq, snd.nxt)) || tcb.state === State.Closed) return tcp.ctx.countDrop(Drop.IcmpErrorForged);
  if (error.kind === 'too-big') return tooBig(tcp, tcb, error);
  // MUST-55: a source quench says nothing any more (RFC 6633).
  if (error.kind === 'source-quench') return;
  tcb.softError = error.errno;
  tcb.socket?.report(0);
  if (tcb.state === State.SynSent || tcb.state === State.SynReceived) {
    if (!error.hard) return;
    tcp.ctx.counters.count(Counter.TcpAttemptFails);
    tcp.finish(tcb, error.errno || Errno.ECONNREFUSED);
  }
}

/** RFC 1191 §6.4, RFC 8201: the path MTU falls, and what was too long goes out again at once. */
function tooBig(tcp: Tcp, tcb: Tcb, error: IcmpError): void {
  const { path, flight } = tcb;
  if (path === null || error.mtu >= path.mtu) return tcp.ctx.countDrop(Drop.IcmpErrorForged);
  tcp.ip.learnMtu(tcb.remote, error.inIndex, error.mtu);
  if (refreshPath(tcb) === null || flight === null) return;
  // Lost, but not to congestion: no window shrinks for it.
  for (let sent = flight.head; sent !== null; sent = sent.next) if (sent.octets > tcb.snd.mss) flight.markLost(sent);
  if (flight.lost > 0 && flight.state < CaState.Recovery) tcb.snd.cwnd = Math.max(tcb.snd.cwnd, tcb.snd.mss);
  tcp.touch(tcb);
}
