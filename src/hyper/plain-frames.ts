/** Copies of packets as plain frames, for whoever holds frames back or writes them down: split, checksums finished. */
import { BIG_SLOT, Gso, HEADROOM, type Packet, SMALL_SLOT } from '../base/packet.js';
import { Slab, type Slot } from '../base/slab.js';
import * as ethernet from '../wire/ethernet.js';
import * as ipv4 from '../wire/ipv4.js';
import * as ipv6 from '../wire/ipv6.js';
import { segmentLength, segments, writeSegment } from '../wire/segment.js';
import * as vlan from '../wire/vlan.js';

/** A frame in a slot of its own, which its holder releases. */
export interface PlainFrame {
  readonly slot: Slot;
  readonly start: number;
  readonly length: number;
}

/** VLAN tags looked behind for the network header. */
const TAGS_MAX = 2;

/** Says where the network and the transport header of an offloaded frame are, when nobody has looked yet: a device does not. */
export function locate(packet: Packet, medium: 'ethernet' | 'ip'): void {
  if (packet.gsoType === Gso.None || packet.network >= 0) return;
  const { view, head, tail } = packet;
  let at = head;
  if (medium === 'ethernet') {
    if (tail - head < ethernet.HEADER_LEN) return;
    let type = ethernet.type(view, head);
    at += ethernet.HEADER_LEN;
    for (let i = 0; i < TAGS_MAX && (type === ethernet.EtherType.Vlan || type === ethernet.EtherType.Qinq) && tail - at >= vlan.TAG_LEN; i++) {
      type = vlan.type(view, at);
      at += vlan.TAG_LEN;
    }
  }
  if (tail - at < ipv4.HEADER_LEN) return;
  packet.network = at;
  // csumStart is the transport header of every frame with an unfinished checksum, extension headers or not.
  if (packet.csumStart > at) packet.transport = packet.csumStart;
  else packet.transport = at + (ipv4.version(view, at) === 4 ? ipv4.headerLength(view, at) : ipv6.HEADER_LEN);
}

/** Room for copies, grown as it is used. */
export class PlainFrames {
  private readonly medium: 'ethernet' | 'ip';
  private readonly offset: number;
  private readonly small: Slab;
  private readonly big: Slab;

  /** At most `framesMax` small frames, and 64 that are longer than 1.9 KB, are held at one time. */
  constructor(medium: 'ethernet' | 'ip', framesMax: number) {
    this.medium = medium;
    this.offset = medium === 'ethernet' ? HEADROOM - ethernet.HEADER_LEN : HEADROOM;
    this.small = new Slab(SMALL_SLOT, 16, framesMax);
    this.big = new Slab(BIG_SLOT, 1, 64);
  }

  /** Plain frames that `packet` makes; 0 when its headers do not fit together. */
  count(packet: Packet): number {
    locate(packet, this.medium);
    return segments(packet);
  }

  /** A copy of plain frame `index`; null without room. */
  copy(packet: Packet, index: number): PlainFrame | null {
    const end = this.offset + segmentLength(packet, index);
    const slot = end <= SMALL_SLOT ? this.small.take() : end <= BIG_SLOT ? this.big.take() : null;
    if (slot === null) return null;
    const start = slot.start + this.offset;
    return { slot, start, length: writeSegment(packet, index, slot.page, start) };
  }

  /** Slots held by somebody. */
  get held(): number {
    return this.small.held + this.big.held;
  }
}
