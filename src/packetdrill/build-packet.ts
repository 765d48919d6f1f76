/** From a script's inbound packet to the octets that reach the stack. */

import { type Address, parseAddress } from '../base/address.js';
import * as icmpv4 from '../wire/icmpv4.js';
import * as icmpv6 from '../wire/icmpv6.js';
import * as ipv4 from '../wire/ipv4.js';
import * as ipv6 from '../wire/ipv6.js';
import { Protocol } from '../wire/protocol.js';
import * as tcp from '../wire/tcp.js';
import * as udp from '../wire/udp.js';
import type { Encapsulation, IcmpBody, IpFields, PacketAction, TcpBody, TcpOption, UdpBody } from './ast.js';
import type { Flow } from './flow.js';
import { icmpNumbers } from './icmp-names.js';
import { Unsupported } from './outcome.js';
import { streamOctets } from './payload.js';
import { encodeOptions } from './tcp-option-octets.js';

/** Hop limit of what arrives, where the script names none. */
const TTL = 255;

interface Addressed {
  readonly from: Address;
  readonly to: Address;
}

/** The packet as it arrives from the flow's peer. */
export function buildPacket(packet: PacketAction, flow: Flow): Uint8Array {
  const { body } = packet;
  const ends = { from: flow.remote, to: flow.local };
  let octets: Uint8Array;
  if (body.kind === 'tcp') octets = inIp(packet.ip, ends, Protocol.Tcp, buildTcp(body, packet, flow, ends));
  else if (body.kind === 'udp') octets = inIp(packet.ip, ends, Protocol.Udp, buildUdp(body, packet, flow, ends));
  else if (body.kind === 'icmp') octets = buildIcmp(body, packet.ip, flow, ends);
  else throw new Unsupported(`protocol ${body.protocol}`);
  for (const outer of [...packet.outer].reverse()) octets = encapsulate(outer, octets);
  return octets;
}

function buildTcp(body: TcpBody, packet: PacketAction, flow: Flow, { from, to }: Addressed): Uint8Array {
  if (body.tunnel !== null) throw new Unsupported('TCP over UDP');
  const syn = (body.flags & tcp.Flag.Syn) !== 0;
  const ours = flow.localOffset(syn);
  const options = encodeOptions(translate(body.options ?? [], flow, ours));
  const header = tcp.HEADER_LEN + options.length;
  const octets = new Uint8Array(header + body.octets);
  const view = new DataView(octets.buffer);
  const ack = (body.flags & tcp.Flag.Ack) !== 0 ? (body.ack ?? 0) + ours : (body.ack ?? 0);
  const seq = body.absolute ? body.seq : body.seq + flow.remoteOffset(syn);
  const { sourcePort, destinationPort } = portsOf(packet, flow);
  // Bit 8 of the flags is AE, the lowest of the bits beside the offset.
  tcp.put(view, 0, sourcePort, destinationPort, seq | 0, ack | 0, header, body.flags & 511, body.window ?? 0, 0, body.urgent);
  octets.set(options, tcp.HEADER_LEN);
  octets.set(streamOctets(((seq - flow.remoteIsn) | 0) - (syn ? 0 : 1), body.octets), header);
  tcp.finishSegment(view, 0, octets.length, from, to);
  return octets;
}

function portsOf(packet: PacketAction, flow: Flow): { sourcePort: number; destinationPort: number } {
  return { sourcePort: packet.ports?.source || flow.remotePort, destinationPort: packet.ports?.destination || flow.localPort };
}

/** SACK blocks and echoed timestamps are of the stack's numbers. */
function translate(options: readonly TcpOption[], flow: Flow, ours: number): TcpOption[] {
  return options.map((option) => {
    if (option.kind === 'sack') return { kind: 'sack', blocks: option.blocks.map(([left, right]) => [left + ours, right + ours] as const) };
    if (option.kind === 'TS' && !option.absoluteEcr) return { ...option, ecr: flow.echo(option.ecr) };
    return option;
  });
}

