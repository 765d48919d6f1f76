import { flag, int } from '../sysctl-entry.js';

const timeout = (value: number, help: string, source: string) => int(value, 's', 1, 31_536_000, { help, source });

/** Connection tracking and NAT. */
export const filterSysctls = {
  'net.netfilter.nf_conntrack_max': int(65_536, 'connections', 16, 16_777_216, {
    help: 'Tracked connections. At the bound the longest idle one that is not established goes, then new ones (TrackFull).',
    source: 'Linux',
  }),
  'net.netfilter.nf_conntrack_tcp_loose': flag(1, { help: 'Take up TCP connections whose beginning was not seen.', source: 'Linux' }),
  'net.netfilter.nf_conntrack_tcp_timeout_established': timeout(7_440, 'Idle established TCP connections.', 'RFC 5382 REQ-5: not below 2 h 4 min'),
  'anystack.conntrack_tcp_timeout_transitory': timeout(240, 'TCP connections being opened or closed.', 'RFC 5382 REQ-5: not below 4 min'),
  'net.netfilter.nf_conntrack_udp_timeout': timeout(120, 'UDP flows without an answer.', 'RFC 4787 REQ-5: not below 2 min'),
  'net.netfilter.nf_conntrack_udp_timeout_stream': timeout(300, 'UDP flows with answers.', 'RFC 4787 REQ-5: 5 min or more recommended'),
  'net.netfilter.nf_conntrack_icmp_timeout': timeout(60, 'Echo flows.', 'RFC 5508 REQ-1: not below 60 s'),
  'net.netfilter.nf_conntrack_generic_timeout': timeout(600, 'Flows of other protocols.', 'Linux'),
} as const;
