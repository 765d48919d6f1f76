import { Drop } from '../../base/drops.js';
import { Errno } from '../../base/errors.js';
import { Checksum, copyDescriptor, Gso, HEADROOM, type Packet } from '../../base/packet.js';
import type { Micros } from '../../base/time.js';
import { HEADER_LEN } from '../../wire/ethernet.js';
import { finishChecksum } from '../../wire/segment.js';
import type { Interface } from '../interface.js';
import type { Packets } from '../raw/packets.js';
import { Ready, Socket } from './socket.js';

/** Where a frame we send begins in its slot: the network header behind Ethernet's lies on an 8-octet boundary. */
const FRAME_AT = HEADROOM - HEADER_LEN;
/** A VLAN tag may stand between what the MTU counts and the Ethernet header. */
const TAG_LEN = 4;

/** What is known of a frame besides its octets. Owned by the caller of receive, filled in by it. */
export class FrameInfo {
  /** Interface it came in on or goes out on. */
  index = 0;
  /** True for frames the stack sends. */
  outgoing = false;
  /** Octets on the wire, more than were kept when the frame was longer than the snap length. */
  size = 0;
  /** Payload octets per segment of an offloaded frame, which the device cuts; 0 for plain ones. Its checksums may be unfinished. */
  segmentSize = 0;
  time: Micros = 0;
}

/**
 * Says how many octets of a frame to keep, 0 for none: the frame is bytes[start, end). It runs inside the stack's poll,
 * as a BPF program runs in a kernel: it must be quick, keep nothing, and call nothing of the stack. Frames gathered from
 * several slots show what lies in the first, the headers at least.
 */
export type FrameFilter = (bytes: Uint8Array, start: number, end: number) => number;

/** A socket for whole frames of one interface or of all, in copies: AF_PACKET, packet(7). What it sends is the caller's from the first octet. */
export class PacketSocket extends Socket {
  readonly kind = 'packet';
  filter: FrameFilter | null = null;
  /** Octets kept of a frame at most. */
  snapLength = 0xffff_ffff;
  incoming = true;
  outgoing = true;
  private readonly packets: Packets;
  private first: Packet | null = null;
  private last: Packet | null = null;
  private charged = 0;
  private limit: number;
  private error = 0;

  constructor(packets: Packets) {
    super(packets.ctx, 4);
    this.packets = packets;
    this.limit = packets.ctx.sysctl.v['net.core.rmem_default'];
  }

  /** Only frames of this interface; 0 for all. 0 or −ENODEV. */
  bind(index: number): number {
    if (index !== 0 && this.packets.interfaces.at(index) === null) return -Errno.ENODEV;
    this.boundIndex = index;
    return 0;
  }

  /** A frame passes. For Packets. Does not own the packet. */
  see(iface: Interface, packet: Packet, outgoing: boolean): void {
    if (this.boundIndex !== 0 && this.boundIndex !== iface.index) return;
    if (!(outgoing ? this.outgoing : this.incoming)) return;
    const keep = Math.min(this.wanted(packet), packet.length);
    if (keep === 0) return;
    const copy = this.charged >= this.limit ? null : this.ctx.pool.from(FRAME_AT + keep > this.ctx.slab.slotSize ? this.ctx.big : this.ctx.slab);
    if (copy === null) {
      this.ctx.countDrop(Drop.RawReceiveBufferFull);
      return;
    }
    fill(copy, packet, keep);
    copy.inIndex = outgoing ? 0 : iface.index;
    copy.outIndex = outgoing ? iface.index : 0;
    copy.time = packet.time || this.ctx.now;
    this.push(copy);
  }

  private wanted(packet: Packet): number {
    const { filter } = this;
    if (filter === null) return this.snapLength;
    try {
      return Math.min(this.snapLength, filter(packet.bytes, packet.head, packet.tail));
    } catch {
      // The application's bug must not end the stack's poll: its socket hears of it and sees no more.
      this.filter = () => 0;
      this.fail(Errno.EINVAL);
      return 0;
    }
  }

  private push(packet: Packet): void {
    if (this.first === null) this.first = packet;
    else (this.last as Packet).next = packet;
    this.last = packet;
    this.charged += packet.slot.slab.slotSize;
    this.changed();
  }

