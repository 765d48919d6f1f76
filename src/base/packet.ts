import { Address } from './address.js';
import { assert } from './assert.js';
import type { Slab, Slot } from './slab.js';

/** State of the transport checksum of a packet. */
export const Checksum = {
  /** In the frame and not looked at. */
  Unverified: 0,
  /** The field holds the sum of the pseudo header; from csumStart on it is still to be added (virtio's NEEDS_CSUM). */
  Partial: 1,
  /** The device vouches for it, or it has been verified. */
  Verified: 2,
} as const;

/** Kinds of frames longer than the path's MTU that a device or wire/segment cuts into gsoSize pieces. Values are virtio's. */
export const Gso = { None: 0, Tcp4: 1, Udp: 5, Tcp6: 4 } as const;

/**
 * Free octets before the network header of a received frame, and before one we write: room for what tunnels push.
 * A multiple of 8, so that the IP header lies on an 8-octet boundary: word-wise checksums like it.
 */
export const HEADROOM = 128;
/** Slots for plain frames: headroom, 14 + 4 octets of Ethernet and VLAN inside it, 1,500 octets and tunnel slack. */
export const SMALL_SLOT = 2_048;
/** Slots for offloaded frames: headroom and 65,535 + 14 octets. */
export const BIG_SLOT = 69_632;
/** Chunks of socket buffers. */
export const CHUNK = 65_536;

/** Ranges behind the headers that a transmit gathers: a 64 KB segment spans at most three chunks of a send buffer, and one more. */
export const PIECES_MAX = 4;

/**
 * A pooled descriptor over a reference-counted slot. Layers move `head`; they do not slice. One holder: to call with a
 * packet is to give it away, and whoever holds it ends it once by transmit, deliver, hold, or drop.
 *
 * ```
 *   slot.start        link   network   transport  head→        tail        slot.end
 *   | headroom … | Ethernet |   IP    |  TCP/UDP | payload … |   (free)    |
 *                                                             + pieces[0..pieces): ranges of other slots
 * ```
 * Offsets are absolute in `slot.page`. Integers unless said otherwise.
 */
export class Packet {
  readonly pool: PacketPool;
  slot: Slot;
  bytes: Uint8Array;
  view: DataView;
  /** First octet the current layer sees. */
  head = 0;
  /** One past the last octet in the slot. */
  tail = 0;
  /** Ranges that follow `tail` on the wire: payload in send buffers, pinned by a holder on each slot. Transmit only. */
  pieces = 0;
  readonly pieceSlot: (Slot | null)[] = [null, null, null, null];
  readonly pieceStart: number[] = [0, 0, 0, 0];
  readonly pieceLength: number[] = [0, 0, 0, 0];
  /** Sum of the pieces' octets. */
  pieceOctets = 0;

  /** Where the headers begin; −1 while not seen. */
  link = -1;
  network = -1;
  transport = -1;
  /** 4 or 6 once the network header is checked, else 0. */
  family = 0;
  /** Transport protocol (IANA number) behind all IPv6 extension headers. */
  protocol = 0;
  readonly source = new Address();
  readonly destination = new Address();
  sourcePort = 0;
  destinationPort = 0;

  /** Index of the interface it came in on; 0 for packets of our own. */
  inIndex = 0;
  /** Index of the interface it goes out on; 0 while not routed. */
  outIndex = 0;
  /** VLAN tag control information, −1 without a tag. */
  vlan = -1;
  /** Traffic class: DSCP and ECN (RFC 2474, 3168). */
  trafficClass = 0;
  ttl = 0;
  /** Set by filters, read by policy rules. */
  mark = 0;
  /** Encapsulations entered or left so far; bounded by anystack.depth_max. */
  depth = 0;
  /** PacketFlag bits. */
  flags = 0;
  checksum = 0;
  /** With Checksum.Partial: where the sum begins (the transport header), absolute like all offsets, and how far behind it the field lies. */
  csumStart = 0;
  csumOffset = 0;
  gsoType = 0;
  /** Payload octets per segment when gsoType is set. */
  gsoSize = 0;
  /** Monotonic arrival time in microseconds (double). */
  time = 0;
  /** SPI of the SA it came out of, 0 for clear packets. */
  spi = 0;
  /** The connection that tracking found for it (net/filter), null while untracked. */
  track: unknown = null;
  /** Tracking's word on it: TrackState of net/filter. */
  trackState = 0;
  /** Number under which a trace follows it, 0 for none. Observers alone set and read it; copies of the packet have it too. */
  trace = 0;
  /** Chains packets in one bounded queue. */
  next: Packet | null = null;
  /** False while it lies in the pool. */
  live = false;

  constructor(pool: PacketPool, slot: Slot) {
    this.pool = pool;
    this.slot = slot;
    this.bytes = slot.page.bytes;
    this.view = slot.page.view;
  }

  /** Octets from head to the end, pieces included. */
  get length(): number {
    return this.tail - this.head + this.pieceOctets;
  }

  /** Makes room for `octets` before head and moves head there. Asserts headroom. */
  push(octets: number): number {
    this.head -= octets;
    assert(this.head >= this.slot.start, 'headers fit into the headroom of their slot');
    return this.head;
  }

  /** Appends a range of another slot, holding it. False when PIECES_MAX are there. */
  gather(slot: Slot, start: number, length: number): boolean {
    if (this.pieces === PIECES_MAX) return false;
    slot.hold();
    this.pieceSlot[this.pieces] = slot;
    this.pieceStart[this.pieces] = start;
    this.pieceLength[this.pieces] = length;
    this.pieces++;
    this.pieceOctets += length;
    return true;
  }

