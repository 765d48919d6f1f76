import { Drop } from '../../base/drops.js';
import type { Packet } from '../../base/packet.js';
import { Counter } from '../counters.js';
import { Flag, type Segment } from './segment.js';
import { sendAnswer, sendSegment } from './segment-out.js';
import type { Tcb } from './tcb.js';
import type { Tcp } from './tcp.js';

/** RST on a connection: <SEQ=SND.NXT><CTL=RST,ACK>. */
export function sendReset(tcb: Tcb): void {
  tcb.tcp.ctx.counters.count(Counter.TcpOutRsts);
  sendSegment(tcb, tcb.snd.nxt, 0, Flag.Rst, tcb.snd.mss, false);
}

/**
 * RST for a segment that no connection takes (RFC 9293 §3.10.7.1): with its ACK as sequence number, or acknowledging it.
 * Never in answer to a RST, and not more often than anystack.tcp_answers_limit. `packet` stays the caller's.
 */
export function refuse(tcp: Tcp, packet: Packet, seg: Segment): void {
  if (seg.flags & Flag.Rst) return;
  if (!tcp.mayAnswer()) return tcp.ctx.countDrop(Drop.TcpAnswerLimited);
  tcp.ctx.counters.count(Counter.TcpOutRsts);
  if (seg.flags & Flag.Ack) sendAnswer(tcp, packet, seg.ack, 0, Flag.Rst);
  else sendAnswer(tcp, packet, 0, (seg.seq + seg.len) | 0, Flag.Rst | Flag.Ack);
}
