/** The addon as TypeScript sees it, and how it is found. Its absence is never an error here: who needs it says what is lost. */
import { createRequire } from 'node:module';
import type { Micros } from '../base/time.js';

/** What a TAP came open as. `mac` is the host's end. */
export interface OpenedTap {
  readonly fd: number;
  /** Netlink messages of its namespace; −1 where that is not to be had. */
  readonly linkFd: number;
  readonly index: number;
  readonly up: 0 | 1;
  readonly mtu: number;
  /** TUN_F bits the kernel took. */
  readonly offloads: number;
  readonly name: string;
  readonly mac: readonly number[];
}

/** Why it did not: an errno, and the call that gave it. */
export interface FailedTap {
  readonly error: number;
  readonly step: string;
}

/** Bits of what a port tells. */
export const PortEvent = { Readable: 1, Writable: 2, Link: 4, Dead: 8 } as const;

/**
 * Frames over descriptors in batches: native/port.c, or tap-ffi.ts in its place. What a batch consists of lies in two
 * Int32Arrays (port.ts writes and reads them).
 */
export interface PortIo {
  /** What it does for devices without a vnet header: Offload bits. Absent: nothing. */
  readonly plainOffloads?: number;
  /** Registers memory; its number is valid as long as the array lives. */
  page(bytes: Uint8Array): number;
  tapOpen(name: string, netns: string, tun: boolean, offload: boolean, queues: boolean, mtu: number): OpenedTap | FailedTap;
  /** One rtnetlink request that asks for an acknowledgement, in a namespace ('': our own). 0 or a negative errno. */
  netlink(netns: string, message: Uint8Array): number;
  /** Takes both descriptors over. A number, or a negative errno. `a` and `b` are up and MTU for Link, the errno for Dead. */
  port(
    fd: number,
    linkFd: number,
    index: number,
    header: number,
    rx: Int32Array,
    tx: Int32Array,
    batch: number,
    event: (events: number, a: number, b: number) => void,
  ): number;
  receive(port: number, max: number): number;
  transmit(port: number, count: number): number;
  interest(port: number, readable: 0 | 1): void;
  busyPoll(port: number, span: Micros): void;
  portClose(port: number): void;
}

/** Opaque: an external of the addon. */
export interface NativeTimer {
  readonly nativeTimer: never;
}

/** Packets sealed and opened by OpenSSL: native/aead.c. Absent where Node does not export OpenSSL's functions. */
export interface NativeCrypto {
  /** A number, or −1 when OpenSSL lacks the algorithm or a length is not its. `mac` is '' with an AEAD. */
  transform(cipher: string, key: Uint8Array, mac: string, macKey: Uint8Array, tagLength: number): number;
  transformClose(id: number): void;
  /** Jobs as in crypto.ts; `scratch` is a page's number. */
  seal(words: Int32Array, count: number, scratch: number): void;
  open(words: Int32Array, count: number, scratch: number): void;
}

/** The addon. */
export interface Native extends PortIo, Partial<NativeCrypto> {
  monotonic(): Micros;
  bootTime(): Micros;
  /** Does not keep the process alive. A number is a negative errno. */
  timer(fire: () => void): NativeTimer | number;
  timerSet(timer: NativeTimer, at: Micros): void;
  timerClose(timer: NativeTimer): void;
}

/** The addon, or null. Built beside the sources, or brought prebuilt for this platform by the package. */
export function loadNative(): Native | null {
  if (process.env['ANYSTACK_NO_ADDON'] !== undefined) return null;
  const load = createRequire(import.meta.url);
  for (const path of ['build', `prebuilds/${process.platform}-${process.arch}`, `prebuilds/${process.platform}-${process.arch}-musl`]) {
    try {
      return load(`../../native/${path}/anystack.node`) as Native;
    } catch {
      // Not there, or of another platform or libc: the next.
    }
  }
  return null;
}
