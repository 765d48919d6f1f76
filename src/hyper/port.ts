// hot: bench/wire
/**
 * A device over a descriptor that carries whole frames, in batches through the addon. The slots that the next batch is
 * read into are held here, described in `rx`. Layouts: native/port.c.
 */
import { assert } from '../base/assert.js';
import { errnoName, NetError } from '../base/errors.js';
import { BIG_SLOT, Checksum, Gso, HEADROOM, type Packet, type PacketPool, SMALL_SLOT } from '../base/packet.js';
import type { Page } from '../base/page.js';
import { Slab, type Slot } from '../base/slab.js';
import { millis } from '../base/time.js';
import type { DeviceContext } from './device-context.js';
import { type Device, type DeviceEvents, type FarEnd, Offload } from './hypercalls.js';
import { PortEvent, type PortIo } from './native.js';
import type { Alarm } from './timing.js';

/** Frames per call: past 32 the call itself (100 ns) vanishes beside its system calls (1 µs each). */
const BATCH = 64;
/** Big slots ready per call: one serves any number of frames that are copied out of it; doubles when a batch used all. */
const BIGS_MAX = 16;
const RX_FRAMES = 8;
const RX_FRAME = 12;
const RX_BIG = 4;
const BIGS_AT = RX_FRAMES + RX_FRAME * BATCH;
const TX_FRAMES = 8;
const TX_FRAME = 24;
const TX_PIECES = 8;
/** How long a device rests whose slots are all held, or that nobody reads, before it looks again; doubled up to 64 times. */
const REST = millis(1);
const RESTS_MAX = 6;
/** Times Readable is told to somebody who does not receive: of an interface that is down. Readiness is level-triggered, so the loop would spin. */
const UNREAD_MAX = 8;

/** What a device over a port is made of. */
export interface PortSetup {
  readonly kind: string;
  readonly io: PortIo;
  readonly context: DeviceContext;
  readonly fd: number;
  /** −1 without. */
  readonly linkFd: number;
  /** Interface index on the host, 0 without. */
  readonly index: number;
  /** Octets of virtio header before each frame: 0, 10 or 12. */
  readonly header: number;
  readonly medium: 'ethernet' | 'ip';
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly offloads: number;
  readonly carrier: boolean;
  readonly busyPollMicros: number;
  /** Names the device in errors. */
  readonly name: string;
  readonly far?: FarEnd;
}

/** Owns its descriptors and its slabs. */
export class PortDevice implements Device {
  readonly kind: string;
  readonly medium: 'ethernet' | 'ip';
  readonly mac: Uint8Array;
  readonly offloads: number;
  readonly name: string;
  readonly far?: FarEnd;
  mtu: number;
  carrier: boolean;
  private readonly io: PortIo;
  private readonly context: DeviceContext;
  private readonly port: number;
  /** Where a frame begins in its slot. */
  private readonly offset: number;
  private readonly small = new Slab(SMALL_SLOT, 32, 4_096);
  private readonly big = new Slab(BIG_SLOT, 4, 256);
  private readonly smalls: (Slot | null)[] = new Array<Slot | null>(BATCH).fill(null);
  private readonly bigs: (Slot | null)[] = new Array<Slot | null>(BIGS_MAX).fill(null);
  private readonly rx = new Int32Array(BIGS_AT + RX_BIG * BATCH);
  private readonly tx = new Int32Array(TX_FRAMES + TX_FRAME * BATCH);
  /** smalls[0..used) may be null since the last batch, [used..filled) are not. */
  private used = 0;
  private filled = 0;
  private bigsWanted = 2;
  /** The packet that the device took no more of, and how many of the frames cut from it are out. */
  private stuck: Packet | null = null;
  private stuckAt = 0;
  private resting = false;
  /** Times Readable was told since the last receive. */
  private unread = 0;
  private closed = false;
  private failure: NetError | null = null;
  private readonly alarm: Alarm;
  private events: DeviceEvents | null = null;

  private rxFrames = 0;
  private rxOctets = 0;
  private txFrames = 0;
  private txOctets = 0;
  private txDropped = 0;
  private rests = 0;

  /** Takes the descriptors over. Throws NetError when the loop cannot watch them. */
  constructor(setup: PortSetup) {
    this.kind = setup.kind;
    this.medium = setup.medium;
    this.mac = setup.mac;
    this.offloads = setup.offloads;
    this.name = setup.name;
    if (setup.far !== undefined) this.far = setup.far;
    this.mtu = setup.mtu;
    this.carrier = setup.carrier;
    this.io = setup.io;
    this.context = setup.context;
    this.offset = setup.medium === 'ethernet' ? HEADROOM - 14 : HEADROOM;
    this.rx[3] = setup.medium === 'ethernet' ? 14 : 0;
    this.alarm = setup.context.alarm(() => this.onAlarm());
    this.port = setup.io.port(setup.fd, setup.linkFd, setup.index, setup.header, this.rx, this.tx, BATCH, (e, a, b) => this.onEvent(e, a, b));
    if (this.port < 0) throw new NetError(errnoName(this.port), 'poll', setup.name, undefined, 'the descriptor cannot be waited for');
    if (setup.busyPollMicros > 0) setup.io.busyPoll(this.port, setup.busyPollMicros);
  }

