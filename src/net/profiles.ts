import type { SysctlValue } from './sysctl-entry.js';

/**
 * Named sets of tunables. `linux` is the table's defaults. What a profile sets is checked like any other value when a
 * stack is made with it.
 */
export const profiles = {
  linux: {},
  // What FreeBSD's scripts presume: the SYN's layout, each second segment acknowledged from the start, classic Nagle.
  bsd: { 'anystack.tcp_syn_layout': 'bsd', 'anystack.tcp_buffers': 'bsd', 'anystack.tcp_reset_error': 'bsd', 'anystack.tcp_ack_second': 1, 'anystack.tcp_push_bursts': 0, 'anystack.tcp_ack_repeats_fin': 1, 'anystack.tcp_drop_synfin': 0, 'anystack.tcp_quick_acks': 0, 'anystack.tcp_nagle': 'rfc896', 'anystack.tcp_window_probe': 'octet' },
  small: {},
  latency: {},
  throughput: {},
} as const satisfies Record<string, Readonly<Record<string, SysctlValue>>>;

export type ProfileName = keyof typeof profiles;
