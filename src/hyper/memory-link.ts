// hot: bench/packet
/**
 * Devices joined in memory: a link of two, or a hub of many where every frame reaches all others. A frame is copied
 * once, into a slot of each receiving end's own slab (a frame in flight pins nothing of its sender), and waits there
 * in a bounded queue. Slabs and queues grow as they are used: an idle link costs a few hundred octets.
 */
import { ConfigError, type NetError } from '../base/errors.js';
import { BIG_SLOT, Checksum, Gso, HEADROOM, type Packet, type PacketPool, SMALL_SLOT } from '../base/packet.js';
import { copyOctets, type Page } from '../base/page.js';
import { Slab, type Slot } from '../base/slab.js';
import type { Micros } from '../base/time.js';
import { type Device, type DeviceEvents, Offload } from './hypercalls.js';

/** All offloads: what a link does unless told otherwise, so that frames of 64 KB pass whole and nobody sums them. */
export const ALL_OFFLOADS = Offload.TxChecksum | Offload.Tso4 | Offload.Tso6 | Offload.Uso | Offload.RxBig;

export interface MemoryLinkOptions {
  /** Default 'ethernet'. */
  readonly medium?: 'ethernet' | 'ip';
  /** Greatest IP packet. Default 1,500. Longer plain frames are dropped by the link. */
  readonly mtu?: number;
  /** Offload bits. Default ALL_OFFLOADS; what a frame needs and the link lacks drops it. */
  readonly offloads?: number;
  /** Station addresses of the ends, 6 octets each. Default 02:00:00:00:00:01 and so on. */
  readonly macs?: readonly Uint8Array[];
  /** Frames waiting at one end; what comes when it is full is dropped. Default 1,000, Linux's txqueuelen. */
  readonly queueFrames?: number;
  /** Octets waiting at one end. Default 4 MB. */
  readonly queueOctets?: number;
  /** Small and big slots of one end, those its stack still holds included. Default 4,096 (8 MB) and 256 (17 MB). */
  readonly smallSlots?: number;
  readonly bigSlots?: number;
  /** Clock of `packet.time`. Default: 0, the poll's. */
  readonly now?: () => Micros;
}

/** One end. `setCarrier` and `setMtu` are the cable's doing, `fail` the device's; all three reach the stack as events. */
export interface MemoryDevice extends Device {
  setCarrier(up: boolean): void;
  setMtu(octets: number): void;
  fail(error: NetError): void;
  statistics(): { rxFrames: number; rxOctets: number; rxDropped: number; txFrames: number; txOctets: number; txDropped: number };
}

/** Two devices joined: what one transmits the other receives. */
export function memoryLink(options: MemoryLinkOptions = {}): [MemoryDevice, MemoryDevice] {
  return memoryHub(2, options) as [MemoryDevice, MemoryDevice];
}

/** `ports` devices on one wire: what one transmits all others receive. */
export function memoryHub(ports: number, options: MemoryLinkOptions = {}): MemoryDevice[] {
  if (!(ports >= 1)) throw new ConfigError(`a hub has at least one port, not ${ports}`);
  const made = Array.from({ length: ports }, (_, i) => new Port(options, i));
  for (const port of made) port.others.push(...made.filter((other) => other !== port));
  return made;
}

const SMALL_PER_PAGE = 16;
/** Ethernet and one VLAN tag: what may precede the IP packet that the MTU bounds. */
const LINK_OVERHEAD = 18;
/** Words of Port.meta per frame waiting. */
const META = 8;

class Port implements MemoryDevice {
  readonly kind = 'memory';
  readonly medium: 'ethernet' | 'ip';
  readonly mac: Uint8Array;
  readonly offloads: number;
  readonly others: Port[] = [];
  mtu: number;
  private readonly queueFrames: number;
  private readonly queueOctets: number;
  private readonly now: (() => Micros) | null;
  private readonly small: Slab;
  private readonly big: Slab;
  /** Where a frame begins in its slot: the network header behind it lies on an 8-octet boundary. */
  private readonly offset: number;
  private events: DeviceEvents | null = null;
  private plugged = true;