function buildUdp(body: UdpBody, packet: PacketAction, flow: Flow, { from, to }: Addressed): Uint8Array {
  const octets = new Uint8Array(udp.HEADER_LEN + body.octets);
  const view = new DataView(octets.buffer);
  const { sourcePort, destinationPort } = portsOf(packet, flow);
  udp.put(view, 0, sourcePort, destinationPort, octets.length, 0);
  udp.finishDatagram(view, 0, from, to);
  return octets;
}

function buildIcmp(body: IcmpBody, ip: IpFields, flow: Flow, ends: Addressed): Uint8Array {
  const v4 = flow.local.isV4;
  const { type, code } = icmpNumbers(v4 ? 4 : 6, body.type, body.code);
  const quoted = body.quoted === null ? new Uint8Array(0) : quote(body.quoted, flow);
  const octets = new Uint8Array(8 + quoted.length);
  const view = new DataView(octets.buffer);
  octets.set(quoted, 8);
  const rest = body.mtu ?? body.id * 0x1_0000;
  if (v4) {
    icmpv4.put(view, 0, type, code, rest | 0);
    icmpv4.finishMessage(view, 0, octets.length);
  } else {
    icmpv6.put(view, 0, type, code, rest | 0);
    icmpv6.finishMessage(view, 0, octets.length, ends.from, ends.to);
  }
  return inIp(ip, ends, v4 ? Protocol.Icmp : Protocol.Icmpv6, octets);
}

/** The IP header and eight octets of what the stack is said to have sent. */
function quote(quoted: NonNullable<IcmpBody['quoted']>, flow: Flow): Uint8Array {
  if (quoted.protocol === 'other') throw new Unsupported('an ICMP error about a protocol other than TCP and UDP');
  const transport = new Uint8Array(8);
  const view = new DataView(transport.buffer);
  const isTcp = quoted.protocol === 'tcp';
  view.setUint16(0, flow.localPort);
  view.setUint16(2, flow.remotePort);
  if (isTcp) view.setInt32(4, (quoted.seq + flow.localOffset(false)) | 0);
  else view.setUint16(4, udp.HEADER_LEN + quoted.octets);
  const length = (isTcp ? tcp.HEADER_LEN : udp.HEADER_LEN) + quoted.octets;
  return inIp(NO_FIELDS, { from: flow.local, to: flow.remote }, isTcp ? Protocol.Tcp : Protocol.Udp, transport, length);
}

const NO_FIELDS: IpFields = { classMask: 0, classValue: 0, anyEct: false, flowLabel: null, ttl: null };

/** An IP packet around `payload`; `length` where the header is to say something else than what follows. */
function inIp(ip: IpFields, { from, to }: Addressed, protocol: number, payload: Uint8Array, length = payload.length): Uint8Array {
  const header = from.isV4 ? ipv4.HEADER_LEN : ipv6.HEADER_LEN;
  const octets = new Uint8Array(header + payload.length);
  const view = new DataView(octets.buffer);
  octets.set(payload, header);
  if (from.isV4) ipv4.put(view, 0, ip.classValue, header + length, 0, 0, ip.ttl ?? TTL, protocol, from.w3, to.w3);
  else ipv6.put(view, 0, ip.classValue, ip.flowLabel ?? 0, length, protocol, ip.ttl ?? TTL, from, to);
  return octets;
}

/** Only IP in IP is spoken here. */
function encapsulate(outer: Encapsulation, inner: Uint8Array): Uint8Array {
  const from = parseAddress(outer.source);
  const to = parseAddress(outer.destination);
  if (from === null || to === null) throw new Unsupported(`encapsulation in ${outer.kind}`);
  return inIp(outer.ip, { from, to }, (inner[0] as number) >>> 4 === 4 ? Protocol.Ipip : Protocol.Ipv6, inner);
}
