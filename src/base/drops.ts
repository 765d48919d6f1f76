/**
 * Every reason a packet dies for. One constant, its cause and its remedy, and a test that hits it. `anystack drops NAME`
 * prints an entry; captures carry the name as packet comment.
 */
export interface DropInfo {
  /** What happened to the packet, and whose doing it usually is. */
  readonly cause: string;
  /** What whoever runs the stack can do. */
  readonly remedy: string;
}

const info = (cause: string, remedy: string): DropInfo => ({ cause, remedy });
const FORGED = 'Broken or forged by the sender; capture the interface to see by whom.';
const NONE = 'Nothing: this is the protocol at work.';

/** All reasons, by name. */
export const drops = {
  // Devices and links
  NoBuffer: info('No free packet or slot was left.', 'Raise anystack.packets_max, or find who holds packets with nstat.'),
  DeviceDown: info('The device has no carrier, failed or is closed.', 'Bring the device up: anystack link show names its error.'),
  DeviceQueueFull: info(
    'The device did not take the frame and its bounded queue was full.',
    'The receiver is slower than the sender: raise anystack.txqueuelen or shape the sender.',
  ),
  DeviceOversize: info('The frame is longer than the device can carry.', 'Make the MTUs of both ends agree.'),
  SegmentMalformed: info('An offloaded frame whose headers cannot be repeated for its segments.', FORGED),
  EthernetTruncated: info('Shorter than an Ethernet header.', FORGED),
  EthernetOtherHost: info('A unicast frame for another station; the interface is not promiscuous.', NONE),
  EthernetUnknownType: info('An EtherType that no component takes.', NONE),
  EthernetBadSource: info('The source address is a group address (IEEE 802.3 §3.2.3).', FORGED),
  VlanTruncated: info('Shorter than a VLAN tag.', FORGED),
  VlanUnknown: info('Tagged for a VLAN that no interface has.', 'Add a VLAN interface, or correct the switch port.'),
  BridgeSamePort: info('A bridge got it by the port its destination is behind.', NONE),
  BridgeLoop: info("A frame with the bridge's own address as source came back by a port.", 'Find the loop in the cables; there is no spanning tree.'),
  MirrorOtherStation: info(
    "A routing engine's host sent it as another station than the port it mirrors.",
    'Give its interface no other station address.',
  ),
  ArpTruncated: info('Shorter than an ARP packet for IPv4 over Ethernet.', FORGED),
  ArpMalformed: info('Hardware or protocol type or length is not Ethernet and IPv4, or the opcode is unknown.', FORGED),
  ArpBadSender: info('The sender address is a group address, or not the frame sender.', FORGED),
  NeighborFailed: info(
    'The next hop did not answer address resolution.',
    'The host is down or not on this link: check address, prefix length and cabling.',
  ),
  NeighborQueueFull: info('More packets than NEIGHBOR_PENDING_MAX waited for one address; the oldest went.', NONE),
  NeighborTableFull: info('The neighbour table is full of entries in use.', 'A scan, or a subnet larger than anystack.neighbors_max.'),
  ShaperLate: info(
    'The shaper dropped it: its flow has stood in the queue for too long (RFC 8289 §5).',
    'The uplink is full: this is how senders learn it. A higher rate, if the line has more.',
  ),
  ShaperFull: info(
    'More packets waited for the shaper than it holds; the longest flow lost its oldest.',
    'A flood, or a rate far below what is sent.',
  ),
  LoopbackQueueFull: info('More packets to ourselves in one poll than the loopback queue holds.', NONE),
  AddressDuplicate: info('Our own address is used by another station.', 'Give one of the two another address.'),

  // IP, both families
  IpTruncated: info('Shorter than its header says.', FORGED),
  IpBadVersion: info('The version field does not fit the EtherType.', FORGED),
  IpBadHeaderLength: info('Header length below 20 octets or past the packet.', FORGED),
  IpBadLength: info('Total length below the header or past the frame.', FORGED),
  IpBadChecksum: info('The IPv4 header checksum is wrong.', 'A broken device or cable on the path.'),
  IpBadOptions: info('An option runs past the header or contradicts itself.', FORGED),
  IpSourceRoute: info('A source route option; refused (RFC 7126 §4.3).', NONE),
  IpBadExtension: info('An IPv6 extension header runs past the packet or stands where it must not (RFC 8200 §4.1).', FORGED),
  IpExtensionsTooMany: info('More IPv6 extension headers or options than the limit (RFC 8504 §5.3).', FORGED),
  IpUnknownOption: info('An unknown IPv6 option whose type asks for the packet to be discarded (RFC 8200 §4.2).', NONE),
  IpRoutingHeader: info('A routing header with segments left, of a type nothing here follows (RFC 8200 §4.4, RFC 5095 §3).', NONE),
  IpBadSource: info('A source address that no host can have: group, broadcast, or ours (RFC 1122 §3.2.1.3).', FORGED),
  IpMartian: info('An address that must not appear on a wire (RFC 1812 §5.3.7), e.g. loopback.', FORGED),
  Ipv6Disabled: info('IPv6 is off on the interface.', 'net.ipv6.conf.all.disable_ipv6 decides, or the one of the interface.'),
  IpNotForUs: info('Not for one of our addresses, and forwarding is off.', 'Set net.ipv4.ip_forward or net.ipv6.conf.all.forwarding to forward.'),
  IpNoRoute: info('No route to the destination.', 'anystack route get ADDR explains; add a route.'),
  IpRouteBlackhole: info('The route is of type blackhole.', NONE),
  IpRouteProhibit: info('The route is of type prohibit.', NONE),
  IpRouteUnreachable: info('The route is of type unreachable.', NONE),
  IpTtlExceeded: info('TTL or hop limit ran out on the way.', 'A routing loop, or traceroute.'),
  IpUnknownProtocol: info('No component takes the protocol number.', NONE),
  IpTooBig: info('Longer than the path MTU and not to be fragmented.', NONE),
  IpLoop: info('Encapsulated deeper than the limit allows.', 'A tunnel is routed into itself: anystack route get the outer destination.'),
  IpReversePath: info('The reverse path filter (RFC 3704) found no way back through this interface.', 'Asymmetric routing: set rp_filter to 2 or 0.'),
  IpBroadcastForward: info('A broadcast or multicast that is not forwarded.', NONE),
  IpGroupNotJoined: info('A multicast group nobody here has joined.', NONE),
  FragmentOverlap: info('Fragments overlap; the whole datagram is refused (RFC 5722, 8200 §4.5).', FORGED),
  FragmentDuplicate: info('Exactly this fragment is held already.', NONE),
  FragmentMalformed: info('A fragment with impossible offset or length.', FORGED),
  FragmentTooLong: info('The reassembled datagram would pass 65,535 octets.', FORGED),
  FragmentTimeout: info('Not all fragments came in time (RFC 791 §3.2, 8200 §4.5).', 'Loss on the path, or a smaller MTU there.'),
  FragmentMemory: info('Reassembly memory is full; the oldest datagram went.', 'Raise net.ipv4.ipfrag_high_thresh, or find who sends fragments.'),
  FragmentTooMany: info('More fragments in one datagram than the limit.', FORGED),
  FragmentAtomicNd: info('A fragmented neighbour discovery message (RFC 6980).', FORGED),

  // Filter, connection tracking, NAT
  FilterDrop: info('A rule said drop.', 'anystack nft list shows the rules and their counters.'),
  FilterReject: info('A rule said reject; the sender was told.', 'anystack nft list shows the rules and their counters.'),
  TrackFull: info('The tracking table is full of connections that are younger.', 'Raise net.netfilter.nf_conntrack_max.'),
  Nat64Unsupported: info('A protocol, a kind of ICMP or an IPv6 extension that means nothing in the other family (RFC 7915 §4.2, §5.2).', NONE),
  Nat64BadAddress: info(
    'An address that has none in the other family: no host, of no prefix here, or not to stand behind the well-known prefix (RFC 6052 §3.1).',
    'Compare the nat64 prefix of the configuration with that of the DNS64; private addresses need a prefix of your own.',
  ),
  Nat64NoSession: info(
    'From outside for no mapping, kept out by the filtering, or a TCP segment that opens nothing (RFC 6146 §3.5).',
    'Sessions begin inside; a map makes a server reachable.',
  ),
  NatNoPort: info('No free external port was left for a new flow.', 'Add external addresses, or widen the port range.'),

  // ICMP
  IcmpTruncated: info('Shorter than an ICMP header, or than its type needs.', FORGED),
  IcmpBadChecksum: info('The ICMP checksum is wrong.', 'A broken device on the path.'),
  IcmpUnknownType: info('A type or code nothing here takes.', NONE),
  IcmpRateLimited: info(
    'The error or reply was not sent: the rate limit is reached (RFC 1812 §4.3.2.8, 4443 §2.4f).',
    'Raise net.ipv4.icmp_ratelimit if this is wanted traffic.',
  ),
  IcmpEchoIgnored: info(
    'Echo to a group address, or echo replies are switched off.',
    'net.ipv4.icmp_echo_ignore_all, net.ipv4.icmp_echo_ignore_broadcasts.',
  ),
  IcmpErrorUnmatched: info('An error about a packet we did not send.', FORGED),
  IcmpErrorForged: info('An error whose quoted packet does not fit the connection it names (RFC 5927).', FORGED),
  IcmpBadMtu: info('A packet-too-big error with an MTU below 1,280 octets, which every IPv6 link has (RFC 8201 §4).', FORGED),
  NdTruncated: info('Shorter than its neighbour discovery message type needs (RFC 4861 §6.1, §7.1).', FORGED),
  NdMalformed: info(
    'A neighbour discovery message with code not 0, an option of length 0, or a group address as target (RFC 4861 §6.1, §7.1).',
    FORGED,
  ),
  NdHopLimit: info('A neighbour discovery message that came through a router: its hop limit is not 255 (RFC 4861 §6.1, §7.1, §8.1).', FORGED),
  NdBadAddress: info('A neighbour discovery message from or to an address its type forbids (RFC 4861 §6.1, §7.1, §8.1).', FORGED),
  NdNotForUs: info('A solicitation or advertisement about an address that is neither ours nor a known neighbour.', NONE),
  NdRefused: info(
    'A router advertisement, solicitation or redirect that this node is set not to believe.',
    'net.ipv6.conf.all.accept_ra, accept_redirects and forwarding decide.',
  ),
  NdNotFirstHop: info('A redirect from somebody who is not the router in use for its destination (RFC 4861 §8.1).', FORGED),
  NdLooped: info('Our own solicitation came back: a loop on the link (RFC 7527).', 'Find the loop in the switch or access point.'),
  MldNotLocal: info(
    'An MLD message whose source is not link-local, whose hop limit is not 1, without router alert, or to the wrong group (RFC 9777 §5, §6.2).',
    FORGED,
  ),
  MldTruncated: info('Shorter than its MLD message or the records it announces.', FORGED),
  IgmpNotLocal: info(
    'An IGMP query without router alert or with a TTL other than 1, to the wrong group, or a report to another group than its own (RFC 9776 §9.1).',
    FORGED,
  ),
  IgmpTruncated: info('Shorter than its IGMP message or the records it announces.', FORGED),
  IgmpBadChecksum: info('The IGMP checksum is wrong.', 'A broken device on the path.'),

  VrrpTruncated: info('Shorter than a VRRP advertisement or the addresses it announces.', FORGED),
  VrrpBadVersion: info('A VRRP message of another version or type than 3 and advertisement.', 'Set the other router to VRRP version 3.'),
  VrrpBadChecksum: info('The VRRP checksum is wrong.', 'A broken device on the path.'),
  VrrpNotLocal: info('A VRRP message that came through a router: its hop limit is not 255 (RFC 9568 §7.1).', FORGED),
  VrrpUnknown: info(
    'An advertisement of a virtual router that is not set here, or whose addresses are our own.',
    'Compare the VRIDs of both routers.',
  ),
  VrrpNotAccepted: info("To a virtual router's address, which takes nothing for itself (RFC 9568 §6.1).", "Set 'accept' to have it answer."),

  // UDP and raw sockets
  UdpTruncated: info('Shorter than a UDP header, or than its length field.', FORGED),
  UdpBadLength: info('The length field is below 8 or past the packet.', FORGED),
  UdpBadChecksum: info('The UDP checksum is wrong, or zero over IPv6.', 'A broken device on the path.'),
  UdpNoPort: info('No socket is bound to the port; port unreachable was sent if allowed.', 'Start the program, or correct the port.'),
  UdpReceiveBufferFull: info('The socket did not read in time and its buffer was full.', 'Raise SO_RCVBUF or net.core.rmem_default.'),
  RawReceiveBufferFull: info('The raw or packet socket did not read in time.', 'Raise SO_RCVBUF.'),

  // TCP
  TcpTruncated: info('Shorter than a TCP header or than its data offset.', FORGED),
  TcpBadOffset: info('The data offset is below 5.', FORGED),
  TcpBadOptions: info('An option with an impossible length (RFC 9293 MUST-7).', FORGED),
  TcpBadChecksum: info('The TCP checksum is wrong.', 'A broken device on the path.'),
  TcpBadFlags: info('A combination of flags that means nothing.', FORGED),
  TcpBadAddress: info('A segment to or from a group or broadcast address (RFC 9293 MUST-57).', FORGED),
  TcpNoPort: info('No connection and no listener; RST was sent if allowed.', 'Start the program, or correct the port.'),
  TcpRstNoConnection: info('A RST for no connection.', NONE),
  TcpListenNoSyn: info('A segment to a listener that opens no connection.', NONE),
  TcpListenOverflow: info(
    'The accept queue is full, and the handshake was not completed.',
    'The program does not accept fast enough: raise backlog and net.core.somaxconn.',
  ),
  TcpSynQueueFull: info('Too many half-open connections and SYN cookies are off.', 'Turn on net.ipv4.tcp_syncookies.'),
  TcpBadCookie: info('The ACK carried no valid SYN cookie.', FORGED),
  TcpOutOfWindow: info('The segment lies outside the receive window; an ACK was sent unless limited (RFC 9293 §3.10.7.4).', NONE),
  TcpPaws: info('Its timestamp is older than the last (RFC 7323 §5).', NONE),
  TcpNoTimestamp: info('Timestamps were agreed upon and the segment has none (RFC 7323 §3.2).', FORGED),
  TcpRstOutOfWindow: info('A RST outside the window, or inside but not at RCV.NXT: challenged (RFC 5961 §3.2).', FORGED),
  TcpSynInWindow: info('A SYN on an open connection: challenged (RFC 5961 §4.2).', FORGED),
  TcpBadAck: info('It acknowledges what was never sent, or too old (RFC 5961 §5.2).', FORGED),
  TcpNoAck: info('No ACK bit where one is required.', FORGED),
  TcpDuplicate: info('All its octets had arrived before.', NONE),
  TcpReceiveMemory: info('Out-of-order octets found no memory.', 'Raise net.ipv4.tcp_mem or slow the senders.'),
  TcpWindowFull: info('Octets beyond the window we offered.', FORGED),
  TcpAfterClose: info('Data for a connection whose application has closed; RST was sent (RFC 9293 §3.10.7.4, 2525 §2.17).', NONE),
  TcpAnswerLimited: info(
    'A SYN got no cookie, or a segment of no connection no RST: the rate limit of such answers is reached.',
    'A flood or a scan; anystack.tcp_answers_limit says how many are answered.',
  ),
  TcpChallengeLimited: info('The challenge ACK was not sent: its rate limit is reached (RFC 5961 §7).', NONE),
  TcpConnectionsMax: info('The limit on connections is reached.', 'Raise anystack.tcp_connections_max.'),

  // IPsec and tunnels
  EspTruncated: info('Shorter than an ESP header and trailer, or with SPI 0 (RFC 4303 §2).', FORGED),
  EspBadPadding: info(
    'The opened ESP payload ends in impossible padding (RFC 4303 §2.4).',
    'The peer encrypts with something else: compare the proposals.',
  ),
  AhTruncated: info('Shorter than an AH header or than its length field.', FORGED),
  AhHeadersTooLong: info('An ICV of another length than the SA has, or more octets of headers before AH than are authenticated here.', FORGED),
  IpsecUnknownSpi: info(
    'An SPI that no SA has (auditable: RFC 4301 §5.2).',
    'The peer kept an SA that is gone here: anystack ipsec sad; a new IKE exchange mends it.',
  ),
  IpsecWrongProtocol: info('The SPI belongs to an SA of the other protocol, VRF or encapsulation.', FORGED),
  IpsecBadIcv: info('The integrity check failed (auditable: RFC 4303 §3.4.4).', 'Forged, or the keys of both ends differ.'),
  IpsecReplay: info(
    'The sequence number was seen before or lies left of the window (auditable: RFC 4303 §3.4.3).',
    'A replay, or reordering beyond the window: raise its size.',
  ),
  IpsecSequenceEnd: info(
    'The sequence numbers of the SA are used up (auditable: RFC 4303 §3.3.3).',
    'Rekey earlier, or agree on extended sequence numbers.',
  ),
  IpsecExpired: info('The hard lifetime of the SA has ended.', 'Rekeying failed: anystack ipsec status names why.'),
  IpsecNoSa: info('Its policy asks for protection, and there is no SA yet; one was asked for.', NONE),
  IpsecClear: info(
    'A clear packet where the policy asks for protection (auditable: RFC 4301 §5.2).',
    'The peer does not protect this traffic: compare the policies of both ends.',
  ),
  IpsecDiscard: info(
    'A policy of type discard, or none where unmatched traffic is discarded (auditable: RFC 4301 §5.1).',
    "anystack ipsec spd lists the policies. One with action 'bypass', or ipsec.unmatched 'bypass', lets other traffic pass.",
  ),
  IpsecSelector: info(
    'What came out of the SA is not what its selectors allow (auditable: RFC 4301 §5.2).',
    'Compare the traffic selectors of both ends.',
  ),
  IpsecQueueFull: info('More packets waited for encryption in one poll than the queue holds.', NONE),
  IpsecDummy: info('A dummy packet that hides the traffic pattern (RFC 4303 §2.6).', NONE),
  IpsecBadNext: info('The SA carries a next header its mode does not allow.', FORGED),
  IpsecEcn: info('The outer header says congestion was met, the inner sender does not know ECN (RFC 6040 §4.2).', NONE),
  NatKeepalive: info('A NAT keep-alive (RFC 3948 §4).', NONE),
  IkeTruncated: info('Shorter than an IKE header, or not as long as it says (RFC 7296 §3.1).', FORGED),
  IkeMalformed: info('An IKE payload that does not fit its bounds, or lacks where it must stand.', FORGED),
  IkeVersion: info('An IKE version other than 2.', 'The peer speaks IKEv1 only.'),
  IkeUnknownSa: info('An IKE message for no IKE SA we have.', 'The peer kept an SA that is gone here; it notices by its own probes.'),
  IkeBadIcv: info('An IKE message that is not authentic.', FORGED),
  IkeMessageId: info('An IKE message whose number is not expected: a retransmission answered already, or a replay.', NONE),
  IkeState: info('An exchange that does not fit the state of its IKE SA.', FORGED),
  IkeNoConnection: info('No connection is configured for this peer.', 'Add one, or leave it: nothing is answered.'),
  IkeHalfOpen: info('More half-open IKE SAs than the limit, and no valid cookie came.', 'An attack, or anystack.ike_half_open_max is too small.'),
  IkeCookie: info('A cookie was asked for (RFC 7296 §2.6).', NONE),
  IkeFragment: info('An IKE fragment with impossible numbers, or a duplicate (RFC 7383 §2.6).', FORGED),
  TunnelUnknown: info(
    'Encapsulated for us, and no tunnel has these ends, key or network identifier.',
    'Compare local, remote, key and id of both ends; or a stranger tries (RFC 4213 §4).',
  ),
  TunnelEcn: info('The outer header says congestion was met, the inner sender does not know ECN (RFC 6040 §4.2).', NONE),
  TunnelLimit: info(
    'The tunnel encapsulation limit of the packet is used up; its sender was told (RFC 2473 §4.1.1).',
    'Tunnels in tunnels: a routing loop, or a limit set too low.',
  ),
  GreSequence: info('A GRE sequence number not above the last, or none where one was agreed upon (RFC 2890 §2.2).', NONE),
  VxlanTruncated: info('Shorter than a VXLAN header.', FORGED),
  VxlanBadFlags: info('A VXLAN header without a valid network identifier (RFC 7348 §5).', FORGED),
  GreTruncated: info('Shorter than a GRE header with the fields its flags announce.', FORGED),
  GreBadFlags: info('A GRE version other than 0, or a flag that must be refused (RFC 2784 §2.3).', FORGED),
  GreBadChecksum: info('The GRE checksum is wrong.', 'A broken device on the path.'),

  // Names and leases
  DnsTruncated: info('Shorter than a DNS header, or than its records say.', FORGED),
  DnsMalformed: info('A name, record or count that RFC 1035 does not allow.', FORGED),
  DnsUnexpected: info(
    'An answer to no question of ours: wrong identifier, question, server, or too late (RFC 5452 §9.1).',
    'Late, or forged; where many come, somebody tries to poison names.',
  ),
  DnsNotAnswered: info('A question the forwarder does not take: not from the link, not a query, or past its rate.', NONE),
  DnsQueriesFull: info(
    'More questions were under way than the resolver keeps.',
    'The name servers are slow or gone: anystack dns shows which are asked.',
  ),
  DhcpTruncated: info('Shorter than a DHCP message, or than its options say.', FORGED),
  DhcpMalformed: info('A DHCP message with impossible fields or options.', FORGED),
  DhcpUnexpected: info('A DHCP message for somebody else, of another exchange, or out of turn.', NONE),
  DhcpPoolFull: info('A DHCP client asked and every address of the pool is leased.', 'Enlarge the pool, or shorten the lease time.'),

  // Forwards and proxies
  SocksTruncated: info('A SOCKS datagram shorter than its header, or a client that left in the middle of its request.', FORGED),
  SocksMalformed: info(
    'A SOCKS message of another version, or with impossible fields (RFC 1928, RFC 1929).',
    'The program speaks something else: SOCKS 4, or HTTP. Set it to SOCKS 5.',
  ),
  SocksFragment: info('A fragment of a SOCKS datagram; refused (RFC 1928 §7).', 'Have the program send its datagrams whole.'),
  SocksUnexpected: info('A datagram to a SOCKS association that is not from its client.', 'Forged, or a program that sends from two ports.'),
  ForwardFull: info(
    'A forward or proxy had as many connections, or peers, as its max allows.',
    "anystack forward shows which; raise its 'max', or find who holds them.",
  ),
} as const satisfies Record<string, DropInfo>;

export type DropName = keyof typeof drops;

/** Names by number; number 0 is none. */
export const dropNames: readonly ('None' | DropName)[] = ['None', ...(Object.keys(drops) as DropName[])];

/** The number a check returns and `drop` takes: Drop.UdpTruncated. Never 0. Names are stable, numbers are not. */
export const Drop = Object.fromEntries(dropNames.map((name, n) => [name, n])) as unknown as { readonly [K in DropName]: number };