  // Frames waiting: a ring of slots and of META words each (start, length, checksum, csumStart from start, csumOffset, gsoType, gsoSize).
  private slots: (Slot | null)[] = [];
  private meta = new Int32Array(0);
  private first = 0;
  private waiting = 0;
  private waitingOctets = 0;
  /** A readable() has not been answered by a receive yet. */
  private announced = false;

  private rxFrames = 0;
  private rxOctets = 0;
  private rxDropped = 0;
  private txFrames = 0;
  private txOctets = 0;
  private txDropped = 0;

  constructor(options: MemoryLinkOptions, index: number) {
    this.medium = options.medium ?? 'ethernet';
    this.mac = options.macs?.[index] ?? (this.medium === 'ip' ? new Uint8Array(6) : new Uint8Array([2, 0, 0, 0, (index + 1) >> 8, index + 1]));
    if (this.mac.length !== 6) throw new ConfigError('a station address has 6 octets');
    this.mtu = options.mtu ?? 1_500;
    this.offloads = options.offloads ?? ALL_OFFLOADS;
    this.queueFrames = options.queueFrames ?? 1_000;
    this.queueOctets = options.queueOctets ?? 4_194_304;
    this.now = options.now ?? null;
    this.small = new Slab(SMALL_SLOT, SMALL_PER_PAGE, options.smallSlots ?? 4_096);
    this.big = new Slab(BIG_SLOT, 1, options.bigSlots ?? 256);
    this.offset = this.medium === 'ethernet' ? HEADROOM - 14 : HEADROOM;
  }

  /** Of a link: both ends are open and plugged in. A hub's port stands for itself. */
  get carrier(): boolean {
    if (!this.plugged || this.events === null) return false;
    return this.others.length !== 1 || (this.others[0] as Port).open;
  }

  private get open(): boolean {
    return this.plugged && this.events !== null;
  }

  start(events: DeviceEvents): void {
    this.events = events;
    this.tellOther();
  }

  setCarrier(up: boolean): void {
    if (this.plugged === up) return;
    const before = this.carrier;
    this.plugged = up;
    if (this.carrier !== before) this.events?.carrier(this.carrier);
    this.tellOther();
  }

  setMtu(octets: number): void {
    this.mtu = octets;
    this.events?.mtu(octets);
  }

  fail(error: NetError): void {
    this.events?.failed(error);
  }

  close(): void {
    while (this.waiting > 0) this.dequeue().release();
    this.events = null;
    this.announced = false;
    this.tellOther();
  }

  transmit(packets: Packet[], count: number): number {
    const { others } = this;
    for (let i = 0; i < count; i++) {
      const packet = packets[i] as Packet;
      if (!this.carrier || !this.fits(packet)) {
        this.txDropped++;
      } else {
        this.txFrames++;
        this.txOctets += packet.length;
        for (let k = 0; k < others.length; k++) (others[k] as Port).enqueue(packet);
      }
      packet.release();
    }
    for (let k = 0; k < others.length; k++) (others[k] as Port).announce();
    return count;
  }

  receive(pool: PacketPool, into: Packet[], max: number): number {
    const { meta } = this;
    const time = this.now === null ? 0 : this.now();
    let n = 0;
    this.announced = false;
    while (n < max && this.waiting > 0) {
      const slot = this.slots[this.first] as Slot;
      const packet = pool.take(slot);
      // The frame waits for a poll with a free descriptor; until then the queue's bound decides who is lost.
      if (packet === null) return n;
      const m = this.first * META;
      packet.head = meta[m] as number;
      packet.tail = packet.head + (meta[m + 1] as number);
      packet.checksum = meta[m + 2] as number;
      packet.csumStart = packet.head + (meta[m + 3] as number);
      packet.csumOffset = meta[m + 4] as number;
      packet.gsoType = meta[m + 5] as number;
      packet.gsoSize = meta[m + 6] as number;
      packet.time = time;
      this.dequeue();
      this.rxFrames++;
      this.rxOctets += packet.tail - packet.head;
      into[n++] = packet;
    }
    this.announce();
    return n;
  }

