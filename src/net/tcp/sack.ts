// hot: bench/packet
import { type Seq, seqGt, seqGte, seqLt, seqLte } from '../../base/sequence.js';
import { Counter } from '../counters.js';
import type { AckSample } from './delivery.js';
import { type Flight, type Sent, SentFlag } from './flight.js';
import type { Segment } from './segment.js';
import { countsOf, type Tcb } from './tcb.js';

/** Takes in the SACK blocks of an acceptable ACK (RFC 2018 §4, RFC 2883): before SND.UNA moves. */
export function sackArrived(tcb: Tcb, flight: Flight, seg: Segment, sample: AckSample, now32: number): void {
  const { sack, sackCount } = seg.options;
  for (let i = 0; i < sackCount; i++) {
    const start = sack[2 * i] as Seq;
    const end = sack[2 * i + 1] as Seq;
    if (!seqLt(start, end)) continue;
    if (i === 0 && isDuplicate(seg, start, end)) {
      duplicateArrived(tcb, flight, start, end, sample);
      continue;
    }
    // A block outside what we have sent is stale or forged; neither deserves an answer.
    if (seqLte(end, tcb.snd.una) || seqGt(end, tcb.snd.nxt)) continue;
    mark(tcb, flight, start, end, sample, now32, seg);
  }
}

/** RFC 2883 §4: the first block lies below the ACK, or inside the second. */
function isDuplicate(seg: Segment, start: Seq, end: Seq): boolean {
  if (seqLte(end, seg.ack)) return true;
  const { sack, sackCount } = seg.options;
  return sackCount > 1 && seqGte(start, sack[2] as Seq) && seqLte(end, sack[3] as Seq);
}

function duplicateArrived(tcb: Tcb, flight: Flight, start: Seq, end: Seq, sample: AckSample): void {
  // Only of what was sent lately: an old one says nothing, a forged one should not either.
  if (((tcb.snd.nxt - start) | 0) <= 0 || ((tcb.snd.nxt - start) | 0) > 0x3fffffff) return;
  tcb.tcp.ctx.counters.count(Counter.TcpExtTCPDSACKRecv);
  countsOf(tcb).duplicates++;
  sample.duplicate = true;
  if (flight.undoArmed && flight.undoOctets > 0 && seqGte(start, flight.undoMark))
    flight.undoOctets = Math.max(0, flight.undoOctets - ((end - start) | 0));
}

function mark(tcb: Tcb, flight: Flight, start: Seq, end: Seq, sample: AckSample, now32: number, seg: Segment): void {
  let sent = flight.head;
  while (sent !== null && seqLt(sent.seq, end)) {
    const part: Sent | null = seqLte(sent.end, start) || sent.flags & SentFlag.Sacked ? null : within(tcb, flight, sent, start, end);
    if (part !== null) {
      sample.take(tcb, flight, part, part.octets, now32, seg);
      sample.sacked += part.octets;
      sent = flight.markSacked(part);
    }
    sent = sent.next;
  }
}

/**
 * The part of `sent` that lies in [start, end), cut out of it. Cuts are made at multiples of MSS only: we sent these segments,
 * and a peer that reports octets would otherwise split the scoreboard into octets. Null when nothing whole is left.
 */
function within(tcb: Tcb, flight: Flight, sent: Sent, start: Seq, end: Seq): Sent | null {
  const { mss } = tcb.snd;
  let part = sent;
  if (seqLt(part.seq, start)) {
    const skip = Math.ceil(((start - part.seq) | 0) / mss) * mss;
    if (skip >= part.octets) return null;
    part = flight.split(part, (part.seq + skip) | 0);
  }
  if (seqGt(part.end, end)) {
    const keep = Math.floor(((end - part.seq) | 0) / mss) * mss;
    if (keep <= 0) return null;
    flight.split(part, (part.seq + keep) | 0);
  }
  return part;
}