  /** Copies the next frame to into[offset, offset + length); answers the octets copied, −EAGAIN, or a pending error. What did not fit is lost. */
  receive(into: Uint8Array, offset: number, length: number, info: FrameInfo): number {
    if (this.error !== 0) return -this.takeError();
    const packet = this.first;
    if (packet === null) return -Errno.EAGAIN;
    this.first = packet.next;
    packet.next = null;
    this.charged -= packet.slot.slab.slotSize;
    const n = Math.min(packet.tail - packet.head, length);
    into.set(packet.bytes.subarray(packet.head, packet.head + n), offset);
    info.outgoing = packet.outIndex !== 0;
    info.index = packet.inIndex || packet.outIndex;
    info.size = packet.mark;
    info.segmentSize = packet.gsoSize;
    info.time = packet.time;
    packet.release();
    return n;
  }

  /** Octets kept of the next frame, −1 when there is none. */
  get nextSize(): number {
    return this.first === null ? -1 : this.first.tail - this.first.head;
  }

  /** Sends a frame out of interface `index` (0: the one bound to). Returns length, or −ENODEV, −ENETDOWN, −EMSGSIZE, −EAGAIN when the interface's queue is full, −ENOBUFS. */
  send(data: Uint8Array, offset: number, length: number, index = 0): number {
    if (this.closed) return -Errno.EBADF;
    const iface = this.packets.interfaces.at(index || this.boundIndex);
    if (iface === null || iface.medium === 'loopback') return -Errno.ENODEV;
    if (!iface.running) return -Errno.ENETDOWN;
    const header = iface.medium === 'ethernet' ? HEADER_LEN : 0;
    if (length < header) return -Errno.EINVAL;
    if (length > iface.mtu + header + (header === 0 ? 0 : TAG_LEN)) return -Errno.EMSGSIZE;
    if (iface.backlog >= this.ctx.sysctl.v['anystack.txqueuelen']) return -Errno.EAGAIN;
    const packet = this.ctx.pool.from(FRAME_AT + length > this.ctx.slab.slotSize ? this.ctx.big : this.ctx.slab);
    if (packet === null) return -Errno.ENOBUFS;
    packet.head = packet.link = packet.slot.start + FRAME_AT;
    packet.tail = packet.head + length;
    packet.bytes.set(data.subarray(offset, offset + length), packet.head);
    packet.outIndex = iface.index;
    packet.checksum = Checksum.Verified;
    iface.transmit(packet);
    return length;
  }

  readiness(): number {
    if (this.closed) return Ready.HangUp;
    return Ready.Writable | (this.first === null ? 0 : Ready.Readable) | (this.error === 0 ? 0 : Ready.Error);
  }

  takeError(): number {
    const { error } = this;
    this.error = 0;
    return error;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.packets.remove(this);
    for (let packet = this.first; packet !== null; ) {
      const { next } = packet;
      packet.next = null;
      packet.release();
      packet = next;
    }
    this.first = this.last = null;
  }

  fail(errno: number): void {
    if (this.closed) return;
    this.error = errno;
    this.changed();
  }

  getOption(name: string): number {
    if (name === 'SO_RCVBUF') return this.limit;
    if (name === 'SO_BINDTODEVICE') return this.boundIndex;
    return name === 'SO_ERROR' ? this.takeError() : -Errno.ENOPROTOOPT;
  }

  setOption(name: string, value: number | string): number {
    const n = Number(value);
    if (!Number.isInteger(n) || n < 0) return -Errno.EINVAL;
    if (name === 'SO_BINDTODEVICE') return this.bind(n);
    if (name !== 'SO_RCVBUF') return -Errno.ENOPROTOOPT;
    this.limit = Math.min(Math.max(n, 2_048), this.ctx.sysctl.v['net.core.rmem_max']);
    return 0;
  }
}

/** The first `keep` octets of `packet`, pieces included, with their description. `mark` holds the length of the whole. */
function fill(copy: Packet, packet: Packet, keep: number): void {
  const at = copy.slot.start + FRAME_AT;
  copyDescriptor(copy, packet);
  const inSlot = Math.min(keep, packet.tail - packet.head);
  copy.bytes.set(packet.bytes.subarray(packet.head, packet.head + inSlot), at);
  let n = inSlot;
  for (let i = 0; i < packet.pieces && n < keep; i++) {
    const start = packet.pieceStart[i] as number;
    const length = Math.min(keep - n, packet.pieceLength[i] as number);
    const slot = packet.pieceSlot[i];
    if (slot !== null && slot !== undefined) copy.bytes.set(slot.page.bytes.subarray(start, start + length), at + n);
    n += length;
  }
  copy.csumStart += at - packet.head;
  copy.head = copy.link = at;
  copy.tail = at + keep;
  copy.mark = packet.length;
  // A receiver of the copy has no device that would finish it.
  if (copy.gsoType === Gso.None && keep === packet.length) finishChecksum(copy);
}
