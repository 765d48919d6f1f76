import { Address } from '../base/address.js';
import type { Packet } from '../base/packet.js';
import * as ethernet from '../wire/ethernet.js';
import * as ipv4 from '../wire/ipv4.js';
import * as ipv6 from '../wire/ipv6.js';
import { Protocol } from '../wire/protocol.js';
import * as vlan from '../wire/vlan.js';

/** What a filter asks of a frame, found by looking at its octets alone. Reused: one frame at a time. */
export class FrameFields {
  iface = '';
  /** Octets on the wire. */
  length = 0;
  etherType = 0;
  vid = -1;
  /** 4, 6, or 0 for what is no IP. */
  family = 0;
  protocol = 0;
  readonly source = new Address();
  readonly destination = new Address();
  /** −1 where there are none. */
  sourcePort = -1;
  destinationPort = -1;
  /** Where the network and transport headers begin; −1 where there is none. */
  network = -1;
  transport = -1;

  /** Reads a frame that begins at `at` with an Ethernet or an IP header. Believes nothing: what runs past the end is not there. */
  read(packet: Packet, at: number, iface: string, medium: 'ethernet' | 'ip' | 'loopback'): void {
    this.iface = iface;
    this.length = packet.tail - at + packet.pieceOctets;
    this.etherType = 0;
    this.vid = -1;
    this.family = this.protocol = 0;
    this.sourcePort = this.destinationPort = -1;
    this.network = this.transport = -1;
    if (medium !== 'ethernet') {
      this.readIp(packet, at);
      return;
    }
    const { view, tail } = packet;
    if (ethernet.check(view, at, tail) !== 0) return;
    this.etherType = ethernet.type(view, at);
    at += ethernet.HEADER_LEN;
    if (this.etherType === ethernet.EtherType.Vlan && vlan.check(view, at, tail) === 0) {
      this.vid = vlan.vid(view, at);
      this.etherType = vlan.type(view, at);
      at += vlan.TAG_LEN;
    }
    if (this.etherType === ethernet.EtherType.Ipv4 || this.etherType === ethernet.EtherType.Ipv6) this.readIp(packet, at);
  }

  private readIp({ view, tail }: Packet, at: number): void {
    if (tail - at < ipv4.HEADER_LEN) return;
    this.network = at;
    if (ipv4.version(view, at) === 4) {
      this.family = 4;
      this.protocol = view.getUint8(at + 9);
      this.source.setV4(view.getInt32(at + 12));
      this.destination.setV4(view.getInt32(at + 16));
      // Later fragments have no ports.
      if ((view.getUint16(at + 6) & 0x1fff) === 0) this.readPorts(view, at + 4 * (view.getUint8(at) & 15), tail);
    } else if (ipv4.version(view, at) === 6 && tail - at >= ipv6.HEADER_LEN) {
      this.family = 6;
      this.protocol = view.getUint8(at + 6);
      this.source.set(view.getInt32(at + 8), view.getInt32(at + 12), view.getInt32(at + 16), view.getInt32(at + 20));
      this.destination.set(view.getInt32(at + 24), view.getInt32(at + 28), view.getInt32(at + 32), view.getInt32(at + 36));
      this.readPorts(view, at + ipv6.HEADER_LEN, tail);
    }
  }

  private readPorts(view: DataView, at: number, tail: number): void {
    this.transport = at;
    if ((this.protocol !== Protocol.Tcp && this.protocol !== Protocol.Udp) || tail - at < 4) return;
    this.sourcePort = view.getUint16(at);
    this.destinationPort = view.getUint16(at + 2);
  }
}
