/**
 * What the addon does for TAP devices, through koffi (a package that calls C functions): for machines without a C
 * compiler. Against the addon it costs one thread of libuv's pool per device, which waits in poll(2) for frames, some
 * 30 µs of latency for waking it (400 on a busy machine), and 12 % (in) to 55 % (echo) more CPU per frame, threefold when
 * busy. That thread also keeps the process alive until the device is closed, and a closed one's name is free only when
 * the thread has come back (50 ms).
 */
import { Errno } from '../base/errors.js';
import { type Libc, loadLibc } from './libc.js';
import type { FailedTap, OpenedTap, PortIo } from './native.js';
import { FfiPort, type Pages } from './port-ffi.js';

/** The same interface as the addon's, or null where koffi is not to be had. */
export function tapFfi(): PortIo | null {
  const c = loadLibc();
  return c === null ? null : new FfiIo(c);
}

const O_RDWR = 2;
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

class FfiIo implements PortIo, Pages {
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

  tapOpen(name: string, netns: string, tun: boolean, offload: boolean, queues: boolean, mtu: number): OpenedTap | FailedTap {
    try {
      return this.inside(netns, () => this.openHere(name, tun, offload, queues, mtu));
    } catch (error) {
      if (error instanceof StepFailed) return error.failure;
      throw error;
    }
  }

  netlink(netns: string, message: Uint8Array): number {
    try {
      return this.inside(netns, () => this.request(message));
    } catch (error) {
      if (error instanceof StepFailed) return -error.failure.error;
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
    if (netns === '') return what();
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

  private openHere(name: string, tun: boolean, offload: boolean, queues: boolean, mtu: number): OpenedTap {
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
      return { fd, linkFd: -1, offloads, ...this.setHost(request.name, tun, mtu) };
    } catch (error) {
      c.close(fd);
      throw error;
    }
  }

  private setHost(name: string, tun: boolean, mtu: number): Omit<OpenedTap, 'fd' | 'linkFd' | 'offloads'> {
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
      const flags = ask(SIOCGIFFLAGS, 'SIOCGIFFLAGS').getInt16(IFR_DATA, true);
      r.view.setInt16(IFR_DATA, flags | 1, true);
      const up = (flags & 1) === 1 || c.ioctl(control, SIOCSIFFLAGS, r.bytes) >= 0;
      if (!up && c.errno() !== Errno.EPERM) throw new StepFailed(c.errno(), 'SIOCSIFFLAGS');
      return { index, up: up ? 1 : 0, mtu: actual, name, mac };
    } finally {
      c.close(control);
    }
  }

  /** Answered before `send` returns; 0 or a negative errno. */
  private request(message: Uint8Array): number {
    const { c } = this;
    const netlink = this.check(c.socket(AF_NETLINK, SOCK_RAW_CLOEXEC | SOCK_NONBLOCK, 0), 'netlink');
    try {
      this.check(c.send(netlink, message, message.length, 0), 'send');
      const answer = new Uint8Array(512);
      this.check(c.recv(netlink, answer, answer.length, 0), 'recv');
      return new DataView(answer.buffer).getInt32(16, true);
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
