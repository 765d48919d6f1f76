import { flag, int } from '../sysctl-entry.js';

/** IPv6: hosts, neighbour discovery, autoconfiguration. */
export const ipv6Sysctls = {
  'net.ipv6.conf.all.disable_ipv6': flag(0, {
    help: 'No IPv6: no link-local address, nothing received. Interfaces made before lose their IPv6 addresses.',
    source: 'Linux',
  }),
  'net.ipv6.conf.all.forwarding': flag(0, {
    help: 'Forward IPv6 packets that come in: be a router there, believe no advertisements unless accept_ra is 2.',
    source: 'RFC 4861 §6.2.1; Linux',
  }),
  'net.ipv6.conf.all.hop_limit': int(64, 'hops', 1, 255, {
    help: 'Hop limit of packets we originate, unless a router advertises one.',
    source: 'RFC 4861 §6.3.2, IANA; Linux',
  }),
  'net.ipv6.conf.all.mtu': int(0, 'octets', 0, 65_535, {
    help: "Greatest IPv6 packet on a link, from 1280; less, and more than the device takes, count as the device's. A router's word comes after it.",
    source: 'RFC 8200 §5; Linux',
  }),
  'net.ipv6.auto_flowlabels': flag(1, { help: 'Give each flow a label.', source: 'RFC 6437 §3' }),
  'net.ipv6.icmp.echo_ignore_all': flag(0, { help: 'Answer no echo request.', source: 'Linux' }),
  'net.ipv6.icmp.echo_ignore_multicast': flag(0, { help: 'Answer no echo request to a group.', source: 'RFC 4443 §4.2; Linux' }),

  // Addresses
  'net.ipv6.conf.all.addr_gen_mode': int(2, 'mode', 0, 2, {
    help: 'Interface identifiers of link-local and advertised addresses: 0 from the station address, 1 no link-local address, 2 stable and opaque.',
    source: 'RFC 7217, 8064 §3; Linux has 0',
  }),
  'net.ipv6.conf.all.dad_transmits': int(1, 'probes', 0, 10, {
    help: 'Solicitations before a new address is used; 0: it is used at once.',
    source: 'RFC 4862 §5.1 DupAddrDetectTransmits',
  }),
  'net.ipv6.conf.all.accept_dad': int(1, 'mode', 1, 2, {
    help: 'After a duplicate link-local address made of the station address: 1 IPv6 goes on with the others, 2 it is off on the interface.',
    source: 'RFC 4862 §5.4.5; Linux, which also has 0: dad_transmits 0 is that here',
  }),
  'net.ipv6.conf.all.enhanced_dad': flag(1, { help: 'Tell our own looped-back probes from those of others by a nonce.', source: 'RFC 7527' }),
  'net.ipv6.conf.all.optimistic_dad': flag(0, { help: 'Use advertised addresses while they are probed.', source: 'RFC 4429; Linux' }),
  'net.ipv6.conf.all.ndisc_notify': flag(1, {
    help: 'Advertise a new address to all routers, so that its first answer is not lost there.',
    source: 'RFC 9131 §4.1; Linux has 0',
  }),
  'net.ipv6.conf.all.max_addresses': int(16, 'addresses', 1, 1_024, {
    help: 'Addresses of one interface made from advertisements; further prefixes make none.',
    source: 'Linux; RFC 8504 §5.4',
  }),
  'net.ipv6.conf.all.autoconf': flag(1, { help: 'Make addresses of advertised prefixes.', source: 'RFC 4862 §5.5' }),
  'net.ipv6.conf.all.use_tempaddr': int(0, 'mode', 0, 2, {
    help: 'Temporary addresses: 0 none, 1 made, 2 made and preferred as source.',
    source: 'RFC 8981; Linux',
  }),
  'net.ipv6.conf.all.temp_valid_lft': int(172_800, 's', 60, 31_536_000, {
    help: 'Longest life of a temporary address.',
    source: 'RFC 8981 §3.8 TEMP_VALID_LIFETIME',
  }),
  'net.ipv6.conf.all.temp_prefered_lft': int(86_400, 's', 30, 31_536_000, {
    help: 'How long it starts new flows.',
    source: 'RFC 8981 §3.8 TEMP_PREFERRED_LIFETIME',
  }),
  'net.ipv6.conf.all.regen_max_retry': int(3, 'tries', 0, 10, {
    help: 'New identifiers tried after duplicates, stable and temporary.',
    source: 'RFC 8981 §3.8, RFC 7217 §6',
  }),

  // Router advertisements
  'net.ipv6.conf.all.accept_ra': int(1, 'mode', 0, 2, {
    help: 'Believe router advertisements: 0 never, 1 while not forwarding, 2 always.',
    source: 'RFC 4861 §6.3; Linux',
  }),
  'net.ipv6.conf.all.accept_ra_defrtr': flag(1, { help: 'Learn default routers.', source: 'Linux' }),
  'net.ipv6.conf.all.accept_ra_pinfo': flag(1, { help: 'Learn prefixes.', source: 'Linux' }),
  'net.ipv6.conf.all.accept_ra_rtr_pref': flag(1, { help: 'Heed router preferences.', source: 'RFC 4191 §3; Linux' }),
  'net.ipv6.conf.all.accept_ra_rt_info_max_plen': int(128, 'bits', 0, 128, {
    help: 'Longest prefix of a route learned from a router; 0: none.',
    source: 'RFC 4191 §3 (type C host); Linux has 0',
  }),
  'net.ipv6.conf.all.accept_ra_mtu': flag(1, { help: 'Learn the link MTU.', source: 'RFC 4861 §6.3.4; Linux' }),
  'net.ipv6.conf.all.accept_ra_min_hop_limit': int(1, 'hops', 1, 255, {
    help: 'Lower hop limits are not learned.',
    source: 'RFC 7112-era attack; Linux',
  }),
  'net.ipv6.conf.all.accept_redirects': flag(1, {
    help: 'Hosts believe redirects of the router in use. Never while forwarding.',
    source: 'RFC 4861 §8.3; Linux',
  }),
  'net.ipv6.conf.all.send_redirects': flag(1, { help: 'Routers send redirects.', source: 'RFC 4861 §8.2' }),
  'net.ipv6.conf.all.router_solicitations': int(-1, 'messages', -1, 100, {
    help: 'Router solicitations until one answers; −1 without end, 0 none.',
    source: 'RFC 7559 §2; Linux',
  }),
  'net.ipv6.conf.all.router_solicitation_interval': int(4, 's', 1, 3_600, {
    help: 'First pause between them; it doubles.',
    source: 'RFC 7559 §2.1 IRT',
  }),
  'net.ipv6.conf.all.router_solicitation_max_interval': int(3_600, 's', 1, 86_400, {
    help: 'Longest pause between them.',
    source: 'RFC 7559 §2.1 MRT',
  }),

  // Groups
  'net.ipv6.conf.all.force_mld_version': int(0, 'version', 0, 2, {
    help: 'The version of MLD to speak; 0 and 2: the newest that the querier knows.',
    source: 'Linux; RFC 9777 §8',
  }),
  'net.ipv6.mld_max_msf': int(64, 'sources', 1, 1_024, { help: 'Sources in one filter of an IPv6 group.', source: 'Linux' }),

  // Bounds
  'anystack.ra_routers_max': int(16, 'routers', 1, 1_024, {
    help: 'Default routers of one interface. At the bound new ones are not learned.',
    source: 'own; RFC 6104 rogue advertisements',
  }),
  'anystack.ra_prefixes_max': int(32, 'prefixes', 1, 1_024, {
    help: 'On-link prefixes learned on one interface. At the bound new ones are not.',
    source: 'own',
  }),
  'anystack.ra_routes_max': int(64, 'routes', 0, 4_096, {
    help: 'Routes learned from advertisements on one interface.',
    source: 'own; RFC 4191 §2.3',
  }),
  'anystack.ra_resolvers_max': int(8, 'entries', 1, 256, {
    help: 'Resolvers, search domains and NAT64 prefixes learned on one interface, of each. The one that ends first goes.',
    source: 'RFC 8106 §5.3.1 asks for 3 at least',
  }),
  'anystack.redirects_max': int(256, 'routes', 0, 65_536, { help: 'Routes learned from redirects. The oldest goes.', source: 'own' }),
  'anystack.redirect_lifetime': int(600, 's', 1, 86_400, { help: 'How long a redirect is believed.', source: 'own; RFC 4861 has no end' }),
} as const;
