/**
 * What the addon does for TAP devices, through koffi (a package that calls C functions): for machines without a C
 * compiler. Against the addon it costs one thread of libuv's pool per device, which waits in poll(2) for frames, some
 * 50 µs of latency for waking it, and about twice the CPU per frame. That thread also keeps the process alive until the
 * device is closed.
 */
import { createRequire } from 'node:module';
import { Errno } from '../base/errors.js';
import type { FailedTap, OpenedTap, PortIo } from './native.js';
import { PortEvent } from './native.js';

/** The calls of libc used here. Buffers are typed arrays. */
interface Libc {
  open(path: string, flags: number): number;
  close(fd: number): number;
  ioctl(fd: number, request: number, data: Uint8Array): number;
  ioctlInt(fd: number, request: number, value: number): number;
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  send(fd: number, data: Uint8Array, length: number, flags: number): number;
  recv(fd: number, data: Uint8Array, length: number, flags: number): number;
  setns(fd: number, kind: number): number;
  readv(fd: number, iov: Uint8Array, count: number): number;
  writev(fd: number, iov: Uint8Array, count: number): number;
  fcntl(fd: number, command: number, value: number): number;
  /** poll(2) on a thread of the pool. */
  wait(fds: Uint8Array, count: number, timeoutMs: number, done: (ready: number) => void): void;
  errno(): number;
  address(bytes: Uint8Array): number;
}

interface Koffi {
  load(path: null): { func(definition: string): ((...values: unknown[]) => number) & { async(...values: unknown[]): void } };
  errno(): number;
  address(bytes: Uint8Array): bigint;
}

/** The same interface as the addon's, or null where koffi is not installed or not for this platform. */
export function tapFfi(): PortIo | null {
  if (process.platform !== 'linux' || process.env['ANYSTACK_NO_FFI'] !== undefined) return null;
  try {
    return new FfiIo(libc(createRequire(import.meta.url)('koffi') as Koffi));
  } catch {
    return null;
  }
}

function libc(koffi: Koffi): Libc {
  const c = koffi.load(null);
  const poll = c.func('int poll(void *fds, unsigned long count, int timeout)');
  return {
    open: c.func('int open(const char *path, int flags)'),
    close: c.func('int close(int fd)'),
    ioctl: c.func('int ioctl(int fd, unsigned long request, void *data)'),
    ioctlInt: c.func('int ioctl(int fd, unsigned long request, long value)'),
    socket: c.func('int socket(int domain, int type, int protocol)'),
    bind: c.func('int bind(int fd, void *address, uint32_t length)'),
    send: c.func('long send(int fd, void *data, unsigned long length, int flags)'),
    recv: c.func('long recv(int fd, void *data, unsigned long length, int flags)'),
    setns: c.func('int setns(int fd, int kind)'),
    readv: c.func('long readv(int fd, void *iov, int count)'),
    writev: c.func('long writev(int fd, void *iov, int count)'),
    fcntl: c.func('int fcntl(int fd, int command, long value)'),
    wait: (fds, count, timeoutMs, done) => poll.async(fds, count, timeoutMs, (_error: unknown, ready: number) => done(ready)),
    errno: () => koffi.errno(),
    address: (bytes) => Number(koffi.address(bytes)),
  };
}

const O_RDWR = 2;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const O_NONBLOCK_CLOEXEC = 0o2004000;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const CLONE_NEWNET = 0x40000000;
const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const IFF_TUN = 1;
const IFF_TAP = 2;
const IFF_MULTI_QUEUE = 0x100;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCGIFMTU = 0x8921;
const SIOCSIFMTU = 0x8922;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const RTM_NEWADDR = 20;
/** TUN_F sets from the best to none; see native/tap.c. */
const OFFLOADS = [0x6f, 0x0f, 0x07, 0x01, 0];
const IFREQ = 40;
const IFR_DATA = 16;

/** A step of opening that failed. */
class StepFailed {
  readonly failure: FailedTap;
  constructor(error: number, step: string) {
    this.failure = { error, step };
  }
}

class FfiIo implements PortIo {
  private readonly c: Libc;
  private readonly pages: { readonly bytes: WeakRef<Uint8Array>; readonly address: number }[] = [];
  private readonly ports: (FfiPort | null)[] = [];

  constructor(c: Libc) {
    this.c = c;
  }

  page(bytes: Uint8Array): number {
    return this.pages.push({ bytes: new WeakRef(bytes), address: this.c.address(bytes) }) - 1;
  }

