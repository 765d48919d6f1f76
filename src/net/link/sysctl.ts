import { flag, int } from '../sysctl-entry.js';

const reachable = int(30_000, 'ms', 1, 3_600_000, {
  help: 'How long a confirmed neighbour counts as reachable; each entry takes 0.5 to 1.5 of it at random.',
  source: 'RFC 4861 §10 REACHABLE_TIME; Linux',
});
const retransmit = int(1_000, 'ms', 1, 60_000, { help: 'Between two solicitations.', source: 'RFC 4861 §10 RETRANS_TIMER; RFC 1122 §2.3.2.1' });
const delay = int(5, 's', 0, 3_600, {
  help: 'How long a stale neighbour in use may be confirmed by traffic before it is probed.',
  source: 'RFC 4861 §10 DELAY_FIRST_PROBE_TIME',
});
const multicast = int(3, 'probes', 1, 100, {
  help: 'Multicast or broadcast solicitations before a neighbour fails.',
  source: 'RFC 4861 §10 MAX_MULTICAST_SOLICIT',
});
const unicast = int(3, 'probes', 1, 100, { help: 'Unicast probes before a neighbour fails.', source: 'RFC 4861 §10 MAX_UNICAST_SOLICIT' });
const stale = int(60, 's', 1, 86_400, { help: 'A stale neighbour unused for so long is forgotten first.', source: 'Linux' });

/** Neighbours and links. */
export const linkSysctls = {
  'net.ipv4.neigh.default.base_reachable_time_ms': reachable,
  'net.ipv4.neigh.default.retrans_time_ms': retransmit,
  'net.ipv4.neigh.default.delay_first_probe_time': delay,
  'net.ipv4.neigh.default.mcast_solicit': multicast,
  'net.ipv4.neigh.default.ucast_solicit': unicast,
  'net.ipv4.neigh.default.gc_stale_time': stale,
  'net.ipv6.neigh.default.base_reachable_time_ms': reachable,
  'net.ipv6.neigh.default.retrans_time_ms': retransmit,
  'net.ipv6.neigh.default.delay_first_probe_time': delay,
  'net.ipv6.neigh.default.mcast_solicit': multicast,
  'net.ipv6.neigh.default.ucast_solicit': unicast,
  'net.ipv6.neigh.default.gc_stale_time': stale,
  'anystack.neighbors_max': int(1_024, 'entries', 1, 1_048_576, {
    help: 'Neighbours of one interface. At the bound the one longest unused goes; if all are being resolved, the packet (NeighborTableFull).',
    source: "RFC 6583 §6; Linux's gc_thresh3",
  }),
  'net.ipv4.conf.all.arp_ignore': int(1, 'mode', 1, 2, {
    help: 'Who is answered: 1 all who ask for an address of the interface, 2 only those of its subnet.',
    source: 'Linux, which also has 0: for addresses of other interfaces too. RFC 1122 §3.3.4.2 (strong host) speaks against it',
  }),
  'net.ipv4.conf.all.arp_announce': int(0, 'mode', 0, 2, {
    help: "The address a question comes from: 0 that of the packet that waits, 1 that if it is of the target's subnet, 2 one of the target's subnet.",
    source: 'Linux',
  }),
  'net.ipv4.conf.all.arp_accept': flag(0, {
    help: 'A station that announces its address is remembered though nobody has asked for it.',
    source: 'RFC 5227 §3; Linux',
  }),
  'net.ipv4.conf.all.arp_announce_count': int(2, 'announcements', 0, 10, {
    effect: 'start',
    help: 'Gratuitous ARPs for a new address.',
    source: 'RFC 5227 §1.1 ANNOUNCE_NUM',
  }),
  'net.ipv4.conf.all.arp_probe': flag(0, {
    effect: 'start',
    help: 'Probe for the address before use (three probes, up to 7 s). Off: addresses of a configuration are used at once, conflicts are still seen and defended.',
    source: 'RFC 5227 §2.1; off as in Linux',
  }),
} as const;
