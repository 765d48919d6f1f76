import type { Address } from '../../base/address.js';
import type { Seq } from '../../base/sequence.js';
import type { Micros } from '../../base/time.js';
import { Timer } from '../../base/timer-wheel.js';
import type { Path } from '../ip/path.js';
import type { TcpSocket } from '../socket/tcp-socket.js';
import { TimerKind } from '../timer-kind.js';
import { BusyTime } from './busy.js';
import { QUICK_ACKS } from './constants.js';
import { Flowing } from './demux.js';
import type { Flight } from './flight.js';
import type { Listener } from './listener.js';
import type { ConnectionOptions } from './options.js';
import type { MtuSearch } from './pmtu.js';
import type { ReceiveBuffer } from './receive-buffer.js';
import { Rtt } from './rtt.js';
import type { SendBuffer } from './send-buffer.js';
import { State } from './states.js';
import type { Tcp } from './tcp.js';

/** What the one retransmission timer of a connection stands for at the moment: they exclude each other. */
export const Pending = {
  None: 0,
  /** RFC 6298: a SYN, data or FIN unacknowledged for RTO. */
  Retransmit: 1,
  /** RFC 8985 §7: the tail probe. */
  Probe: 2,
  /** RFC 8985 §6.2: the reordering window of a segment runs out. */
  Reorder: 3,
  /** RFC 9293 §3.8.6.1: the peer's window is shut, and data waits. */
  Persist: 4,
} as const;

/** Whether an ACK is owed. */
export const AckDue = {
  No: 0,
  /** Within the delayed ACK's time. */
  Delayed: 1,
  /** In this poll's egress. */
  Now: 2,
} as const;

/** Send sequence space (RFC 9293 §3.3.1) and what bounds sending. Sizes in octets. */
export class Snd {
  una: Seq = 0;
  nxt: Seq = 0;
  /** The peer's window, scaled. */
  wnd = 0;
  wl1: Seq = 0;
  wl2: Seq = 0;
  /** SND.UP: behind the last urgent octet; meaningful while `urgent`. */
  up: Seq = 0;
  urgent = false;
  iss: Seq = 0;
  /** MAX.SND.WND: greatest window the peer has offered. RFC 5961 §5.2, RFC 9293 §3.8.6.2.1. */
  maxWnd = 0;
  /** Shift of windows we receive. */
  wscale = 0;
  /** Eff.snd.MSS: payload of a full segment, timestamps taken off. RFC 9293 §3.7.1. */
  mss = 536;
  /** The peer's MSS option, or the default of the family. */
  peerMss = 536;
  cwnd = 0;
  ssthresh = 0x7fffffff;
  /** End of the last segment sent that was not full: what Nagle's rule in Minshall's form looks at. */
  small: Seq = 0;
  /** Segments sent, for tcp_info. */
  segments = 0;
  /** Short segments go out as they are, once: the cork was pulled, or has lasted too long. */
  push = false;
  /** The application has announced more (MSG_MORE). */
  more = false;
  /** A FIN has been asked for: it follows the last octet written. */
  fin = false;
  /** Its sequence number, meaningful with `fin`. */
  finAt: Seq = 0;
}

/** Receive sequence space, and what decides on ACKs and windows. */
export class Rcv {
  nxt: Seq = 0;
  /** Right edge of the window we have offered: it never moves back (RFC 9293 SHLD-14). */
  edge: Seq = 0;
  irs: Seq = 0;
  /** RCV.NXT of the last ACK we sent. */
  acked: Seq = 0;
  /** Shift of windows we send. */
  wscale = 0;
  /** Estimate of the payload of the peer's full segments. */
  mss = 536;
  /** AckDue. */
  due: number = AckDue.No;
  /** When a delayed ACK goes out at the latest, int32 µs. */
  dueAt = 0;
  /** Segments still to be acknowledged at once. 0 in an interactive exchange, where answers carry the ACKs. */
  quick = QUICK_ACKS;
  /** A FIN beyond a gap: its sequence number, meaningful with `finSeen`. */
  fin: Seq = 0;
  finSeen = false;
  /** The FIN has been taken in: no more octets will come. */
  ended = false;
  /** RCV.UP: behind the last urgent octet, meaningful while `urgent`. */
  up: Seq = 0;
  urgent = false;
  /** Segments received, for tcp_info. */
  segments = 0;
  /** Octets we are ready to hold unread: half of SO_RCVBUF, autotuned. */
  space = 0;
  /** A duplicate to be reported in the next ACK (RFC 2883). */
  dsackFrom: Seq = 0;
  dsackTo: Seq = 0;
  dsack = false;
}

/** What a peer has agreed to in its SYN, and what comes with it. */
export class Agreed {
  timestamps = false;
  sack = false;
  wscale = false;
  ecn = false;
}

