import { readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { build } from 'hdr-histogram-js';
import { type Address, parseAddress, parsePrefix } from '../base/address.js';
import { ConfigError } from '../base/errors.js';
import { type Packet, PacketPool, SMALL_SLOT } from '../base/packet.js';
import { Slab } from '../base/slab.js';
import type { Device } from '../hyper/hypercalls.js';
import { memoryLink } from '../hyper/memory-link.js';
import { VirtualClock, VirtualHost } from '../hyper/virtual-host.js';
import { DatagramInfo } from '../net/socket/datagram-queue.js';
import { Stack } from '../net/stack.js';
import { Sysctl } from '../net/sysctl.js';
import { CapturedFrame } from '../wire/pcap.js';
import { openCapture } from '../wire/pcapng.js';
import { type FrameMaker, fill, IMIX, template } from './frames.js';
import { figures, type Report, type Sample, sample } from './measure.js';

/** What all benches in memory take. */
export interface BenchOptions {
  /** Octets of frames, check sequence included; 'imix' for that mix. Default [64]. */
  readonly sizes?: readonly number[] | 'imix';
  /** Source ports in turn. Default 1. */
  readonly flows?: number;
  readonly family?: 4 | 6;
  /** Packets of one run. Default 200,000; at most 100 million. */
  readonly count?: number;
  /** Measured runs after one to warm up. Default 5. */
  readonly runs?: number;
  readonly seed?: number;
  readonly sysctl?: Readonly<Record<string, unknown>>;
}

/** Where generated frames go: into a socket, back to the sender, or through the stack. */
export type GenPath = 'sink' | 'echo' | 'forward';

const BATCH = 64;
const PORT = 9;

/** The stack under test, and a device of ours on each of its interfaces' far ends. */
class Subject {
  readonly clock = new VirtualClock();
  readonly stack: Stack;
  readonly near: Device;
  readonly far: Device | null;
  readonly pool = new PacketPool(8_192);
  readonly slab = new Slab(SMALL_SLOT, 32, 8_192);
  received = 0;
  octets = 0;
  /** Told of frames that come back; may not keep them. */
  onFrame: ((packet: Packet) => void) | null = null;
  private readonly batch: Packet[] = [];

  constructor(family: 4 | 6, forward: boolean, options: BenchOptions) {
    const host = new VirtualHost({ clock: this.clock, seed: options.seed ?? 1 });
    const sysctl = new Sysctl('linux', {
      'net.ipv4.ip_forward': forward ? 1 : 0,
      'net.ipv6.conf.all.forwarding': forward ? 1 : 0,
      'net.ipv6.conf.all.dad_transmits': 0,
      ...options.sysctl,
    });
    this.stack = new Stack('bench', host, sysctl, {
      failed: (error) => {
        throw error;
      },
      conflict: () => {},
      link: () => {},
    });
    const link = { queueFrames: 4_096, queueOctets: 1 << 25 };
    const [near, eth0] = memoryLink(link);
    this.near = near;
    this.attach(near);
    this.interface('eth0', eth0, family === 4 ? '10.0.0.1/24' : 'fd00::1/64', near);
    this.far = null;
    if (forward) {
      const [far, eth1] = memoryLink(link);
      this.far = far;
      this.attach(far);
      this.interface('eth1', eth1, family === 4 ? '10.0.1.1/24' : 'fd00:0:0:1::1/64', far);
    }
    this.clock.advance(5_000_000);
    this.drain(near);
  }

  private attach(device: Device): void {
    device.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
  }

  /** Its neighbour is set by hand: address resolution is not what is measured. */
  private interface(name: string, device: Device, prefix: string, peer: Device): void {
    const iface = this.stack.addInterface(name, device);
    this.stack.addAddress(iface, parsePrefix(prefix) as NonNullable<ReturnType<typeof parsePrefix>>);
    const mac = new DataView(peer.mac.buffer, peer.mac.byteOffset);
    const neighbor = parse(prefix.replace(/1\/.*$/, '2'));
    iface.neighbors?.setPermanent(neighbor, mac.getUint16(0), mac.getInt32(2));
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
    this.run();
    return true;
  }

  /** Lets the stack work until it rests, without letting time pass. */
  run(): void {
    while (this.clock.next() <= this.clock.now) this.clock.step();
    this.clock.advance(1);
  }

  /** Takes what has come out of a device. */
  drain(device: Device): void {
    for (let n = device.receive(this.pool, this.batch, BATCH); n > 0; n = device.receive(this.pool, this.batch, BATCH)) {
      this.received += n;
      for (let i = 0; i < n; i++) {
        const packet = this.batch[i] as Packet;
        this.onFrame?.(packet);
        packet.release();
      }
    }
  }

  close(): void {
    this.stack.close();
  }
}

const parse = (text: string): Address => parseAddress(text) as Address;

function report(
  bench: string,
  path: string,
  options: BenchOptions & Readonly<Record<string, unknown>>,
  samples: readonly Sample[],
  subject: Subject,
): Report {
  return {
    version: 1,
    bench,
    path,
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    kernel: release(),
    seed: options.seed ?? 1,
    options,
    runs: samples.length,
    figures: figures(samples),
    drops: subject.stack.ctx.counters.dropped(),
  };
}

function checked(options: BenchOptions): { sizes: readonly number[]; flows: number; family: 4 | 6; count: number; runs: number } {
  const { flows = 1, family = 4, count = 200_000, runs = 5 } = options;
  const sizes = options.sizes === 'imix' ? IMIX : (options.sizes ?? [64]);
  for (const size of sizes) if (!(size >= 64 && size <= 1_518)) throw new ConfigError(`bench: a frame has 64 to 1518 octets, not ${size}`);
  if (!(count >= BATCH && count <= 1e8)) throw new ConfigError(`bench: a run has ${BATCH} to 100,000,000 packets, not ${count}`);
  if (!(flows >= 1 && flows <= 60_000)) throw new ConfigError(`bench: there are 1 to 60,000 flows, not ${flows}`);
  if (!(runs >= 1 && runs <= 100)) throw new ConfigError(`bench: there are 1 to 100 runs, not ${runs}`);
  return { sizes, flows, family, count, runs };
}

/** Generates frames by the template, or by a function of one's own, into a stack in memory as fast as it takes them. */
export function gen(path: GenPath, options: BenchOptions = {}, make?: FrameMaker): Report {
  const { sizes, flows, family, count, runs } = checked(options);
  const subject = new Subject(family, path === 'forward', options);
  const destination = parse(path === 'forward' ? (family === 4 ? '10.0.1.2' : 'fd00:0:0:1::2') : family === 4 ? '10.0.0.1' : 'fd00::1');
  const maker =
    make ??
    template({
      sizes,
      flows,
      destination,
      source: parse(family === 4 ? '10.0.0.2' : 'fd00::2'),
      destinationPort: PORT,
      from: subject.near.mac,
      to: subject.stack.interfaces.named('eth0')?.mac as Uint8Array,
    });
  const taken = path === 'forward' ? null : serve(subject, path, family);
  const out = subject.far ?? subject.near;
  const body = (packets: number) => (): { packets: number; octets: number } => {
    subject.octets = subject.received = 0;
    if (taken !== null) taken.count = 0;
    for (let i = 0; i < packets; i += BATCH) {
      if (!subject.send(maker, i, Math.min(packets, i + BATCH))) break;
      subject.drain(out);
    }
    return { packets: path === 'sink' ? (taken?.count ?? 0) : subject.received, octets: subject.octets };
  };
  body(Math.max(BATCH, count >> 2))();
  const samples = Array.from({ length: runs }, () => sample(body(count)));
  const parts = {
    sink: 'memory link, Ethernet, IP, UDP, socket',
    echo: 'memory link, Ethernet, IP, UDP, socket, and back',
    forward: 'memory link, Ethernet, IP forwarding, memory link',
  };
  const result = report(`gen ${path}`, parts[path], { ...options }, samples, subject);
  subject.close();
  return result;
}

/** A UDP socket that takes everything, and sends it back when asked to. */
function serve(subject: Subject, path: GenPath, family: 4 | 6): { count: number } {
  const socket = subject.stack.udp.openSocket(family);
  socket.bind(null, PORT);
  socket.setOption('SO_RCVBUF', 4 << 20);
  const into = new Uint8Array(2_048);
  const info = new DatagramInfo();
  const taken = { count: 0 };
  socket.onReady = () => {
    for (let n = socket.receive(into, 0, into.length, info); n >= 0; n = socket.receive(into, 0, into.length, info)) {
      taken.count++;
      if (path === 'echo') socket.sendTo(into, 0, n, info.address, info.port);
    }
  };
  return taken;
}

/**
 * Requests at a fixed rate, answered by a UDP echo of the stack; latencies are counted from when a request was due, not from
 * when it could be sent (no coordinated omission). `rate` 0 sends the next when the last is answered.
 */
export function rr(options: BenchOptions & { readonly rate?: number } = {}): Report {
  const { sizes, flows, family, count, runs } = checked({ count: 20_000, ...options });
  const { rate = 0 } = options;
  const subject = new Subject(family, false, options);
  serve(subject, 'echo', family);
  const maker = template({
    sizes,
    flows,
    destination: parse(family === 4 ? '10.0.0.1' : 'fd00::1'),
    source: parse(family === 4 ? '10.0.0.2' : 'fd00::2'),
    destinationPort: PORT,
    from: subject.near.mac,
    to: subject.stack.interfaces.named('eth0')?.mac as Uint8Array,
  });
  const histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: 10_000_000_000, numberOfSignificantValueDigits: 3 });
  const once = (packets: number, counted: boolean) => (): { packets: number; octets: number } => {
    subject.received = subject.octets = 0;
    const begin = performance.now();
    for (let i = 0; i < packets; i++) {
      let due = performance.now();
      if (rate > 0) {
        due = begin + (i * 1e3) / rate;
        while (performance.now() < due); // the schedule, not the answers, sets the pace
      }
      subject.send(maker, i, i + 1);
      subject.drain(subject.near);
      if (counted) histogram.recordValue(Math.max(1, Math.round((performance.now() - due) * 1e6)));
    }
    return { packets: subject.received, octets: subject.octets };
  };
  once(Math.max(BATCH, count >> 2), false)();
  const samples = Array.from({ length: runs }, () => sample(once(count, true)));
  const result = report('rr', 'memory link, Ethernet, IP, UDP, socket, and back, one at a time', { ...options }, samples, subject);
  subject.close();
  const at = (p: number): number => histogram.getValueAtPercentile(p) / 1e3;
  return {
    ...result,
    latency: { p50: at(50), p90: at(90), p99: at(99), 'p99.9': at(99.9), max: histogram.maxValue / 1e3, mean: histogram.mean / 1e3 },
  };
}