  /** Ends the packet: gives the slot and the pieces' slots up, and itself back to its pool. */
  release(): void {
    assert(this.live, 'a packet is ended once');
    for (let i = 0; i < this.pieces; i++) {
      (this.pieceSlot[i] as Slot).release();
      this.pieceSlot[i] = null;
    }
    this.slot.release();
    this.pool.give(this);
  }
}

/** Bits of Packet.flags. */
export const PacketFlag = {
  /** The link layer addressed it to a group or to everybody. */
  LinkMulticast: 1,
  LinkBroadcast: 2,
  /** Its route or its destination makes it a broadcast. */
  NetBroadcast: 4,
  /** It came out of our own output through the loopback queue. */
  Looped: 8,
  /** Put together from fragments. */
  Reassembled: 16,
  /** Leave the fragmentation to the sender: IPv4's DF. */
  DontFragment: 32,
  /** Its header carried options or extension headers. */
  Options: 64,
  /** Being forwarded, not our own. */
  Forwarded: 128,
  /** Router alert (RFC 2113, 2711). */
  RouterAlert: 256,
  /** It carried an IPv6 fragment header, even one alone: neighbour discovery believes none such (RFC 6980). */
  Fragmented: 512,
  /** Sealed by IPsec, or exempt from it: the outbound policy has been applied. */
  Protected: 1024,
} as const;

/** Free descriptors of one stack. Grows on demand to `max`; past that `take` gives null. */
export class PacketPool {
  readonly max: number;
  made = 0;
  private readonly free: Packet[] = [];

  constructor(max: number) {
    this.max = max;
  }

  /** A descriptor over `slot`, whose holder it takes over. head and tail stand at HEADROOM. Null at the bound: the caller keeps the slot. */
  take(slot: Slot): Packet | null {
    let p = this.free.pop();
    if (p === undefined) {
      if (this.made >= this.max) return null;
      this.made++;
      p = new Packet(this, slot);
    } else {
      p.slot = slot;
      p.bytes = slot.page.bytes;
      p.view = slot.page.view;
    }
    p.head = p.tail = slot.start + HEADROOM;
    p.pieces = 0;
    p.pieceOctets = 0;
    p.link = p.network = p.transport = -1;
    p.family = 0;
    p.protocol = 0;
    p.sourcePort = p.destinationPort = 0;
    p.inIndex = p.outIndex = 0;
    p.vlan = -1;
    p.trafficClass = 0;
    p.ttl = 0;
    p.mark = 0;
    p.depth = 0;
    p.flags = 0;
    p.checksum = Checksum.Unverified;
    p.csumStart = p.csumOffset = 0;
    p.gsoType = Gso.None;
    p.gsoSize = 0;
    p.time = 0;
    p.spi = 0;
    p.track = null;
    p.trackState = 0;
    p.trace = 0;
    p.next = null;
    p.live = true;
    return p;
  }

  /** An empty packet on a slot of `slab`, or null when slots or descriptors have run out. */
  from(slab: Slab): Packet | null {
    const slot = slab.take();
    if (slot === null) return null;
    const packet = this.take(slot);
    if (packet === null) slot.release();
    return packet;
  }

  /** Only for Packet.release. */
  give(packet: Packet): void {
    packet.live = false;
    packet.next = null;
    this.free.push(packet);
  }

  /** Packets somebody holds. A test ends with 0. */
  get held(): number {
    return this.made - this.free.length;
  }
}

/** A second descriptor of the same octets, for floods and multicast; null when the pool is empty. Who writes to a shared slot copies first. */
export function share(packet: Packet): Packet | null {
  packet.slot.hold();
  const twin = packet.pool.take(packet.slot);
  if (twin === null) {
    packet.slot.release();
    return null;
  }
  copyDescriptor(twin, packet);
  for (let i = 0; i < packet.pieces; i++) {
    twin.gather(packet.pieceSlot[i] as Slot, packet.pieceStart[i] as number, packet.pieceLength[i] as number);
  }
  return twin;
}

/** Copies all that describes `from` but its slot and pieces. Offsets are as in the slot of `from`. */
export function copyDescriptor(to: Packet, from: Packet): void {
  to.head = from.head;
  to.tail = from.tail;
  to.link = from.link;
  to.network = from.network;
  to.transport = from.transport;
  to.family = from.family;
  to.protocol = from.protocol;
  to.source.copy(from.source);
  to.destination.copy(from.destination);
  to.sourcePort = from.sourcePort;
  to.destinationPort = from.destinationPort;
  to.inIndex = from.inIndex;
  to.outIndex = from.outIndex;
  to.vlan = from.vlan;
  to.trafficClass = from.trafficClass;
  to.ttl = from.ttl;
  to.mark = from.mark;
  to.depth = from.depth;
  to.flags = from.flags;
  to.checksum = from.checksum;
  to.csumStart = from.csumStart;
  to.csumOffset = from.csumOffset;
  to.gsoType = from.gsoType;
  to.gsoSize = from.gsoSize;
  to.time = from.time;
  to.spi = from.spi;
  to.track = from.track;
  to.trackState = from.trackState;
  to.trace = from.trace;
}

/** Writes all octets from head on, pieces included, to `target` at `at`. The target must have `packet.length` octets from there. */
export function copyPacket(packet: Packet, target: Uint8Array, at: number): number {
  const inSlot = packet.tail - packet.head;
  target.set(packet.bytes.subarray(packet.head, packet.tail), at);
  at += inSlot;
  for (let i = 0; i < packet.pieces; i++) {
    const start = packet.pieceStart[i] as number;
    const length = packet.pieceLength[i] as number;
    target.set((packet.pieceSlot[i] as Slot).page.bytes.subarray(start, start + length), at);
    at += length;
  }
  return at;
}
