/** IP protocol numbers and IPv6 next headers (IANA protocol-numbers) that something here speaks. */
export const Protocol = {
  HopByHop: 0,
  Icmp: 1,
  Igmp: 2,
  Ipip: 4,
  Tcp: 6,
  Udp: 17,
  Ipv6: 41,
  Routing: 43,
  Fragment: 44,
  Gre: 47,
  Esp: 50,
  Ah: 51,
  Icmpv6: 58,
  NoNext: 59,
  DestinationOptions: 60,
  Vrrp: 112,
} as const;

const names = new Map<number, string>(Object.entries(Protocol).map(([name, n]) => [n, name.toLowerCase()]));

/** The protocol's name in lower case, or its number. */
export const protocolName = (protocol: number): string => names.get(protocol) ?? `protocol ${protocol}`;
