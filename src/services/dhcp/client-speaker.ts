import { v4 } from '../../base/address.js';
import { type Micros, seconds } from '../../base/time.js';
import type { Interface } from '../../net/interface.js';
import type { UdpSocket } from '../../net/socket/udp-socket.js';
import type { Stack } from '../../net/stack.js';
import { CLIENT_PORT, MessageType, Op, Option, SERVER_PORT, write } from '../../wire/dhcp.js';
import { duidOf, iaidOf } from '../dhcpv6/duid.js';
import type { Lease } from './lease.js';
import { EVERYBODY, sendDirect } from './link-socket.js';

/** An option that one message has besides those of all. */
export type Extra = readonly [number, Uint8Array];

/** What a client's message is at most: every server takes it (RFC 2131 §2). */
const MESSAGE_MAX = 576;
/** What we take: a frame's worth without IP and UDP headers. */
const ANSWER_MAX = 1_472;

const WANTED = [
  Option.SubnetMask,
  Option.ClasslessRoutes,
  Option.Router,
  Option.DnsServers,
  Option.DomainName,
  Option.SearchList,
  Option.Mtu,
  Option.LeaseTime,
  Option.RenewalTime,
  Option.RebindingTime,
];

/** Says what a client has to say, in frames or through its socket. RFC 2131 §4.4, table 5. */
export class ClientSpeaker {
  /** Of the exchange under way. */
  xid = 0;
  /** When it began, by the clock that runs through suspend. */
  asked: Micros = 0;
  private readonly core: Stack;
  private readonly iface: Interface;
  private readonly socket: UdpSocket;
  private readonly clientId: Uint8Array;

  constructor(core: Stack, iface: Interface, socket: UdpSocket) {
    this.core = core;
    this.iface = iface;
    this.socket = socket;
    this.clientId = clientId(core, iface);
  }

  /** Without an address, to everybody. */
  broadcast(type: number, extra: readonly Extra[]): void {
    const direct = { source: 0, destination: -1, sourcePort: CLIENT_PORT, destinationPort: SERVER_PORT, mac: EVERYBODY };
    sendDirect(this.core, this.iface, direct, this.message(type, 0, extra));
  }

  /** To the server that gave the lease. */
  renew({ address, server }: Lease): void {
    const octets = this.message(MessageType.Request, address.w3, []);
    this.socket.sendTo(octets, 0, octets.length, v4(server), SERVER_PORT);
  }

  /** To any server. */
  rebind({ address }: Lease): void {
    const octets = this.message(MessageType.Request, address.w3, []);
    this.socket.sendTo(octets, 0, octets.length, v4(-1), SERVER_PORT, this.iface.index);
  }

  /** RFC 2131 §4.4.6, to the station `nextHop`: the address is gone before ARP could answer. Null: unknown, and nothing is said. */
  release({ address, server }: Lease, nextHop: Uint8Array | null): void {
    if (nextHop === null) return;
    const direct = { source: address.w3, destination: server, sourcePort: CLIENT_PORT, destinationPort: SERVER_PORT, mac: nextHop };
    sendDirect(this.core, this.iface, direct, this.message(MessageType.Release, address.w3, [[Option.ServerId, octetsOf(server)]]));
  }

  private message(type: number, ciaddr: number, extra: readonly Extra[]): Uint8Array {
    const options = new Map<number, Uint8Array>([[Option.MessageType, Uint8Array.of(type)], [Option.ClientId, this.clientId], ...extra]);
    if (type === MessageType.Discover || type === MessageType.Request) {
      options.set(Option.ParameterList, Uint8Array.from(WANTED));
      options.set(Option.MaxSize, Uint8Array.of(ANSWER_MAX >>> 8, ANSWER_MAX & 255));
    }
    const secs = Math.min(0xffff, Math.floor((this.core.hyper.bootTime() - this.asked) / seconds(1)));
    const head = { op: Op.Request, xid: this.xid, secs, flags: 0, ciaddr, yiaddr: 0, siaddr: 0, giaddr: 0, chaddr: this.iface.mac };
    return write({ ...head, options }, MESSAGE_MAX);
  }
}

/** RFC 4361 §6.1: type 255, the number of the interface, the DUID of the host, which DHCPv6 says too. */
function clientId(core: Stack, iface: Interface): Uint8Array {
  const duid = duidOf(core.hyper);
  const id = new Uint8Array(5 + duid.length);
  id[0] = 255;
  new DataView(id.buffer).setUint32(1, iaidOf(iface.name));
  id.set(duid, 5);
  return id;
}

/** An IPv4 word as the value of an option. */
export const octetsOf = (word: number): Uint8Array => Uint8Array.of(word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255);