  start(events: DeviceEvents): void {
    this.events = events;
    this.io.interest(this.port, 1);
  }

  receive(pool: PacketPool, into: Packet[], max: number): number {
    if (this.closed || this.failure !== null) return 0;
    this.unread = 0;
    const { rx } = this;
    const room = pool.max - pool.held;
    const limit = this.fill(max < room ? max : room);
    if (limit === 0) {
      if (max > 0) this.rest();
      return 0;
    }
    if (this.resting) this.wake();
    const n = this.io.receive(this.port, limit);
    let at = RX_FRAMES;
    for (let i = 0; i < n; i++, at += RX_FRAME) {
      const inBig = rx[at + 9] as number;
      let slot: Slot;
      if (inBig < 0) {
        slot = this.smalls[i] as Slot;
        this.smalls[i] = null;
      } else {
        slot = this.bigs[inBig] as Slot;
        this.bigs[inBig] = null;
      }
      const packet = pool.take(slot);
      assert(packet !== null, 'the pool has the descriptors it said it had');
      const length = rx[at + 3] as number;
      const head = slot.start + this.offset;
      packet.head = head;
      packet.tail = head + length;
      packet.checksum = rx[at + 4] as number;
      packet.csumStart = head + (rx[at + 5] as number);
      packet.csumOffset = rx[at + 6] as number;
      packet.gsoType = rx[at + 7] as number;
      packet.gsoSize = rx[at + 8] as number;
      this.rxOctets += length;
      into[i] = packet;
    }
    if (n > this.used) this.used = n;
    this.rxFrames += n;
    if (n > 0 && this.bigs[this.bigsWanted - 1] === null && this.bigsWanted < BIGS_MAX) this.bigsWanted *= 2;
    if (rx[1] !== 0) this.fail(rx[1] as number);
    return n;
  }

  transmit(packets: Packet[], count: number): number {
    if (this.closed || !this.carrier) {
      for (let i = 0; i < count; i++) (packets[i] as Packet).release();
      this.txDropped += count;
      return count;
    }
    let done = 0;
    while (done < count) {
      const batch = count - done < BATCH ? count - done : BATCH;
      for (let i = 0; i < batch; i++) this.describe(packets[done + i] as Packet, TX_FRAMES + TX_FRAME * i);
      this.tx[2] = packets[done] === this.stuck ? this.stuckAt : 0;
      const taken = this.io.transmit(this.port, batch);
      for (let i = 0; i < taken; i++) {
        const packet = packets[done + i] as Packet;
        this.txOctets += packet.length;
        packet.release();
      }
      this.txFrames += taken;
      if (this.tx[0] !== 0) this.refused();
      done += taken;
      this.stuck = null;
      if (taken < batch) {
        this.stuck = packets[done] as Packet;
        this.stuckAt = this.tx[2] as number;
        break;
      }
    }
    return done;
  }

  statistics(): Record<string, number> {
    const { rxFrames, rxOctets, txFrames, txOctets, txDropped, rests } = this;
    return { rxFrames, rxOctets, rxMalformed: this.rx[2] as number, txFrames, txOctets, txDropped, rests };
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.events = null;
    this.alarm.cancel();
    this.io.portClose(this.port);
    for (const slot of this.smalls) slot?.release();
    for (const slot of this.bigs) slot?.release();
  }

  /** Sees to it that there are slots for `wanted` frames; says for how many there are. */
  private fill(wanted: number): number {
    let bigs = 0;
    while (bigs < this.bigsWanted && (this.bigs[bigs] !== null || this.fillBig(bigs))) bigs++;
    this.rx[0] = bigs;
    // Any frame may be a big one: without a slot for it none is read.
    if (bigs === 0) return 0;
    const target = wanted < BATCH ? wanted : BATCH;
    for (let i = 0; i < this.used; i++) {
      if (this.smalls[i] === null && !this.fillSmall(i)) return i < target ? i : target;
    }
    this.used = 0;
    while (this.filled < target && this.fillSmall(this.filled)) this.filled++;
    return this.filled < target ? this.filled : target;
  }

  private fillSmall(i: number): boolean {
    const slot = this.small.take();
    if (slot === null) return false;
    this.smalls[i] = slot;
    this.describeSlot(slot, RX_FRAMES + RX_FRAME * i);
    return true;
  }

  private fillBig(i: number): boolean {
    const slot = this.big.take();
    if (slot === null) return false;
    this.bigs[i] = slot;
    this.describeSlot(slot, BIGS_AT + RX_BIG * i);
    return true;
  }

