import { type Micros, millis, seconds } from '../../base/time.js';

/** Least retransmission timeout. RFC 6298 §2.4 asks for 1 s; Linux uses 200 ms and so do we: LAN gateways stall otherwise. Default of net.ipv4.tcp_rto_min_us. */
export const RTO_MIN: Micros = millis(200);
/** Greatest retransmission timeout. RFC 6298 §2.5 asks for at least 60 s; Linux uses 120 s. */
export const RTO_MAX: Micros = seconds(120);
/** Retransmission timeout before the first round trip is measured. RFC 6298 §2.1. */
export const RTO_INITIAL: Micros = seconds(1);
/** And after the SYN was retransmitted: RFC 6298 §5.7. */
export const RTO_AFTER_SYN_LOSS: Micros = seconds(3);
/** MSS assumed of a peer that names none. RFC 9293 §3.7.1 MUST-15. */
export const MSS_DEFAULT_V4 = 536;
/** The same over IPv6. */
export const MSS_DEFAULT_V6 = 1_220;
/** Least payload per segment: a peer that asks for less makes us burn packets (Linux's TCP_MIN_SND_MSS less its options). */
export const MSS_MIN = 36;

/** What a tail probe allows for the delayed ACK of a lone segment (RFC 8985 §7.2, WCDelAckT). */
export const DELAYED_ACK_MAX: Micros = millis(200);
/** Segments at the start of a connection that are acknowledged at once, so that slow start is not held up. Linux's TCP_MAX_QUICKACKS. */
export const QUICK_ACKS = 16;

/** Payload of one segment handed to IP. With headers it stays below 65,536, the limit of a total length field. */
export const SEGMENT_MAX = 65_000;

/** Ranges of one receive buffer beyond RCV.NXT. More gaps than that and the newest octets are dropped (TcpReceiveMemory). */
export const RANGES_MAX = 512;

/** A timestamp older than this says nothing any more: the peer's clock may have gone round. RFC 7323 §5.5. */
export const PAWS_AGE: Micros = 24 * 24 * 3_600 * seconds(1);

/** A SYN-ACK or SYN waits this long before it is sent again, doubling. Same as RTO_INITIAL. */
export const SYN_TIMEOUT: Micros = seconds(1);

/** Duplicate ACKs that mean loss. RFC 5681 §3.2. */
export const DUP_THRESHOLD = 3;
