/** Batches of frames over one descriptor through koffi; the layouts are those of native/port.c. A thread of libuv's pool waits in poll(2). */
import { Errno } from '../base/errors.js';
import { Checksum, Gso } from '../base/packet.js';
import type { Libc } from './libc.js';
import { PortEvent } from './native.js';

/** Registered memory by its number. */
export interface Pages {
  addressOf(handle: number): number;
  bytesOf(handle: number): Uint8Array | undefined;
}

const F_SETFL = 4;
const O_RDWR = 2;
const O_NONBLOCK = 0o4000;
const POLLIN = 1;
const POLLOUT = 4;
const POLLERR_HUP_NVAL = 8 | 16 | 32;
/** A closed device is let go of when its thread comes back, at the latest after this. */
const WAIT_MS = 50;

/** Owns its descriptor. */
export class FfiPort {
  private readonly io: Pages;
  private readonly c: Libc;
  private readonly fd: number;
  private readonly header: number;
  private readonly rx: Int32Array;
  private readonly tx: Int32Array;
  private readonly batch: number;
  private readonly event: (events: number, a: number, b: number) => void;
  private readonly iov = new DataView(new ArrayBuffer(16 * 6));
  private readonly iovBytes = new Uint8Array(this.iov.buffer);
  private readonly vnet = new DataView(new ArrayBuffer(12));
  private readonly vnetAddress: number;
  private readonly pollfd = new DataView(new ArrayBuffer(8));
  private readable = false;
  private writable = false;
  private waiting = false;
  private closed = false;

  constructor(io: Pages, c: Libc, fd: number, header: number, rx: Int32Array, tx: Int32Array, batch: number, event: FfiPort['event']) {
    this.io = io;
    this.c = c;
    this.fd = fd;
    this.header = header;
    this.rx = rx;
    this.tx = tx;
    this.batch = batch;
    this.event = event;
    // An inherited one may be blocking.
    c.fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
    this.vnetAddress = c.address(new Uint8Array(this.vnet.buffer));
  }

  interest(readable: 0 | 1): void {
    this.readable = readable === 1;
    this.wait();
  }

  receive(max: number): number {
    const { rx, c, io, header } = this;
    const bigs = rx[0] as number;
    let used = 0;
    let n = 0;
    rx[1] = 0;
    let at = 8;
    for (let reads = 0; reads < 2 * this.batch && n < max && n < this.batch && used < bigs; reads++) {
      const big = 8 + 12 * this.batch + 4 * used;
      const start = rx[big + 1] as number;
      this.range(0, io.addressOf(rx[big] as number) + start - header, (rx[big + 2] as number) + header);
      const got = c.readv(this.fd, this.iovBytes, 1);
      if (got <= 0) {
        const errno = got === 0 ? Errno.EPIPE : c.errno();
        if (errno === Errno.EINTR) continue;
        if (errno !== Errno.EAGAIN) rx[1] = errno;
        break;
      }
      if (got <= header) continue;
      const length = got - header;
      const bytes = io.bytesOf(rx[big] as number) as Uint8Array;
      rx[at + 3] = length;
      if (!this.readHeader(bytes, start - header, length, at)) {
        rx[2] = (rx[2] as number) + 1;
        continue;
      }
      if (length <= (rx[at + 2] as number)) {
        (io.bytesOf(rx[at] as number) as Uint8Array).set(bytes.subarray(start, start + length), rx[at + 1]);
        rx[at + 9] = -1;
      } else {
        rx[at + 9] = used++;
      }
      n++;
      at += 12;
    }
    return n;
  }

