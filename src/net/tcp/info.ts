/** State of loss recovery, in Linux's words (tcpi_ca_state). Values are Linux's. */
export const CaState = {
  /** Nothing amiss. */
  Open: 0,
  /** SACKs or duplicate ACKs have come, no loss is concluded yet. */
  Disorder: 1,
  /** The window was reduced by ECN. */
  Cwr: 2,
  /** Fast recovery. */
  Recovery: 3,
  /** After a retransmission timeout. */
  Loss: 4,
} as const;

/** Names by CaState value, as `ss` prints them. */
export const caStateNames = ['open', 'disorder', 'cwr', 'recovery', 'loss'] as const;

/**
 * What `ss -i` and tcp_info tell of a connection, under Linux's field names. Times in microseconds, sizes in octets,
 * cwnd and ssthresh in segments of snd_mss as Linux counts them. A snapshot: the caller owns it.
 */
export interface TcpInfo {
  /** RFC 9293's name: 'ESTABLISHED'. */
  state: string;
  /** A CaState value. */
  ca_state: number;
  congestion: string;
  retransmits: number;
  probes: number;
  backoff: number;
  options: { timestamps: boolean; sack: boolean; wscale: boolean; ecn: boolean; ecn_seen: boolean; syn_data: boolean };
  snd_wscale: number;
  rcv_wscale: number;
  rto: number;
  ato: number;
  snd_mss: number;
  rcv_mss: number;
  advmss: number;
  pmtu: number;
  unacked: number;
  sacked: number;
  lost: number;
  retrans: number;
  last_data_sent: number;
  last_data_recv: number;
  rcv_ssthresh: number;
  rtt: number;
  rttvar: number;
  min_rtt: number;
  rcv_rtt: number;
  /** 0x7fffffff while there is no threshold, as Linux prints it. */
  snd_ssthresh: number;
  snd_cwnd: number;
  snd_wnd: number;
  rcv_wnd: number;
  rcv_space: number;
  /** Segments that may be reordered before loss is concluded. */
  reordering: number;
  reord_seen: number;
  dsack_dups: number;
  total_retrans: number;
  bytes_acked: number;
  bytes_received: number;
  bytes_sent: number;
  bytes_retrans: number;
  segs_out: number;
  segs_in: number;
  data_segs_in: number;
  data_segs_out: number;
  notsent_bytes: number;
  /** µs in which there was something to send; of these, in which the peer's window or our send buffer was the limit. */
  busy_time: number;
  rwnd_limited: number;
  sndbuf_limited: number;
  delivered: number;
  delivered_ce: number;
  /** Octets per second; −1 for no limit. */
  pacing_rate: number;
  delivery_rate: number;
}
