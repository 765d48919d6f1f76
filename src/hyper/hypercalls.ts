/**
 * The hypercall contract: all a stack asks of the world it runs in. Types only. One host serves one stack.
 * Nothing here returns a promise, and a host never calls back into the stack but by `poll` and a device's events.
 */
import type { Address } from '../base/address.js';
import type { NetError } from '../base/errors.js';
import type { Packet, PacketPool } from '../base/packet.js';
import type { Micros } from '../base/time.js';
import type { LinkRequest } from '../wire/rtnetlink-request.js';
import type { Crypto } from './crypto.js';

export interface Hypercalls {
  /** Ties the host to the stack: `poll` is to be called when a device has something, when `wakeAt` is due, and after `soon`. */
  attach(poll: () => void): void;

  /** Monotonic time, not running while the machine sleeps. */
  monotonic(): Micros;
  /** Time since the epoch, for captures and certificates. May jump. */
  wallClock(): Micros;
  /** Monotonic time that runs through suspend: leases and SA lifetimes. */
  bootTime(): Micros;

  /** Fills with cryptographically strong octets. */
  random(into: Uint8Array): void;

  /** Calls poll at the given monotonic time or soon after; replaces the time asked before. NEVER asks for none. */
  wakeAt(at: Micros): void;
  /** Calls poll once after the running turn's microtasks have drained. Many calls before that count as one. */
  soon(): void;

  /** Holds keep the process alive; it may end when as many releases have come. A host without processes ignores both. */
  hold(): void;
  release(): void;

  /**
   * Opens a device. It may still be opening when this returns (events tell); configuration errors and those of a TAP
   * (EBUSY, ENODEV, EPERM) are thrown at once as NetError.
   */
  open(spec: DeviceSpec): Device;

  readonly crypto: Crypto;
  readonly store: Store;

  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void;
}

/** What a configuration says of a device: `type` chooses the file that knows the other keys. */
export interface DeviceSpec {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** What a device can take over on transmit, and gives on receive. Bits. */
export const Offload = {
  /** Finishes the transport checksum of packets with Checksum.Partial. */
  TxChecksum: 1,
  /** Takes TCP frames of up to 64 KB with gsoSize set. */
  Tso4: 2,
  Tso6: 4,
  /** The same for UDP. */
  Uso: 8,
  /** Received packets may carry Checksum.Partial or Verified and a gsoType. */
  RxBig: 16,
} as const;

/** A way packets leave and enter the stack. Pull to receive, push to transmit; both in batches, both without waiting. */
export interface Device {
  /** The spec's type. */
  readonly kind: string;
  /** What a frame begins with: an Ethernet header, or an IP header. */
  readonly medium: 'ethernet' | 'ip';
  /** Our station address, 6 octets; all zero on an IP medium. */
  readonly mac: Uint8Array;
  /** Greatest IP packet in octets, gso aside. */
  readonly mtu: number;
  /** Offload bits. */
  readonly offloads: number;
  /** False while opening and without carrier. */
  readonly carrier: boolean;

  /** Called once, before anything else. */
  start(events: DeviceEvents): void;
  /**
   * Takes up to `max` received frames from the device into `into[0..n)`: descriptors from `pool` with head at the
   * frame's first octet, tail behind its last, checksum and gso fields set. The caller owns them. `time` stays 0 where
   * the device knows no better than the poll. What stays behind because `max` was reached draws another `readable`.
   */
  receive(pool: PacketPool, into: Packet[], max: number): number;
  /**
   * Offers packets[0..count), head at the frame's first octet, pieces to be gathered behind tail. Takes ownership of
   * the first n, which it returns, and releases each once nothing of it is needed; the caller keeps the others and
   * offers them again after `writable`.
   */
  transmit(packets: Packet[], count: number): number;
  /** Frames, octets and errors of the device itself, e.g. drops in the kernel's queue. */
  statistics?(): Record<string, number>;
  /** The host's interface at the other end of a TAP; left out where there is none. */
  readonly far?: FarEnd;
  /** Gives everything back. No event comes afterwards. */
  close(): void;
}

export interface DeviceEvents {
  /** There is something to receive: asks the host for a poll. */
  readable(): void;
  /** It takes frames again after a short transmit. */
  writable(): void;
  carrier(up: boolean): void;
  mtu(octets: number): void;
  /** It is dead; close it. It may be opened anew. */
  failed(error: NetError): void;
}

/** A host's interface that may be told what to look like. Each call answers 0 or a negative errno. */
export interface FarEnd {
  /** The host's number of it. */
  readonly index: number;
  set(change: LinkRequest): number;
  /** `length` in the family's own bits. One that is there stays. */
  addAddress(address: Address, length: number): number;
  removeAddress(address: Address, length: number): number;
}

/** Small values that survive a restart: the RFC 7217 secret, the DUID, leases. Keys are [a-z0-9-]+, values at most 64 KB. */
export interface Store {
  get(key: string): Uint8Array | null;
  set(key: string, value: Uint8Array): void;
  delete(key: string): void;
}
