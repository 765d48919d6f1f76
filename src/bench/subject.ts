import { Address, formatAddress, parseAddress } from '../base/address.js';
import { ConfigError } from '../base/errors.js';
import { type Packet, PacketPool, SMALL_SLOT } from '../base/packet.js';
import { Slab } from '../base/slab.js';
import type { Config, InterfaceConfig } from '../config/config.js';
import type { Device } from '../hyper/hypercalls.js';
import { memoryLink } from '../hyper/memory-link.js';
import { VirtualClock, VirtualHost } from '../hyper/virtual-host.js';
import { type AnyStack, createStack } from '../index.js';
import type { Interface, InterfaceAddress } from '../net/interface.js';
import { type FrameMaker, fill, template } from './frames.js';
import { type BenchOptions, PORT, type Workload } from './options.js';

/** Frames handed over at a time. */
export const BATCH = 64;
const LINK = { queueFrames: 4_096, queueOctets: 1 << 25 };
/** Virtual microseconds in which what starts with a stack (duplicate address detection, probes) is over. */
const SETTLED = 5_000_000;

/** The stack under test on virtual time, its devices replaced by links in memory whose far ends are ours. */
export class Subject {
  readonly stack: AnyStack;
  /** Frames and octets that came out, of the interface they are counted on. */
  received = 0;
  octets = 0;
  private readonly clock = new VirtualClock();
  private readonly pool = new PacketPool(8_192);
  private readonly slab = new Slab(SMALL_SLOT, 32, 8_192);
  private readonly ends = new Map<string, Device>();
  private readonly batch: Packet[] = [];
  private readonly entry: Interface;
  private readonly near: Device;
  private readonly source: Address;

  constructor(forward: boolean, work: Workload, options: BenchOptions) {
    const given = options.config ?? plain(work.family, forward);
    // What opens ports of the host has no place on virtual time.
    const { forwards: _forwards, proxy: _proxy, ...config } = given;
    const interfaces = Object.fromEntries(Object.entries(config.interfaces ?? {}).map(([name, one]) => [name, this.replaced(name, one)]));
    const sysctl = { 'net.ipv6.conf.all.dad_transmits': 0, ...config.sysctl, ...options.sysctl };
    const host = new VirtualHost({ clock: this.clock, seed: options.seed ?? 1 });
    this.stack = createStack({ ...config, interfaces, sysctl }, { host, recorded: 0 });
    const name = options.in ?? [...this.ends.keys()][0] ?? '';
    const near = this.ends.get(name);
    if (near === undefined)
      throw new ConfigError(`bench: '${name}' is no interface with a device; there is ${[...this.ends.keys()].join(', ') || 'none'}`);
    this.near = near;
    this.entry = this.stack.core.interfaces.named(name) as Interface;
    this.clock.advance(SETTLED);
    this.source = options.from === undefined ? neighborOf(own(this.entry, work.family)) : parsed(options.from);
    this.know(this.entry, this.source);
    this.take(false);
  }

  /** The address of the entry's interface that its senders speak to. */
  own(family: 4 | 6): Address {
    return own(this.entry, family).address;
  }

  /** Frames of the workload for `to`, as a station on the entry's link sends them. Their next hop is known: address resolution is not what is measured. */
  frames(to: Address, { sizes, flows }: Workload): FrameMaker {
    const { core } = this.stack;
    if (!core.ip.isLocal(to, 0)) {
      const { dev, via } = this.stack.route.get(formatAddress(to), { iif: this.entry.name, src: formatAddress(this.source) });
      this.know(core.interfaces.named(dev) as Interface, parsed(via ?? formatAddress(to)));
    }
    return template({ sizes, flows, destination: to, source: this.source, destinationPort: PORT, from: this.near.mac, to: this.entry.mac });
  }

  /** The station address that frames for the stack have. */
  get mac(): Uint8Array {
    return this.entry.mac;
  }

  /** Sends frames [from, to) and runs the stack on them. False when the maker has no more. */
  send(make: FrameMaker, from: number, to: number): boolean {
    let n = 0;
    for (let i = from; i < to; i++) {
      const packet = this.pool.from(this.slab);
      if (packet === null) break;
      if (!fill(packet, make, i)) {
        packet.release();
        return false;
      }
      this.octets += packet.length;
      this.batch[n++] = packet;
    }
    this.near.transmit(this.batch, n);
    // Until it rests, without letting time pass.
    while (this.clock.next() <= this.clock.now) this.clock.step();
    this.clock.advance(1);
    return true;
  }

  /** Takes what has come out, and counts it: on the entry's link (`back`), or on all others. */
  take(back: boolean): void {
    for (const end of this.ends.values()) {
      for (let n = end.receive(this.pool, this.batch, BATCH); n > 0; n = end.receive(this.pool, this.batch, BATCH)) {
        if ((end === this.near) === back) this.received += n;
        for (let i = 0; i < n; i++) (this.batch[i] as Packet).release();
      }
    }
  }

  async close(): Promise<void> {
    await this.stack.close();
  }

  private replaced(name: string, one: InterfaceConfig): InterfaceConfig {
    if (one.device === undefined) return one;
    const [outer, inner] = memoryLink(LINK);
    outer.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
    this.ends.set(name, outer);
    return { ...one, device: inner };
  }

  private know(iface: Interface, address: Address): void {
    const end = this.ends.get(iface.name);
    if (end === undefined) return;
    const mac = new DataView(end.mac.buffer, end.mac.byteOffset);
    iface.neighbors?.setPermanent(address, mac.getUint16(0), mac.getInt32(2));
  }
}

/** What is measured when no configuration is given: one interface, or two and forwarding. */
function plain(family: 4 | 6, forward: boolean): Config {
  const device = { type: 'memory' };
  const addresses = family === 4 ? ['10.0.0.1/24', '10.0.1.1/24'] : ['fd00::1/64', 'fd00:0:0:1::1/64'];
  const one = (i: number): InterfaceConfig => ({ device, addresses: addresses.slice(i, i + 1) });
  return {
    interfaces: forward ? { eth0: one(0), eth1: one(1) } : { eth0: one(0) },
    sysctl: forward ? { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 } : {},
  };
}

/** Where forwarded frames of the stack above are for. */
export const PLAIN_FAR = { 4: '10.0.1.2', 6: 'fd00:0:0:1::2' } as const;

/** An interface's first address of a family that has one beyond the link. */
export function own(iface: Interface, family: 4 | 6): InterfaceAddress {
  const found = iface.addresses.find((a) => a.address.isV4 === (family === 4) && !a.address.isLinkLocal);
  if (found === undefined) throw new ConfigError(`bench: ${iface.name} has no IPv${family} address`);
  return found;
}

/** A station beside us on the link of ours: the next address. */
const neighborOf = ({ address: a }: InterfaceAddress): Address => new Address(a.w0, a.w1, a.w2, a.w3 + 1);

/** The address of a text; one sentence where it is none. */
export function parsed(text: string): Address {
  const address = parseAddress(text);
  if (address === null) throw new ConfigError(`bench: '${text}' is no address`);
  return address;
}