  statistics(): ReturnType<MemoryDevice['statistics']> {
    const { rxFrames, rxOctets, rxDropped, txFrames, txOctets, txDropped } = this;
    return { rxFrames, rxOctets, rxDropped, txFrames, txOctets, txDropped };
  }

  private fits(packet: Packet): boolean {
    if (packet.checksum === Checksum.Partial && (this.offloads & Offload.TxChecksum) === 0) return false;
    if (packet.gsoType === Gso.None) return packet.length <= this.mtu + (this.medium === 'ethernet' ? LINK_OVERHEAD : 0);
    const needed = packet.gsoType === Gso.Tcp4 ? Offload.Tso4 : packet.gsoType === Gso.Tcp6 ? Offload.Tso6 : Offload.Uso;
    return (this.offloads & needed) !== 0;
  }

  /** Copies the frame; drops and counts it when this end is closed or full. */
  private enqueue(packet: Packet): void {
    const { length } = packet;
    if (!this.open || this.waiting >= this.queueFrames || this.waitingOctets + length > this.queueOctets) {
      this.rxDropped++;
      return;
    }
    const slab = this.offset + length <= SMALL_SLOT ? this.small : this.big;
    const slot = this.offset + length <= BIG_SLOT ? slab.take() : null;
    if (slot === null) {
      this.rxDropped++;
      return;
    }
    if (this.waiting === this.slots.length) this.grow();
    const start = slot.start + this.offset;
    gather(packet, slot.page, start);
    let at = this.first + this.waiting;
    if (at >= this.slots.length) at -= this.slots.length;
    const { meta } = this;
    this.slots[at] = slot;
    at *= META;
    meta[at] = start;
    meta[at + 1] = length;
    meta[at + 2] = packet.checksum;
    meta[at + 3] = packet.csumStart - packet.head;
    meta[at + 4] = packet.csumOffset;
    meta[at + 5] = packet.gsoType;
    meta[at + 6] = packet.gsoSize;
    this.waiting++;
    this.waitingOctets += length;
  }

  private dequeue(): Slot {
    const slot = this.slots[this.first] as Slot;
    this.slots[this.first] = null;
    this.waitingOctets -= this.meta[this.first * META + 1] as number;
    this.first = this.first + 1 === this.slots.length ? 0 : this.first + 1;
    this.waiting--;
    return slot;
  }

  private grow(): void {
    const old = this.slots.length;
    const size = Math.max(16, 2 * old);
    const slots: (Slot | null)[] = new Array<Slot | null>(size).fill(null);
    const meta = new Int32Array(size * META);
    for (let i = 0; i < this.waiting; i++) {
      const from = (this.first + i) % old;
      slots[i] = this.slots[from] as Slot;
      meta.set(this.meta.subarray(from * META, (from + 1) * META), i * META);
    }
    this.slots = slots;
    this.meta = meta;
    this.first = 0;
  }

  private announce(): void {
    if (this.waiting === 0 || this.announced || this.events === null) return;
    this.announced = true;
    this.events.readable();
  }

  /** The far end of a link sees this one come or go. */
  private tellOther(): void {
    const other = this.others.length === 1 ? (this.others[0] as Port) : null;
    if (other?.open) other.events?.carrier(other.carrier);
  }
}

/** All octets of a packet, pieces included, to `at`. */
function gather(packet: Packet, to: Page, at: number): void {
  const inSlot = packet.tail - packet.head;
  copyOctets(to, at, packet.slot.page, packet.head, inSlot);
  at += inSlot;
  for (let i = 0; i < packet.pieces; i++) {
    const length = packet.pieceLength[i] as number;
    copyOctets(to, at, (packet.pieceSlot[i] as Slot).page, packet.pieceStart[i] as number, length);
    at += length;
  }
}
