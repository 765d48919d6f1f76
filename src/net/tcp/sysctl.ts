import { choice, flag, int, text, triple } from '../sysctl-entry.js';
import { RTO_MIN } from './constants.js';
import { NO_KEY } from './open-cookies.js';

const LINUX = 'Linux';

/** Tunables of TCP. Seconds where Linux has seconds, milliseconds and microseconds where it has these. */
export const tcpSysctls = {
  'net.ipv4.tcp_sack': flag(1, { help: 'Offer and use selective acknowledgements.', source: 'RFC 2018' }),
  'net.ipv4.tcp_dsack': flag(1, { help: 'Report duplicates in SACK options.', source: 'RFC 2883' }),
  'net.ipv4.tcp_timestamps': flag(1, { help: 'Offer timestamps.', source: 'RFC 7323' }),
  'net.ipv4.tcp_window_scaling': flag(1, { help: 'Offer window scaling.', source: 'RFC 7323' }),
  'net.ipv4.tcp_congestion_control': choice('cubic', ['cubic', 'reno', 'bbr'], {
    effect: 'new sockets',
    help: 'Congestion control of new connections; TCP_CONGESTION chooses per socket.',
    source: 'RFC 9438; draft-ietf-ccwg-bbr',
  }),
  'net.ipv4.tcp_rmem': triple([4_096, 131_072, 6_291_456], 'octets', 4_096, 1_073_741_824, {
    effect: 'new sockets',
    help: 'Receive buffer: least, at first, and how far autotuning may raise it. The window is half of it.',
    source: LINUX,
  }),
  'net.ipv4.tcp_wmem': triple([4_096, 16_384, 4_194_304], 'octets', 4_096, 1_073_741_824, {
    help: 'Send buffer: least, at first, and how far autotuning may raise it.',
    source: LINUX,
  }),
  'net.ipv4.tcp_moderate_rcvbuf': flag(1, { help: 'Autotune the receive buffer.', source: LINUX }),
  'net.ipv4.tcp_syncookies': int(1, 'mode', 0, 2, { help: '0: never, 1: when the SYN queue is full, 2: always.', source: 'RFC 4987 §3.6' }),
  'net.ipv4.tcp_max_syn_backlog': int(1_024, 'connections', 1, 1_048_576, {
    help: 'Half-open connections of one listener. At the bound SYN cookies are sent, or SYNs dropped with TcpSynQueueFull.',
    source: LINUX,
  }),
  'net.ipv4.tcp_abort_on_overflow': flag(0, {
    help: 'Answer with RST when the accept queue is full, instead of letting the peer try again.',
    source: LINUX,
  }),
  'net.ipv4.tcp_fin_timeout': int(60, 's', 1, 3_600, { help: 'Time in FIN-WAIT-2 after the application has closed.', source: LINUX }),
  'net.ipv4.tcp_keepalive_time': int(7_200, 's', 1, 32_767, { help: 'Idle time before the first keep-alive.', source: 'RFC 9293 MUST-28' }),
  'net.ipv4.tcp_keepalive_intvl': int(75, 's', 1, 32_767, { help: 'Time between keep-alives that are not answered.', source: LINUX }),
  'net.ipv4.tcp_keepalive_probes': int(9, 'probes', 1, 127, { help: 'Keep-alives without an answer before the connection ends.', source: LINUX }),
  'net.ipv4.tcp_retries1': int(3, 'timeouts', 1, 255, {
    help: 'Timeouts before the route and the next hop are doubted.',
    source: 'RFC 9293 §3.8.3 (R1), Linux',
  }),
  'net.ipv4.tcp_retries2': int(15, 'timeouts', 1, 255, {
    help: 'Bounds the time data stays unacknowledged before the connection ends: that of so many timeouts that begin at 200 ms.',
    source: 'RFC 9293 §3.8.3 (R2), Linux: 924.6 s',
  }),
  'net.ipv4.tcp_orphan_retries': int(8, 'timeouts', 0, 255, { help: 'The same when the application has closed.', source: LINUX }),
  'net.ipv4.tcp_syn_retries': int(7, 'retransmissions', 1, 127, {
    effect: 'new sockets',
    help: 'Retransmissions of a SYN: 255 s in all.',
    source: 'RFC 9293 MUST-23 asks for three minutes; Linux has 6, i.e. 127 s',
  }),
  'net.ipv4.tcp_synack_retries': int(5, 'retransmissions', 0, 255, { help: 'Retransmissions of a SYN-ACK.', source: LINUX }),
  'net.ipv4.tcp_ecn': int(2, 'mode', 0, 2, { help: '0: off, 1: ask for ECN and accept it, 2: only accept it.', source: 'RFC 3168, Linux' }),
  'net.ipv4.tcp_frto': int(2, 'mode', 0, 2, { help: 'Detect spurious timeouts.', source: 'RFC 5682' }),
  'net.ipv4.tcp_recovery': int(1, 'bits', 0, 7, {
    help: 'Bit 0: RACK. Bit 1: keep the reordering window as it is. Bit 2: no duplicate ACK threshold.',
    source: 'RFC 8985',
  }),
  'net.ipv4.tcp_early_retrans': int(3, 'mode', 0, 4, { help: '3: tail loss probes, 0: none.', source: 'RFC 8985 §7' }),
  'net.ipv4.tcp_reordering': int(3, 'segments', 1, 127, {
    effect: 'new sockets',
    help: 'Reordering that is no loss, at first.',
    source: 'RFC 5681 §3.2',
  }),
  'net.ipv4.tcp_limited_transmit': flag(1, { help: 'Send new data on the first two duplicate ACKs.', source: 'RFC 3042' }),
  'net.ipv4.tcp_slow_start_after_idle': flag(1, { help: 'Return to the initial window after an idle RTO.', source: 'RFC 5681 §4.1' }),
  'net.ipv4.tcp_challenge_ack_limit': int(1_000, 'per second', 1, 2_147_483_647, { help: 'Challenge ACKs of the stack.', source: 'RFC 5961 §7' }),
  'anystack.tcp_answers_limit': int(50_000, 'per second', 1, 2_147_483_647, {
    help: 'SYN cookies and RSTs of the stack, in answer to segments of no connection. What is above gets no answer (TcpAnswerLimited).',
    source: 'own; Linux answers all, BSD 200 RSTs',
  }),
  'net.ipv4.tcp_invalid_ratelimit': int(500, 'ms', 0, 60_000, {
    help: 'Least time between answers to invalid segments of one connection.',
    source: LINUX,
  }),
  'net.ipv4.tcp_notsent_lowat': int(4_294_967_295, 'octets', 1, 4_294_967_295, {
    help: 'A socket with more unsent octets is not writable.',
    source: LINUX,
  }),
  'net.ipv4.tcp_max_tw_buckets': int(65_536, 'connections', 0, 16_777_216, {
    help: 'Connections in TIME-WAIT. At the bound the oldest goes.',
    source: LINUX,
  }),
  'net.ipv4.tcp_tw_reuse': int(2, 'mode', 0, 2, {
    help: 'connect may take over a port in TIME-WAIT when timestamps allow it: 0 never, 1 always, 2 on loopback.',
    source: 'RFC 6191, Linux',
  }),
  'net.ipv4.tcp_rfc1337': flag(1, { help: 'RST does not end TIME-WAIT.', source: 'RFC 1337 §3 (F1); Linux has 0' }),
  'net.ipv4.tcp_min_snd_mss': int(48, 'octets', 48, 65_535, { help: 'Least MSS taken from a peer or a path.', source: LINUX }),
  'net.ipv4.tcp_base_mss': int(1_024, 'octets', 48, 65_535, {
    help: 'MSS tried when a path swallows large segments and says nothing.',
    source: 'RFC 4821 §7.2, Linux',
  }),
  'net.ipv4.tcp_mtu_probing': int(1, 'mode', 0, 2, {
    help: 'Find out which packets arrive: 0 off, 1 when timeouts suggest that long ones do not, 2 always, from small ones upward.',
    source: 'RFC 4821 §7; Linux has 0',
  }),
  'net.ipv4.tcp_probe_interval': int(600, 's', 1, 86_400, {
    help: 'Time after which a path whose MTU has been found is tried again.',
    source: 'RFC 4821 §7.7, Linux',
  }),
  'net.ipv4.tcp_probe_threshold': int(8, 'octets', 1, 1_500, {
    help: 'The search for an MTU ends when it is known to so many octets.',
    source: LINUX,
  }),
  'net.ipv4.tcp_rto_min_us': int(RTO_MIN, 'µs', 1, 1_000_000, {
    help: 'Least retransmission timeout beyond the smoothed round trip.',
    source: 'RFC 6298 §2.4, Linux',
  }),
  'net.ipv4.tcp_fastopen': int(1, 'bits', 0, 0x607, {
    help: 'TCP Fast Open: 1 as client, 2 as server, 4 the client sends data without a cookie, 0x200 the server takes data without one, 0x400 listeners that did not ask take it too.',
    source: 'RFC 7413, Linux',
  }),
  'net.ipv4.tcp_fastopen_key': text(NO_KEY, '[0-9a-f]{8}(-[0-9a-f]{8}){3}', {
    help: 'Key of the Fast Open cookies we give, so that servers behind one address take those of each other. All zero: a secret of this stack.',
    source: 'RFC 7413 §4.1.2; Linux, whose cookies these are',
  }),
  'anystack.tcp_initial_window': int(10, 'segments', 1, 100, { effect: 'new sockets', help: 'Initial congestion window.', source: 'RFC 6928' }),
  'anystack.tcp_connections_max': int(1_048_576, 'connections', 1, 16_777_216, {
    help: 'Connections of the stack. At the bound SYNs are dropped (TcpConnectionsMax) and connect answers ENOBUFS.',
    source: 'own',
  }),
  'anystack.tcp_buffers': choice('linux', ['linux', 'bsd'], {
    effect: 'new sockets',
    help: 'What the size of a socket buffer counts: payload and its overhead, half of it window (linux), or payload alone, in whole segments (bsd).',
    source: LINUX,
  }),
  'anystack.tcp_syn_layout': choice('linux', ['linux', 'bsd'], {
    help: 'Order of the options of a SYN.',
    source: 'RFC 7323 appendix A leaves it open',
  }),
  'anystack.tcp_insecure_rst': flag(0, {
    help: 'A RST anywhere in the window resets, as RFC 793 has it, instead of drawing a challenge.',
    source: 'RFC 5961 §3.2; FreeBSD',
  }),
  'anystack.tcp_insecure_syn': flag(0, {
    help: 'A SYN in the window resets, as RFC 793 has it, instead of drawing a challenge.',
    source: 'RFC 5961 §4.2; FreeBSD',
  }),
  'anystack.tcp_ack_second': flag(0, {
    help: 'Every second segment is acknowledged at once, however short; else every second full-sized one.',
    source: 'RFC 9293 §3.8.6.3 (SHLD-19) speaks of full-sized ones; BSD counts segments',
  }),
  'net.ipv4.tcp_min_tso_segs': int(2, 'segments', 1, 100, { help: 'Least burst handed down at once, where the window allows it.', source: LINUX }),
  'anystack.tcp_push_bursts': flag(1, {
    help: 'Bursts of at most half the window, PSH on the last segment of each; else as long as they can be, PSH on the last octet written.',
    source: LINUX,
  }),
  'anystack.tcp_ack_repeats_fin': flag(0, { help: 'An ACK carries our FIN again until that is acknowledged.', source: 'BSD' }),
  'anystack.tcp_reset_error': choice('linux', ['linux', 'bsd'], {
    help: 'What the application learns of a RST: EPIPE in CLOSE-WAIT and nothing after its FIN (linux), or ECONNRESET in each state (bsd).',
    source: 'RFC 9293 §3.10.7.4 second leaves the words open',
  }),
  'anystack.tcp_drop_synfin': flag(1, {
    help: 'Drop segments with SYN and FIN and no ACK: scanners send them and nobody else; a FIN that is meant comes again.',
    source: 'Linux; FreeBSD has 0. RFC 9293 §3.10.7.2 would take the SYN',
  }),
  'anystack.tcp_delayed_ack': int(40, 'ms', 0, 499, {
    help: 'How long an ACK may wait for company.',
    source: 'RFC 9293 MUST-40; Linux begins with 40, BSD has 40 or 100',
  }),
  'anystack.tcp_quick_acks': int(16, 'segments', 0, 1_000, {
    effect: 'new sockets',
    help: 'Segments at the start of a connection that are acknowledged at once.',
    source: LINUX,
  }),
  'anystack.tcp_nagle': choice('minshall', ['minshall', 'rfc896'], {
    help: 'Hold a short segment while a short one, or anything, is unacknowledged.',
    source: 'RFC 9293 §3.7.4; Linux uses Minshall',
  }),
  'anystack.tcp_window_probe': choice('empty', ['empty', 'octet'], {
    help: 'Zero-window probes: an empty segment left of the window, or an octet beyond it.',
    source: 'RFC 9293 §3.8.6.1 asks for an octet; Linux sends none, so that nothing is ever outside the window',
  }),
  'anystack.tcp_hystart': int(1, 'mode', 0, 2, {
    effect: 'new sockets',
    help: 'Leave slow start when round trips grow: 0 no, 1 by way of conservative slow start (HyStart++), 2 at once (HyStart, as Linux).',
    source: 'RFC 9406',
  }),
  'anystack.tcp_pacing': flag(0, {
    help: 'Spread what a window allows over the round trip; bbr always does.',
    source: 'own: off as in Linux without fq',
  }),
  'anystack.tcp_time_wait': int(60, 's', 1, 240, { help: '2 MSL.', source: 'RFC 9293 §3.4.2 asks for 4 min; Linux and BSD have 60 s' }),
} as const;
