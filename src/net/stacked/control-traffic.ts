// hot: bench/packet
import { Address } from '../../base/address.js';
import * as arp from '../../wire/arp.js';
import * as ethernet from '../../wire/ethernet.js';
import * as icmpv4 from '../../wire/icmpv4.js';
import * as icmpv6 from '../../wire/icmpv6.js';
import * as ipv4 from '../../wire/ipv4.js';
import * as ipv6 from '../../wire/ipv6.js';
import { Protocol } from '../../wire/protocol.js';

/** Whom a frame is for: this stack, the routing engine's host beside it, or both. */
export const Share = { Ours: 0, Both: 1, Theirs: 2 } as const;

/** Protocols that only routing engines speak. */
const EIGRP = 88;
const OSPF = 89;
const PIM = 103;

/** Ports of TCP: BGP, RPKI to routers (RFC 8210), MSDP, LDP. */
const isTcpPort = (port: number): boolean => port === 179 || port === 323 || port === 639 || port === 646;

/** Ports of UDP: RIP, RIPng, LDP, BFD (RFC 5881, RFC 5883), Babel. */
const isUdpPort = (port: number): boolean =>
  port === 520 || port === 521 || port === 646 || port === 3_784 || port === 3_785 || port === 4_784 || port === 6_696;

/**
 * Tells routing protocols from all else that comes by a port. What both must know goes to both: answers of ARP and ND, routers' advertisements,
 * group membership. Requests for our addresses are answered by us alone. Ports are looked at first: other traffic costs a few comparisons.
 */
export class ControlTraffic {
  /** Is it an address of ours, as seen on the port? */
  private readonly local: (address: Address) => boolean;
  private readonly chain = new ipv6.Chain();
  private readonly address = new Address();

  constructor(local: (address: Address) => boolean) {
    this.local = local;
  }

  /** Share of the frame in [at, end), which is for our station or for a group. */
  shareOf(view: DataView, at: number, end: number): number {
    const network = at + ethernet.HEADER_LEN;
    const type = ethernet.type(view, at);
    if (type === ethernet.EtherType.Ipv4) return this.ofIpv4(view, network, end);
    if (type === ethernet.EtherType.Ipv6) return this.ofIpv6(view, network, end);
    if (type === ethernet.EtherType.Arp) return this.ofArp(view, network, end);
    // A length: IS-IS is in 802.2, both SAPs 0xfe (ISO/IEC 10589 §8.4.8).
    return type < 0x600 && end - network >= 3 && view.getUint16(network) === 0xfefe ? Share.Theirs : Share.Ours;
  }

  private ofArp(view: DataView, at: number, end: number): number {
    if (arp.check(view, at, end) !== 0) return Share.Ours;
    this.address.setV4(arp.target(view, at));
    return arp.op(view, at) === arp.Op.Request && this.local(this.address) ? Share.Ours : Share.Both;
  }

  private ofIpv4(view: DataView, at: number, end: number): number {
    if (end - at < ipv4.HEADER_LEN) return Share.Ours;
    const behind = at + ipv4.headerLength(view, at);
    const protocol = ipv4.protocol(view, at);
    const whole = ipv4.fragmentOffset(view, at) === 0;
    const share =
      protocol === Protocol.Icmp ? (whole ? this.ofIcmp4(view, behind, end) : Share.Ours) : ofTransport(view, protocol, behind, end, whole);
    if (share === Share.Ours) return Share.Ours;
    ipv4.destination(view, at, this.address);
    if (this.address.isMulticast) return share === Share.Both || this.address.w3 >>> 8 === 0xe00000 ? share : Share.Ours;
    return this.local(this.address) ? share : Share.Ours;
  }

  /** What is said of a packet of theirs is for them: the MTU of a path, a port that nobody listens to. */
  private ofIcmp4(view: DataView, at: number, end: number): number {
    const quoted = icmpv4.quoted(at);
    if (end - quoted < ipv4.HEADER_LEN || !icmpv4.isError(icmpv4.type(view, at))) return Share.Ours;
    return ofTransport(view, ipv4.protocol(view, quoted), quoted + ipv4.headerLength(view, quoted), end, ipv4.fragmentOffset(view, quoted) === 0);
  }

  private ofIpv6(view: DataView, at: number, end: number): number {
    if (end - at < ipv6.HEADER_LEN) return Share.Ours;
    const { chain, address } = this;
    ipv6.skim(view, at, end, chain);
    const { offset } = chain;
    const whole = chain.protocol !== Protocol.Fragment;
    const protocol = whole || end - offset < ipv6.FRAGMENT_LEN ? chain.protocol : ipv6.fragmentNext(view, offset);
    const share =
      protocol === Protocol.Icmpv6 ? (whole ? this.ofIcmp6(view, offset, end) : Share.Ours) : ofTransport(view, protocol, offset, end, whole);
    if (share === Share.Ours) return Share.Ours;
    ipv6.destination(view, at, address);
    if (address.isMulticast) return share === Share.Both || address.w0 >>> 16 === 0xff02 ? share : Share.Ours;
    return this.local(address) ? share : Share.Ours;
  }

  private ofIcmp6(view: DataView, at: number, end: number): number {
    if (end - at < icmpv6.HEADER_LEN) return Share.Ours;
    switch (icmpv6.type(view, at)) {
      case icmpv6.Type.NeighborSolicitation:
        if (end - at < icmpv6.HEADER_LEN + 16) return Share.Ours;
        ipv6.address(view, at + icmpv6.HEADER_LEN, this.address);
        return this.local(this.address) ? Share.Ours : Share.Both;
      case icmpv6.Type.NeighborAdvertisement:
      case icmpv6.Type.RouterSolicitation:
      case icmpv6.Type.RouterAdvertisement:
      case icmpv6.Type.MulticastQuery:
      case icmpv6.Type.MulticastReport:
      case icmpv6.Type.MulticastDone:
      case icmpv6.Type.MulticastReportV2:
        return Share.Both;
      default:
        return icmpv6.isError(icmpv6.type(view, at)) ? this.ofQuoted6(view, icmpv6.quoted(at), end) : Share.Ours;
    }
  }

  private ofQuoted6(view: DataView, at: number, end: number): number {
    if (end - at < ipv6.HEADER_LEN) return Share.Ours;
    const { chain } = this;
    ipv6.skim(view, at, end, chain);
    return ofTransport(view, chain.protocol, chain.offset, end, chain.protocol !== Protocol.Fragment);
  }
}

/** By protocol and, where the first octets are there (`whole`), ports. */
function ofTransport(view: DataView, protocol: number, at: number, end: number, whole: boolean): number {
  if (protocol === Protocol.Tcp || protocol === Protocol.Udp) {
    if (!whole || end - at < 4) return Share.Ours;
    const source = view.getUint16(at);
    const destination = view.getUint16(at + 2);
    const theirs = protocol === Protocol.Tcp ? isTcpPort(source) || isTcpPort(destination) : isUdpPort(destination);
    return theirs ? Share.Theirs : Share.Ours;
  }
  if (protocol === Protocol.Igmp) return Share.Both;
  return protocol === OSPF || protocol === PIM || protocol === EIGRP ? Share.Theirs : Share.Ours;
}