  addressOf(handle: number): number {
    return this.pages[handle]?.address ?? 0;
  }

  bytesOf(handle: number): Uint8Array | undefined {
    return this.pages[handle]?.bytes.deref();
  }

  tapOpen(name: string, netns: string, tun: boolean, offload: boolean, queues: boolean, mtu: number, addresses: Uint8Array): OpenedTap | FailedTap {
    try {
      const open = (): OpenedTap => this.openHere(name, tun, offload, queues, mtu, addresses);
      return netns === '' ? open() : this.inside(netns, open);
    } catch (error) {
      if (error instanceof StepFailed) return error.failure;
      throw error;
    }
  }

  port(...[fd, linkFd, , header, rx, tx, batch, event]: Parameters<PortIo['port']>): number {
    // No link news without a second waiting thread: a host's side that goes down is seen by failing writes only.
    if (linkFd >= 0) this.c.close(linkFd);
    return this.ports.push(new FfiPort(this, this.c, fd, header, rx, tx, batch, event)) - 1;
  }

  receive(port: number, max: number): number {
    return this.ports[port]?.receive(max) ?? 0;
  }

  transmit(port: number, count: number): number {
    return this.ports[port]?.transmit(count) ?? 0;
  }

  interest(port: number, readable: 0 | 1): void {
    this.ports[port]?.interest(readable);
  }

  /** Not here: a thread waits, and it cannot be told to spin. */
  busyPoll(): void {}

  portClose(port: number): void {
    this.ports[port]?.close();
    this.ports[port] = null;
  }

  private check(result: number, step: string): number {
    if (result < 0) throw new StepFailed(this.c.errno(), step);
    return result;
  }

  private inside<T>(netns: string, what: () => T): T {
    const { c } = this;
    const home = this.check(c.open('/proc/thread-self/ns/net', 0), 'open netns');
    try {
      const there = this.check(c.open(netns, 0), 'open netns');
      const moved = c.setns(there, CLONE_NEWNET);
      const error = c.errno();
      c.close(there);
      if (moved < 0) throw new StepFailed(error, 'setns');
      try {
        return what();
      } finally {
        // All that follows would happen on the wrong machine.
        if (c.setns(home, CLONE_NEWNET) < 0) process.abort();
      }
    } finally {
      c.close(home);
    }
  }