  transmit(count: number): number {
    const { tx, c, io, header, vnet } = this;
    tx[0] = tx[1] = 0;
    let n = 0;
    while (n < count && n < this.batch) {
      const at = 8 + 24 * n;
      let vectors = 0;
      if (header > 0) {
        vnet.setUint8(0, tx[at + 1] as number);
        vnet.setUint8(1, tx[at + 2] as number);
        vnet.setUint16(2, tx[at + 4] as number, true);
        vnet.setUint16(4, tx[at + 3] as number, true);
        vnet.setUint16(6, tx[at + 5] as number, true);
        vnet.setUint16(8, tx[at + 6] as number, true);
        this.range(vectors++, this.vnetAddress, header);
      }
      for (let i = 0, piece = at + 8; i < (tx[at] as number); i++, piece += 3) {
        this.range(vectors++, io.addressOf(tx[piece] as number) + (tx[piece + 1] as number), tx[piece + 2] as number);
      }
      if (c.writev(this.fd, this.iovBytes, vectors) < 0) {
        const errno = c.errno();
        if (errno === Errno.EINTR) continue;
        if (errno === Errno.EAGAIN || errno === Errno.ENOBUFS) {
          this.writable = true;
          this.wait();
          break;
        }
        tx[0] = (tx[0] as number) + 1;
        tx[1] = errno;
      }
      n++;
    }
    return n;
  }

  close(): void {
    this.closed = true;
    // A thread may be waiting on the descriptor: it is closed when that comes back.
    if (!this.waiting) this.c.close(this.fd);
  }

  private range(index: number, address: number, length: number): void {
    this.iov.setUint32(16 * index, address >>> 0, true);
    this.iov.setUint32(16 * index + 4, Math.floor(address / 0x1_0000_0000), true);
    this.iov.setUint32(16 * index + 8, length, true);
  }

  /** False for a header that contradicts its frame. */
  private readHeader(bytes: Uint8Array, at: number, length: number, frame: number): boolean {
    const { rx } = this;
    const word = (i: number): number => (bytes[at + i] as number) | ((bytes[at + i + 1] as number) << 8);
    rx.fill(0, frame + 4, frame + 9);
    if (this.header === 0) return true;
    const flags = bytes[at] as number;
    const gsoType = (bytes[at + 1] as number) & 0x7f;
    rx[frame + 4] = flags & 1 ? Checksum.Partial : flags & 2 ? Checksum.Verified : Checksum.Unverified;
    rx[frame + 5] = word(6);
    rx[frame + 6] = word(8);
    rx[frame + 7] = gsoType;
    rx[frame + 8] = word(4);
    if (rx[frame + 4] === Checksum.Partial && word(6) + word(8) + 2 > length) return false;
    if (gsoType === Gso.None) return true;
    return (gsoType === Gso.Tcp4 || gsoType === Gso.Tcp6 || gsoType === Gso.Udp) && word(4) > 0 && rx[frame + 4] === Checksum.Partial;
  }

  /** One wait at a time; it is begun anew with what is then of interest. */
  private wait(): void {
    if (this.waiting || this.closed || !(this.readable || this.writable)) return;
    this.waiting = true;
    this.pollfd.setInt32(0, this.fd, true);
    this.pollfd.setInt16(4, (this.readable ? POLLIN : 0) | (this.writable ? POLLOUT : 0), true);
    this.pollfd.setInt16(6, 0, true);
    this.c.wait(new Uint8Array(this.pollfd.buffer), 1, WAIT_MS, () => this.waited());
  }

  private waited(): void {
    this.waiting = false;
    if (this.closed) {
      this.c.close(this.fd);
      return;
    }
    const ready = this.pollfd.getInt16(6, true);
    let events = 0;
    if (ready & POLLIN && this.readable) events |= PortEvent.Readable;
    if (ready & POLLOUT && this.writable) {
      this.writable = false;
      events |= PortEvent.Writable;
    }
    if (ready & POLLERR_HUP_NVAL && events === 0) {
      this.readable = this.writable = false;
      this.event(PortEvent.Dead, Errno.EBADF, 0);
      return;
    }
    if (events !== 0) this.event(events, 0, 0);
    this.wait();
  }
}