/**
 * A connection (RFC 9293 §3.3.1). Compact, since there may be 100,000: what only busy connections need hangs on it when
 * they need it (buffers, flight, timers). The addresses are its socket's, or its own once that has closed.
 */
export class Tcb extends Flowing {
  readonly tcp: Tcp;
  readonly family: 4 | 6;
  /** Null once the application has closed: the connection goes on to its end by itself. */
  socket: TcpSocket | null;
  /** Of the socket; shared with it. */
  options: ConnectionOptions;
  /** Only states.enter writes it. */
  state: number = State.Closed;
  readonly snd = new Snd();
  readonly rcv = new Rcv();
  readonly agreed = new Agreed();
  readonly rtt = new Rtt();
  path: Path | null = null;
  sendBuffer: SendBuffer | null = null;
  receiveBuffer: ReceiveBuffer | null = null;
  /** Segments in flight and loss recovery; null until data has been sent. */
  flight: Flight | null = null;

  /** TS.Recent, and when it was set (RFC 7323 §4.3, §5.5). */
  tsRecent = 0;
  tsRecentAt: Micros = 0;
  /** Added to our millisecond clock, so that timestamps tell nothing of other connections. RFC 7323 §7.1. */
  tsOffset = 0;

  /** Waits for egress. */
  dirty = false;

  readonly timer: Timer = new Timer(TimerKind.TcpRetransmit, this);
  /** Pending. */
  pending: number = Pending.None;
  ackTimer: Timer | null = null;
  keepTimer: Timer | null = null;
  paceTimer: Timer | null = null;
  /** Timeouts in a row of what `timer` stands for. */
  retries = 0;
  /** Keep-alive probes in a row without an answer. */
  probes = 0;
  /** When the oldest unacknowledged thing was first sent or the window shut: for the user timeout. 0 while all is well. */
  stuckSince: Micros = 0;
  /** When something of the peer's last came, for keep-alive. */
  heardAt: Micros = 0;
  /** Last ACK sent because of an invalid segment, in int32 µs. RFC 5961 §7. */
  invalidAckAt = 0;
  invalidAcked = false;
  /** ICMP's soft error: reported when a timeout ends the connection. RFC 5461 §3. */
  softError = 0;
  /** Null until data has gone or come; `countsOf` makes it. */
  counts: Counts | null = null;
  /** Which packets arrive is found out (RFC 4821); null while the path is believed. */
  search: MtuSearch | null = null;
  /** Its data was taken with the SYN (RFC 7413): the listener that did, until the handshake is done. */
  early: Listener | null = null;
  /** Octets of data that went with our SYN and were taken, or came with the peer's. */
  synData = 0;
  /** ECN of RFC 3168, null without. */
  ecn: Ecn | null = null;
  /** Receive autotuning, null until data has come. */
  tuning: Tuning | null = null;

  constructor(tcp: Tcp, socket: TcpSocket | null, options: ConnectionOptions, local: Address, remote: Address) {
    super(local, remote);
    this.tcp = tcp;
    this.socket = socket;
    this.options = options;
    this.family = remote.isV4 ? 4 : 6;
  }
}

/** What tcp_info counts of a connection's data. */
export class Counts {
  dataSegsIn = 0;
  dataSegsOut = 0;
  octetsIn = 0;
  octetsAcked = 0;
  octetsOut = 0;
  octetsRetransmitted = 0;
  retransmitted = 0;
  duplicates = 0;
  /** When data last came. */
  cameAt: Micros = 0;
  /** When data was last sent: for slow start after idle, too. */
  sentAt: Micros = 0;
  readonly busy = new BusyTime();
}

/** The counts of a connection that now has some. */
export const countsOf = (tcb: Tcb): Counts => (tcb.counts ??= new Counts());

/** ECN's echo state (RFC 3168 §6.1). */
export class Ecn {
  /** ECE is set on all ACKs until the peer answers with CWR. */
  echo = false;
  /** Our next new data segment carries CWR. */
  reduced = false;
  /** A congestion mark has been seen. */
  seen = false;
  /** A reduction holds until this is acknowledged: one per round trip. Meaningful while `waiting`. */
  waiting = false;
  until: Seq = 0;
}

/** Dynamic right-sizing: what the application reads per round trip decides the window. */
export class Tuning {
  /** RCV.NXT up to which the running measurement reaches, and when it began (int32 µs). */
  mark: Seq = 0;
  since = 0;
  /** Octets read by the application in the last round trip. */
  readLast = 0;
  readNow = 0;
  /** Smoothed round trip as the receiver sees it, µs. */
  rtt = 0;
  rttMark: Seq = 0;
  rttSince = 0;
  lastEcr = 0;
}