  private openHere(name: string, tun: boolean, offload: boolean, queues: boolean, mtu: number, addresses: Uint8Array): OpenedTap {
    const { c } = this;
    const fd = this.check(c.open('/dev/net/tun', O_RDWR | O_NONBLOCK_CLOEXEC), 'open');
    try {
      const request = new Ifreq(name);
      request.view.setInt16(IFR_DATA, (tun ? IFF_TUN : IFF_TAP) | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0) | (queues ? IFF_MULTI_QUEUE : 0), true);
      this.check(c.ioctl(fd, TUNSETIFF, request.bytes), 'TUNSETIFF');
      let offloads = 0;
      if (offload) {
        this.check(c.ioctl(fd, TUNSETVNETHDRSZ, Uint8Array.of(10, 0, 0, 0)), 'TUNSETVNETHDRSZ');
        offloads = OFFLOADS.find((set) => c.ioctlInt(fd, TUNSETOFFLOAD, set) >= 0) ?? 0;
      }
      return { fd, linkFd: -1, offloads, ...this.setHost(request.name, tun, mtu, addresses) };
    } catch (error) {
      c.close(fd);
      throw error;
    }
  }

  private setHost(name: string, tun: boolean, mtu: number, addresses: Uint8Array): Omit<OpenedTap, 'fd' | 'linkFd' | 'offloads'> {
    const { c } = this;
    let control = c.socket(AF_INET6, SOCK_DGRAM_CLOEXEC, 0);
    if (control < 0) control = this.check(c.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0), 'socket');
    try {
      const r = new Ifreq(name);
      const ask = (request: number, step: string): DataView => {
        this.check(c.ioctl(control, request, r.bytes), step);
        return r.view;
      };
      const index = ask(SIOCGIFINDEX, 'SIOCGIFINDEX').getInt32(IFR_DATA, true);
      if (!tun) ask(SIOCGIFHWADDR, 'SIOCGIFHWADDR');
      const mac = [...r.bytes.subarray(IFR_DATA + 2, IFR_DATA + 8)];
      let actual = ask(SIOCGIFMTU, 'SIOCGIFMTU').getInt32(IFR_DATA, true);
      if (mtu !== 0 && mtu !== actual) {
        r.view.setInt32(IFR_DATA, mtu, true);
        ask(SIOCSIFMTU, 'SIOCSIFMTU');
        actual = mtu;
      }
      for (let at = 0; at < addresses.length; at += 18) this.addAddress(index, addresses.subarray(at, at + 18));
      const flags = ask(SIOCGIFFLAGS, 'SIOCGIFFLAGS').getInt16(IFR_DATA, true);
      r.view.setInt16(IFR_DATA, flags | 1, true);
      const up = (flags & 1) === 1 || c.ioctl(control, SIOCSIFFLAGS, r.bytes) >= 0;
      if (!up && c.errno() !== Errno.EPERM) throw new StepFailed(c.errno(), 'SIOCSIFFLAGS');
      return { index, up: up ? 1 : 0, mtu: actual, name, mac };
    } finally {
      c.close(control);
    }
  }

  /** RTM_NEWADDR; see native/tap.c. */
  private addAddress(index: number, address: Uint8Array): void {
    const { c } = this;
    const v6 = address[0] === 6;
    const octets = v6 ? 16 : 4;
    const attribute = 4 + octets;
    const message = new Uint8Array(24 + 2 * attribute);
    const view = new DataView(message.buffer);
    view.setUint32(0, message.length, true);
    view.setUint16(4, RTM_NEWADDR, true);
    view.setUint16(6, 0x505, true); // request, acknowledge, create, replace
    message.set([v6 ? AF_INET6 : AF_INET, address[1] as number, v6 ? 2 : 0 /* no DAD */, 0], 16);
    view.setInt32(20, index, true);
    for (const [at, type] of [[24, 2], [24 + attribute, 1]] as const) {
      view.setUint16(at, attribute, true);
      view.setUint16(at + 2, type, true);
      message.set(address.subarray(2, 2 + octets), at + 4);
    }
    const netlink = this.check(c.socket(AF_NETLINK, SOCK_RAW_CLOEXEC | SOCK_NONBLOCK, 0), 'netlink');
    try {
      this.check(c.send(netlink, message, message.length, 0), 'RTM_NEWADDR');
      const answer = new Uint8Array(512);
      this.check(c.recv(netlink, answer, answer.length, 0), 'RTM_NEWADDR');
      const error = -new DataView(answer.buffer).getInt32(16, true);
      if (error !== 0 && error !== 17 /* EEXIST */) throw new StepFailed(error, 'RTM_NEWADDR');
    } finally {
      c.close(netlink);
    }
  }
}

/** struct ifreq: a name of 16 octets, then what the request is about. */
class Ifreq {
  readonly bytes = new Uint8Array(IFREQ);
  readonly view = new DataView(this.bytes.buffer);

  constructor(name: string) {
    this.bytes.set(new TextEncoder().encode(name).subarray(0, IFR_DATA - 1));
  }

  get name(): string {
    return new TextDecoder().decode(this.bytes.subarray(0, this.bytes.indexOf(0)));
  }
}

const POLLIN = 1;
const POLLOUT = 4;
const POLLERR_HUP_NVAL = 8 | 16 | 32;
/** A closed device is let go of when its thread comes back, at the latest after this. */
const WAIT_MS = 50;

/** The batch layouts are those of native/port.c. */
class FfiPort {
  private readonly io: FfiIo;
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

  constructor(io: FfiIo, c: Libc, fd: number, header: number, rx: Int32Array, tx: Int32Array, batch: number, event: FfiPort['event']) {
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
    while (n < max && n < this.batch && used < bigs) {
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
      this.readHeader(bytes, start - header, at);
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

  private readHeader(bytes: Uint8Array, at: number, frame: number): void {
    const { rx } = this;
    const word = (i: number): number => (bytes[at + i] as number) | ((bytes[at + i + 1] as number) << 8);
    const flags = this.header === 0 ? 0 : (bytes[at] as number);
    rx[frame + 4] = flags & 1 ? 1 : flags & 2 ? 2 : 0;
    rx[frame + 5] = this.header === 0 ? 0 : word(6);
    rx[frame + 6] = this.header === 0 ? 0 : word(8);
    rx[frame + 7] = this.header === 0 ? 0 : (bytes[at + 1] as number) & 0x7f;
    rx[frame + 8] = this.header === 0 ? 0 : word(4);
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