  private describeSlot(slot: Slot, at: number): void {
    const { rx } = this;
    rx[at] = this.handle(slot.page);
    rx[at + 1] = slot.start + this.offset;
    rx[at + 2] = slot.slab.slotSize - this.offset;
  }

  private handle(page: Page): number {
    if (page.handle < 0) page.handle = this.io.page(page.bytes);
    return page.handle;
  }

  private describe(packet: Packet, at: number): void {
    const { tx } = this;
    const { head, pieces } = packet;
    tx[at] = 1 + pieces;
    tx[at + 1] = packet.checksum === Checksum.Partial ? 1 : 0;
    tx[at + 2] = packet.gsoType;
    if (packet.checksum === Checksum.Partial) {
      assert((this.offloads & Offload.TxChecksum) !== 0, 'a partial checksum goes to a device that finishes it');
      tx[at + 5] = packet.csumStart - head;
      tx[at + 6] = packet.csumOffset;
    } else {
      tx[at + 5] = tx[at + 6] = 0;
    }
    if (packet.gsoType !== Gso.None) {
      tx[at + 3] = packet.gsoSize;
      // Octets up to the end of the transport header: what the kernel keeps in linear memory.
      const transport = packet.gsoType === Gso.Udp ? 8 : (packet.view.getUint8(packet.csumStart + 12) >> 4) * 4;
      tx[at + 4] = packet.csumStart - head + transport;
      tx[at + 7] = packet.network - head;
    } else {
      tx[at + 3] = tx[at + 4] = 0;
    }
    at += TX_PIECES;
    tx[at] = this.handle(packet.slot.page);
    tx[at + 1] = head;
    tx[at + 2] = packet.tail - head;
    for (let i = 0; i < pieces; i++) {
      at += 3;
      tx[at] = this.handle((packet.pieceSlot[i] as Slot).page);
      tx[at + 1] = packet.pieceStart[i] as number;
      tx[at + 2] = packet.pieceLength[i] as number;
    }
  }

  private onEvent(event: number, a: number, b: number): void {
    const { context, events } = this;
    if (events === null) return;
    context.enter();
    try {
      if (event & PortEvent.Readable) this.onReadable(events);
      if (event & PortEvent.Writable) events.writable();
      if (event & PortEvent.Link) this.onLink(a === 1, b, events);
      if (event & PortEvent.Dead) this.fail(a);
    } finally {
      context.leave();
    }
  }

  private onReadable(events: DeviceEvents): void {
    if (++this.unread > UNREAD_MAX) this.rest();
    else events.readable();
  }

  private onLink(up: boolean, mtu: number, events: DeviceEvents): void {
    if (up !== this.carrier) {
      this.carrier = up;
      events.carrier(up);
    }
    if (mtu > 0 && mtu !== this.mtu) {
      this.mtu = mtu;
      events.mtu(mtu);
    }
  }

  /** All slots are held, or nobody reads: no readiness is told for a while, or the loop would spin. */
  private rest(): void {
    if (!this.resting) {
      this.resting = true;
      this.rests++;
      this.io.interest(this.port, 0);
    }
    const doublings = Math.min(RESTS_MAX, Math.max(0, this.unread - UNREAD_MAX));
    this.alarm.set(this.context.monotonic() + REST * 2 ** doublings);
  }

  private wake(): void {
    this.resting = false;
    this.alarm.cancel();
    this.io.interest(this.port, 1);
  }

  /** The device refused frames for good. EIO: the host's side is down, which the link's news tell; a dead one is told as such. */
  private refused(): void {
    this.txDropped += this.tx[0] as number;
    this.txFrames -= this.tx[0] as number;
    const errno = this.tx[1] as number;
    assert(errno !== EFAULT, 'pieces lie inside their pages');
    if (errno === EBADFD || errno === EPIPE || errno === ENXIO) this.fail(errno);
  }

  /** Told by the alarm, since this may run inside a poll. */
  private fail(errno: number): void {
    assert(errno !== EFAULT, 'slots lie inside their pages');
    if (this.failure !== null) return;
    const gone = errno === EBADFD || errno === EBADF || errno === ENXIO;
    this.failure = gone
      ? new NetError('ENODEV', 'read', this.name, undefined, 'the device was removed on the host; open it again')
      : new NetError(errnoName(errno), 'read', this.name, undefined, errno === EPIPE ? 'the other end was closed' : 'the device failed');
    this.carrier = false;
    this.io.interest(this.port, 0);
    this.alarm.set(this.context.monotonic());
  }

  private onAlarm(): void {
    const { events } = this;
    if (events === null) return;
    if (this.failure !== null) {
      events.failed(this.failure);
      return;
    }
    // Set for the next time before the stack is told: a receive takes it back.
    this.unread++;
    this.rest();
    events.readable();
  }
}

// Of Linux, where ports are.
const ENXIO = 6;
const EBADF = 9;
const EFAULT = 14;
const EPIPE = 32;
const EBADFD = 77;
