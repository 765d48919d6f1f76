import type { Address } from '../../base/address.js';
import type { Seq } from '../../base/sequence.js';
import { Timer } from '../../base/timer-wheel.js';
import { TimerKind } from '../timer-kind.js';
import { Flowing } from './demux.js';
import type { Listener } from './listener.js';

/** A connection in SYN-RECEIVED that came by LISTEN: what the SYN said and what we answered, no more (a SYN cache, RFC 4987 §3.5). */
export class HalfOpen extends Flowing {
  readonly listener: Listener;
  irs: Seq = 0;
  iss: Seq = 0;
  /** From the peer's SYN. */
  peerMss = 0;
  peerWindow = 0;
  /** −1 without window scaling. */
  peerShift = -1;
  sack = false;
  timestamps = false;
  ecn = false;
  tsRecent = 0;
  tsOffset = 0;
  /** Our receive space and its shift, as announced. */
  space = 0;
  shift = 0;
  window = 0;
  /** The SYN-ACK brings a cookie of Fast Open. */
  cookie = false;
  /** In the experimental option, as the SYN had it. */
  experimental = false;
  /** SYN-ACKs sent again so far. */
  retries = 0;
  /** When the first was sent, µs: its answer is a round trip. */
  sentAt = 0;
  /** The peer sent an ACK and no data, and the listener waits for some (TCP_DEFER_ACCEPT). */
  acked = false;
  readonly timer: Timer = new Timer(TimerKind.TcpSynAck, this);

  constructor(listener: Listener, local: Address, remote: Address) {
    super(local, remote);
    this.listener = listener;
  }
}
