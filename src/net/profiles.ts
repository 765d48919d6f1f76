import type { SysctlValue } from './sysctl-entry.js';

/**
 * Named sets of tunables. `linux` is the table's defaults. What a profile sets is checked like any other value when a
 * stack is made with it.
 */
export const profiles = {
  linux: {},
  // What FreeBSD's scripts presume: the SYN's layout, each second segment acknowledged from the start, classic Nagle.
  bsd: {
    'anystack.tcp_syn_layout': 'bsd',
    'anystack.tcp_buffers': 'bsd',
    'anystack.tcp_reset_error': 'bsd',
    'anystack.tcp_ack_second': 1,
    'anystack.tcp_push_bursts': 0,
    'anystack.tcp_ack_repeats_fin': 1,
    'anystack.tcp_drop_synfin': 0,
    'anystack.tcp_quick_acks': 0,
    'anystack.tcp_nagle': 'rfc896',
    'anystack.tcp_window_probe': 'octet',
    'net.ipv4.tcp_early_retrans': 0,
  },
  // All slabs and buffers of the stack in 8 MB: 2 MB of small slots, 1 MB of big ones, 4 MB of socket buffers.
  small: {
    'anystack.packets_max': 1_024,
    'anystack.slots_max': 1_024,
    'anystack.big_slots_max': 16,
    'anystack.socket_memory': 4_194_304,
    'anystack.txqueuelen': 128,
    'anystack.neighbors_max': 64,
    'anystack.tcp_connections_max': 256,
    'net.ipv4.tcp_rmem': [4_096, 32_768, 262_144],
    'net.ipv4.tcp_wmem': [4_096, 16_384, 262_144],
    'net.ipv4.tcp_max_syn_backlog': 64,
    'net.ipv4.tcp_max_tw_buckets': 128,
    'net.core.somaxconn': 64,
    'net.core.rmem_default': 32_768,
    'net.ipv4.ipfrag_high_thresh': 262_144,
    'net.netfilter.nf_conntrack_max': 1_024,
  },
  // Answers before efficiency: ACKs at once, small batches, little unsent data between program and wire.
  latency: {
    'anystack.tcp_delayed_ack': 1,
    'anystack.tcp_quick_acks': 1_000,
    'anystack.ingress_batch': 16,
    'net.ipv4.tcp_notsent_lowat': 16_384,
    'net.ipv4.tcp_slow_start_after_idle': 0,
  },
  // Long fat paths: 1 Gbit/s at 250 ms needs 31 MB in flight.
  throughput: {
    'net.core.rmem_max': 67_108_864,
    'net.core.wmem_max': 67_108_864,
    'net.ipv4.tcp_rmem': [4_096, 131_072, 67_108_864],
    'net.ipv4.tcp_wmem': [4_096, 65_536, 67_108_864],
    'anystack.txqueuelen': 10_000,
    'anystack.socket_memory': 1_073_741_824,
    'net.ipv4.tcp_slow_start_after_idle': 0,
  },
} as const satisfies Record<string, Readonly<Record<string, SysctlValue>>>;

export type ProfileName = keyof typeof profiles;
