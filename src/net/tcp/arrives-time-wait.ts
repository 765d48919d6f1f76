import { Drop } from '../../base/drops.js';
import type { Packet } from '../../base/packet.js';
import { seqGt, seqGte, seqLte } from '../../base/sequence.js';
import { Flag, type Segment } from './segment.js';
import { sendStamped } from './segment-out.js';
import type { Tcp } from './tcp.js';
import type { TimeWait } from './time-wait.js';

/** A timestamp this old cannot be compared any more. RFC 7323 §5.5, in seconds. */
const STAMP_AGE_S = 24 * 24 * 3_600;

/**
 * SEGMENT ARRIVES in TIME-WAIT, RFC 9293 §3.10.7.4. Returns a drop reason, 0 when it was taken in, or −1: the segment is a SYN for a
 * new connection, the old one is gone (MAY-2, RFC 6191), and a listener should look at it.
 */
export function segmentArrivesTimeWait(tcp: Tcp, entry: TimeWait, seg: Segment, packet: Packet): number {
  const { options } = seg;
  const newer = (options.tsVal - entry.tsRecent) | 0;
  if (seg.flags & Flag.Rst) {
    // An old duplicate could assassinate TIME-WAIT (RFC 1337), so by default it does not.
    if (seg.seq === entry.rcvNxt && tcp.ctx.sysctl.v['net.ipv4.tcp_rfc1337'] === 0) tcp.timeWaits.end(entry);
    return Drop.TcpRstNoConnection;
  }
  if ((seg.flags & (Flag.Syn | Flag.Ack)) === Flag.Syn) {
    const aged = tcp.ctx.now / 1e6 - entry.tsRecentAt > STAMP_AGE_S;
    const fresh =
      entry.timestamps && options.timestamps ? newer > 0 || aged || (newer === 0 && seqGt(seg.seq, entry.rcvNxt)) : seqGt(seg.seq, entry.rcvNxt);
    if (fresh) {
      tcp.timeWaits.end(entry);
      return -1;
    }
  }
  if (entry.timestamps && options.timestamps && newer < 0) {
    answer(tcp, entry, packet);
    return Drop.TcpPaws;
  }
  // RFC 9293 §3.10.7.4 fifth: what lies in the window and has no ACK is dropped.
  if ((seg.flags & Flag.Ack) === 0 && seqGte(seg.seq, entry.rcvNxt)) return Drop.TcpNoAck;
  // A FIN sent again: our last ACK was lost, and 2 MSL begin anew.
  if (seg.flags & Flag.Fin && seqLte((seg.seq + seg.len) | 0, entry.rcvNxt)) tcp.timeWaits.renew(entry);
  // The last ACK of a simultaneous close, and the like: nothing to say.
  if (seg.len === 0 && seg.seq === entry.rcvNxt) return 0;
  answer(tcp, entry, packet);
  return Drop.TcpOutOfWindow;
}

function answer(tcp: Tcp, entry: TimeWait, packet: Packet): void {
  const now = Math.floor(tcp.ctx.now / 1_000) | 0;
  if (entry.answered && ((now - entry.answeredAt) | 0) < tcp.ctx.sysctl.v['net.ipv4.tcp_invalid_ratelimit']) return;
  entry.answered = true;
  entry.answeredAt = now;
  sendStamped(tcp, packet, entry.sndNxt, entry.rcvNxt, Flag.Ack, entry.wnd, entry.timestamps, (now + entry.tsOffset) | 0, entry.tsRecent);
}
