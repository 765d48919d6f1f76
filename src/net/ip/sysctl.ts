import { flag, int } from '../sysctl-entry.js';

/** IP of both families, ICMP, fragments, path MTU. */
export const ipSysctls = {
  'net.ipv4.ip_forward': flag(0, {
    help: 'Forward IPv4 packets between interfaces: the same as net.ipv4.conf.all.forwarding.',
    source: 'RFC 1812; Linux',
  }),
  'net.ipv4.conf.all.forwarding': flag(0, { help: 'Forward IPv4 packets that come in.', source: 'RFC 1812; Linux' }),
  'anystack.fast_path': flag(1, {
    help: 'Forward plain packets by the short road where nothing looks at them on their way; 0 sends all by the long one, which does the same.',
    source: 'own: ARCHITECTURE.md, "How a packet lives"',
  }),
  'anystack.fib_wide': flag(0, {
    effect: 'start',
    help: 'IPv4 tables with more than a few routes begin with 24 bits at once: 64 MB for each, and one access to memory for nearly every lookup.',
    source: 'own measurement: a million routes looked up at random in half the time of the small structure, which takes 13 MB',
  }),
  'net.ipv4.ip_default_ttl': int(64, 'hops', 1, 255, { help: 'TTL of packets we originate.', source: 'RFC 1700 (64); Linux' }),
  'net.ipv4.ip_local_port_range_low': int(32_768, 'port', 1_024, 65_535, { help: 'Lowest ephemeral port.', source: 'Linux; RFC 6056 §3.2' }),
  'net.ipv4.ip_local_port_range_high': int(60_999, 'port', 1_024, 65_535, { help: 'Highest ephemeral port.', source: 'Linux; RFC 6056 §3.2' }),
  'net.ipv4.ip_no_pmtu_disc': flag(0, {
    help: 'Believe no fragmentation-needed; new UDP sockets do not set DF.',
    source: 'Linux',
  }),
  'net.ipv4.route.min_pmtu': int(552, 'octets', 68, 65_535, {
    help: 'No ICMP error lowers a path MTU below this.',
    source: 'Linux; RFC 1191 attacks (RFC 5927 §7)',
  }),
  'net.ipv4.route.mtu_expires': int(600, 's', 1, 86_400, { help: 'How long a learned path MTU is believed.', source: 'RFC 1191 §6.3' }),
  'net.ipv4.ipfrag_high_thresh': int(4_194_304, 'octets', 0, 1_073_741_824, {
    help: 'Memory of unfinished datagrams of both families, by true size. At the bound the oldest goes (FragmentMemory).',
    source: 'Linux',
  }),
  'net.ipv4.ipfrag_time': int(30, 's', 1, 3_600, {
    help: 'How long a datagram may stay unfinished.',
    source: 'Linux; RFC 1122 §3.3.2 has 60 to 120',
  }),
  'net.ipv6.ip6frag_time': int(60, 's', 1, 3_600, { help: 'How long an IPv6 datagram may stay unfinished.', source: 'RFC 8200 §4.5' }),
  'anystack.fragments_max': int(64, 'fragments', 2, 8_192, {
    help: 'Fragments of one datagram (FragmentTooMany).',
    source: 'own; 65,535 octets over a 1,280-octet path are 53',
  }),
  'net.ipv4.icmp_echo_ignore_all': flag(0, { help: 'Answer no echo request.', source: 'Linux' }),
  'net.ipv4.icmp_echo_ignore_broadcasts': flag(1, {
    help: 'Answer no echo request to a broadcast or group address.',
    source: 'Linux; RFC 1122 §3.2.2.6',
  }),
  'net.ipv4.icmp_msgs_per_sec': int(1_000, 'messages/s', 0, 1_000_000, { help: 'ICMP errors sent in all.', source: 'Linux; RFC 1812 §4.3.2.8' }),
  'net.ipv4.icmp_msgs_burst': int(50, 'messages', 1, 100_000, { help: 'Errors sent at once after a pause.', source: 'Linux' }),
  'anystack.icmp_echo_per_sec': int(1_000_000, 'messages/s', 0, 10_000_000, {
    help: 'Echo replies sent.',
    source: 'own: a reply costs what its request costs',
  }),
  'net.ipv4.conf.all.accept_redirects': flag(1, {
    help: 'Hosts believe ICMP redirects from the gateway in use. Never while forwarding.',
    source: 'RFC 1122 §3.2.2.2; Linux',
  }),
  'net.ipv4.conf.all.send_redirects': flag(1, { help: 'Routers send redirects.', source: 'RFC 1812 §5.2.7.2; Linux' }),
  'net.ipv4.conf.all.accept_source_route': flag(0, { help: 'Accept source-routed packets.', source: 'RFC 7126 §4.3 advises to drop' }),
  'net.ipv4.conf.all.rp_filter': int(0, 'mode', 0, 2, { help: 'Reverse path filter: 0 off, 1 strict, 2 loose.', source: 'RFC 3704; Linux' }),
  'net.ipv4.conf.all.bc_forwarding': flag(0, { help: 'Forward directed broadcasts.', source: 'RFC 2644' }),
  'anystack.strong_host': flag(1, {
    help: 'A packet must come in on the interface that has its destination address. Off while forwarding.',
    source: 'RFC 1122 §3.3.4.2; RFC 8504 §5.5',
  }),
  'net.ipv4.igmp_max_memberships': int(20, 'groups', 1, 65_536, { help: 'Groups of one socket, both families.', source: 'Linux' }),
  'net.ipv4.igmp_max_msf': int(10, 'sources', 1, 1_024, { help: 'Sources in one filter of an IPv4 group.', source: 'Linux' }),
  'net.ipv4.conf.all.force_igmp_version': int(0, 'version', 0, 3, {
    help: 'The version of IGMP to speak; 0 and 3: the newest that the querier knows.',
    source: 'Linux; RFC 9776 §7',
  }),
  'anystack.groups_max': int(1_024, 'groups', 16, 65_536, {
    help: 'Groups of one interface, those of our own addresses among them. At the bound a join answers ENOBUFS.',
    source: 'own',
  }),
  'anystack.depth_max': int(8, 'encapsulations', 1, 64, { help: 'Tunnels in tunnels, SAs in SAs (IpLoop).', source: 'RFC 2473 §6.6 has 4' }),
} as const;