/** The frames of a capture file (pcap or pcapng, Ethernet) into a stack that forwards, as fast as it takes them. */
export function replay(file: string, options: BenchOptions = {}): Report {
  const { runs } = checked(options);
  const frames = readFrames(file);
  const subject = new Subject(4, true, options);
  const mac = subject.stack.interfaces.named('eth0')?.mac as Uint8Array;
  const maker: FrameMaker = (i, into, _view, at) => {
    const frame = frames[i % frames.length] as Uint8Array;
    into.set(frame, at);
    into.set(mac, at); // for the stack under test, whomever it was for
    return frame.length;
  };
  const rounds = Math.max(1, Math.ceil((options.count ?? frames.length) / frames.length)) * frames.length;
  const body = (packets: number) => (): { packets: number; octets: number } => {
    subject.octets = 0;
    for (let i = 0; i < packets; i += BATCH) {
      subject.send(maker, i, Math.min(packets, i + BATCH));
      subject.drain(subject.far as Device);
      subject.drain(subject.near);
    }
    return { packets, octets: subject.octets };
  };
  body(frames.length)();
  const samples = Array.from({ length: runs }, () => sample(body(rounds)));
  const result = report(`replay ${file}`, 'memory link, Ethernet, IP input or forwarding', { ...options }, samples, subject);
  subject.close();
  return result;
}

