import type { TcpInfo } from './info.js';
import { timeoutOf } from './rtt.js';
import { waitingOctets } from './send.js';
import { State, stateNames } from './states.js';
import { advertisedMss } from './syn.js';
import { Counts, type Tcb } from './tcb.js';
import { offered } from './window.js';

/** A snapshot of a connection in tcp_info's terms. */
export function connectionInfo(tcb: Tcb): TcpInfo {
  const { snd, rcv, rtt, flight, agreed, tcp, ecn } = tcb;
  const counts = tcb.counts ?? new Counts();
  tcp.ctx.touch();
  const { now } = tcp.ctx;
  const busy = counts.busy.read(now);
  const segments = (octets: number): number => Math.ceil(octets / snd.mss);
  const since = (at: number): number => (at === 0 ? 0 : now - at);
  return {
    state: stateNames[tcb.state] as string,
    ca_state: flight?.state ?? 0,
    congestion: flight?.congestion.name ?? (tcb.options.congestion || tcp.ctx.sysctl.v['net.ipv4.tcp_congestion_control']),
    retransmits: tcb.retries,
    probes: tcb.probes,
    backoff: rtt.backoff,
    options: {
      timestamps: agreed.timestamps,
      sack: agreed.sack,
      wscale: agreed.wscale,
      ecn: ecn !== null,
      ecn_seen: ecn?.seen ?? false,
      syn_data: tcb.synData > 0 && rcv.nxt !== rcv.irs,
    },
    snd_wscale: snd.wscale,
    rcv_wscale: rcv.wscale,
    rto: timeoutOf(rtt),
    ato: tcp.ctx.sysctl.v['anystack.tcp_delayed_ack'] * 1_000,
    snd_mss: snd.mss,
    rcv_mss: rcv.mss,
    advmss: tcb.path === null ? 536 : advertisedMss(tcb.path, tcb.family, tcb.options.maxSeg) - (agreed.timestamps ? 12 : 0),
    pmtu: tcb.path?.mtu ?? 0,
    unacked: segments((snd.nxt - snd.una) | 0),
    sacked: flight === null ? 0 : agreed.sack ? segments(flight.sacked) : flight.duplicates,
    lost: segments((flight?.lost ?? 0) + (flight?.retransmitted ?? 0)),
    retrans: segments(flight?.retransmitted ?? 0),
    last_data_sent: since(counts.sentAt),
    // Before the first data Linux counts from the handshake: the last thing heard.
    last_data_recv: since(counts.cameAt || tcb.heardAt),
    rcv_ssthresh: rcv.space,
    rtt: rtt.srtt,
    rttvar: rtt.deviation,
    min_rtt: rtt.min,
    rcv_rtt: tcb.tuning?.rtt ?? 0,
    snd_ssthresh: snd.ssthresh === 0x7fffffff ? snd.ssthresh : Math.floor(snd.ssthresh / snd.mss),
    snd_cwnd: Math.floor((snd.cwnd || tcp.initialWindow(tcb)) / snd.mss),
    snd_wnd: snd.wnd,
    rcv_wnd: offered(tcb),
    rcv_space: rcv.space,
    reordering: flight?.reordering ?? tcp.ctx.sysctl.v['net.ipv4.tcp_reordering'],
    reord_seen: flight?.reorderings ?? 0,
    dsack_dups: counts.duplicates,
    total_retrans: counts.retransmitted,
    bytes_acked: counts.octetsAcked,
    bytes_received: counts.octetsIn,
    bytes_sent: counts.octetsOut,
    bytes_retrans: counts.octetsRetransmitted,
    segs_out: snd.segments,
    segs_in: rcv.segments,
    data_segs_in: counts.dataSegsIn,
    data_segs_out: counts.dataSegsOut,
    notsent_bytes: tcb.state >= State.Established ? Math.max(0, waitingOctets(tcb)) : 0,
    busy_time: busy.busy,
    rwnd_limited: busy.window,
    sndbuf_limited: busy.buffer,
    // The SYN counts, as in Linux.
    delivered: segments(flight?.delivered ?? 0) + (tcb.state >= State.Established ? 1 : 0),
    delivered_ce: 0,
    pacing_rate: flight !== null && flight.pacingRate > 0 ? Math.round(flight.pacingRate) : -1,
    delivery_rate: Math.round(flight?.rate ?? 0),
  };
}
