// hot: bench/wire
/**
 * A bare responder on the device layer: ARP, neighbour discovery, ICMP echo and UDP echo for one address of each family,
 * by turning frames round in place. What a device costs without a stack, and a peer for the devices' tests.
 */
import { type Address, parseAddress } from '#src/base/address.js';
import { finish, sum, update16 } from '#src/base/checksum.js';
import { Checksum, type Packet, PacketPool } from '#src/base/packet.js';
import type { Device, Hypercalls } from '#src/hyper/hypercalls.js';

const BATCH = 64;

export class Responder {
  readonly device: Device;
  readonly pool = new PacketPool(8_192);
  /** UDP is swallowed and counted instead of echoed. */
  sink = false;
  frames = 0;
  octets = 0;
  answered = 0;
  /** Greatest frame seen. */
  largest = 0;
  failed: string | null = null;
  private readonly address4: Address;
  private readonly address6: Address;
  private readonly into: Packet[] = [];
  private readonly out: Packet[] = [];
  private readonly header: number;
  /** Answers that the device had no room for. */
  private queued: Packet[] = [];

  constructor(host: Hypercalls, device: Device, address4: string, address6 = 'fd00::2') {
    this.device = device;
    this.address4 = parseAddress(address4) as Address;
    this.address6 = parseAddress(address6) as Address;
    this.header = device.medium === 'ethernet' ? 14 : 0;
    host.attach(() => this.poll());
    device.start({
      readable: () => host.soon(),
      writable: () => host.soon(),
      carrier: () => {},
      mtu: () => {},
      failed: (error) => {
        this.failed = error.code;
      },
    });
  }

  poll(): void {
    const { into, out } = this;
    const n = this.device.receive(this.pool, into, BATCH);
    let answers = 0;
    for (const packet of this.queued) out[answers++] = packet;
    for (let i = 0; i < n; i++) {
      const packet = into[i] as Packet;
      this.frames++;
      this.octets += packet.length;
      if (packet.length > this.largest) this.largest = packet.length;
      if (this.turn(packet)) out[answers++] = packet;
      else packet.release();
    }
    if (answers === 0) return;
    const taken = this.device.transmit(out, answers);
    this.answered += taken;
    if (taken < answers || this.queued.length > 0) this.queued = out.slice(taken, Math.min(answers, taken + 1_000));
    for (let i = taken + 1_000; i < answers; i++) (out[i] as Packet).release();
  }

  /** True when the packet has become its own answer. */
  private turn(packet: Packet): boolean {
    const { view, head } = packet;
    if (packet.length < this.header + 28) return false;
    let type = 0;
    if (this.header === 0) type = view.getUint8(head) >> 4 === 4 ? 0x0800 : 0x86dd;
    else type = view.getUint16(head + 12);
    const at = head + this.header;
    const turned = type === 0x0800 ? this.turn4(packet, at) : type === 0x86dd ? this.turn6(packet, at) : type === 0x0806 && this.turnArp(packet, at);
    if (turned && this.header > 0) {
      packet.bytes.copyWithin(head, head + 6, head + 12);
      for (let i = 0; i < 6; i++) view.setUint8(head + 6 + i, this.device.mac[i] as number);
    }
    return turned;
  }

  private turnArp(packet: Packet, at: number): boolean {
    const { view, bytes } = packet;
    if (view.getUint16(at + 6) !== 1 || view.getInt32(at + 24) !== this.address4.w3) return false;
    view.setUint16(at + 6, 2);
    bytes.copyWithin(at + 18, at + 8, at + 18);
    bytes.set(this.device.mac, at + 8);
    view.setInt32(at + 14, this.address4.w3);
    return true;
  }

  private turn4(packet: Packet, at: number): boolean {
    const { view } = packet;
    if (view.getInt32(at + 16) !== this.address4.w3) return false;
    const transport = at + (view.getUint8(at) & 15) * 4;
    const protocol = view.getUint8(at + 9);
    if (protocol === 1 && view.getUint8(transport) === 8) {
      view.setUint8(transport, 0);
      if (packet.checksum !== Checksum.Partial) view.setUint16(transport + 2, update16(view.getUint16(transport + 2), 0x0800, 0));
    } else if (protocol === 17 && !this.sink) {
      this.swapPorts(view, transport);
    } else {
      return false;
    }
    view.setInt32(at + 16, view.getInt32(at + 12));
    view.setInt32(at + 12, this.address4.w3);
    return true;
  }

  private turn6(packet: Packet, at: number): boolean {
    const { view, bytes } = packet;
    const transport = at + 40;
    const protocol = view.getUint8(at + 6);
    if (protocol === 58 && view.getUint8(transport) === 135) return this.advertise(packet, at);
    if (view.getInt32(at + 36) !== this.address6.w3 || view.getInt32(at + 24) !== this.address6.w0) return false;
    if (protocol === 58 && view.getUint8(transport) === 128) {
      view.setUint8(transport, 129);
      if (packet.checksum !== Checksum.Partial) view.setUint16(transport + 2, update16(view.getUint16(transport + 2), 0x8000, 0x8100));
    } else if (protocol === 17 && !this.sink) {
      this.swapPorts(view, transport);
    } else {
      return false;
    }
    bytes.copyWithin(at + 24, at + 8, at + 24);
    this.putAddress6(view, at + 8);
    return true;
  }

  /** A neighbour solicitation for us becomes the advertisement. */
  private advertise(packet: Packet, at: number): boolean {
    const { view, bytes } = packet;
    const icmp = at + 40;
    if (packet.length < this.header + 72 || view.getInt32(icmp + 20) !== this.address6.w3) return false;
    bytes.copyWithin(at + 24, at + 8, at + 24);
    this.putAddress6(view, at + 8);
    view.setUint16(icmp, 136 << 8);
    view.setUint32(icmp + 4, 0x6000_0000);
    view.setUint16(icmp + 24, 0x0201);
    bytes.set(this.device.mac, icmp + 26);
    view.setUint16(icmp + 2, 0);
    view.setUint16(icmp + 2, finish(sum(view, at + 8, 32) + 58 + 32 + sum(view, icmp, 32)));
    packet.tail = icmp + 32;
    packet.checksum = Checksum.Unverified;
    return true;
  }

  private putAddress6(view: DataView, at: number): void {
    view.setInt32(at, this.address6.w0);
    view.setInt32(at + 4, this.address6.w1);
    view.setInt32(at + 8, this.address6.w2);
    view.setInt32(at + 12, this.address6.w3);
  }

  private swapPorts(view: DataView, at: number): void {
    const source = view.getUint16(at);
    view.setUint16(at, view.getUint16(at + 2));
    view.setUint16(at + 2, source);
  }
}