function readFrames(file: string): Uint8Array[] {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new ConfigError(
      `bench: ${file}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (error as Error).message}`,
    );
  }
  const reader = openCapture(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const frames: Uint8Array[] = [];
  for (const frame = new CapturedFrame(); reader?.next(frame); )
    if (frame.end - frame.start <= 1_518) frames.push(bytes.slice(frame.start, frame.end));
  if (frames.length === 0) throw new ConfigError(`bench: ${file} holds no Ethernet frames of at most 1518 octets`);
  return frames;
}

/** RFC 2544 §26.1's throughput: the greatest rate without loss, by bisection between 0 and `top` packets/s, to one part in a hundred. */
export function search(path: GenPath, options: BenchOptions & { readonly top?: number } = {}): Report & { readonly zeroLossRate: number } {
  const { sizes, flows, family, count } = checked({ count: 50_000, ...options });
  const fastest = gen(path, { ...options, runs: 3, count });
  let low = 0;
  let high = options.top ?? (fastest.figures['packets/s']?.greatest as number) * 1.5;
  const subject = new Subject(family, path === 'forward', options);
  if (path !== 'forward') serve(subject, path, family);
  const destination = parse(path === 'forward' ? (family === 4 ? '10.0.1.2' : 'fd00:0:0:1::2') : family === 4 ? '10.0.0.1' : 'fd00::1');
  const maker = template({
    sizes,
    flows,
    destination,
    source: parse(family === 4 ? '10.0.0.2' : 'fd00::2'),
    destinationPort: PORT,
    from: subject.near.mac,
    to: subject.stack.interfaces.named('eth0')?.mac as Uint8Array,
  });
  while (high - low > high / 100) {
    const rate = (low + high) / 2;
    if (lossless(subject, maker, rate, count)) low = rate;
    else high = rate;
  }
  subject.close();
  return { ...fastest, bench: `search ${path}`, zeroLossRate: low };
}

/** Offers frames by the clock; a frame that could not be offered in its time, for more than a queue's worth, is lost. */
function lossless(subject: Subject, maker: FrameMaker, rate: number, count: number): boolean {
  const QUEUE = 1_000;
  const begin = performance.now();
  for (let i = 0; i < count; ) {
    const due = Math.min(count, Math.floor(((performance.now() - begin) * rate) / 1e3));
    if (due - i > QUEUE) return false;
    if (due === i) continue;
    const next = Math.min(due, i + BATCH);
    subject.send(maker, i, next);
    subject.drain(subject.far ?? subject.near);
    i = next;
  }
  return true;
}
