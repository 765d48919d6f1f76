import { type Address, formatAddress } from '../base/address.js';
import { ConfigError, Errno } from '../base/errors.js';
import type { Config } from '../config/config.js';
import { type AnyStack, createStack } from '../index.js';
import type { Interface } from '../net/interface.js';
import type { PacketSocket } from '../net/socket/packet-socket.js';
import type { UdpSocket } from '../net/socket/udp-socket.js';
import { readFrames } from './capture-frames.js';
import { type FrameMaker, template } from './frames.js';
import { type Moved, meter, type Report, report, type Sample } from './measure.js';
import { PORT, type Workload, type WorkloadOptions, workload } from './options.js';
import { own, parsed } from './subject.js';

/** What benches on devices take. */
export interface LiveOptions extends WorkloadOptions {
  /** The stack that sends; its devices are its own. */
  readonly config: Config;
  /** Interface that frames go out of. Default: the first. */
  readonly dev?: string;
  /** Whom they are for, on the link or beyond a router of it. */
  readonly to: string;
  readonly port?: number;
  /** Frames or requests a second; 0 for as many as go. */
  readonly rate?: number;
  /** Bound of a run: it ends with its count or with these, whichever comes first. Default 5; at most 3,600. */
  readonly seconds?: number;
}

const BATCH = 64;
const FRAME_MAX = 1_518;
/** How long a station, an answer or what is under way at the end of a run is waited for. Milliseconds. */
export const PATIENCE_MS = 1_000;
/** Source ports of one bench at most: each is a socket that takes what comes back. */
const FLOWS_MAX = 1_024;

/** Lets the stack work. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A stack on its devices in real time, and the frames it sends. */
export class Live {
  readonly work: Workload;
  readonly seconds: number;
  readonly to: Address;
  readonly iface: Interface;
  readonly path: string;
  private readonly stack: AnyStack;
  private readonly socket: PacketSocket;

  private constructor(stack: AnyStack, options: LiveOptions) {
    const { seconds = 5 } = options;
    this.stack = stack;
    this.to = parsed(options.to);
    this.work = workload({ ...options, family: this.to.isV4 ? 4 : 6 }, 1);
    if (!(seconds > 0 && seconds <= 3_600)) throw new ConfigError(`bench: a run takes up to 3600 seconds, not ${seconds}`);
    if (this.work.flows > FLOWS_MAX) throw new ConfigError(`bench: on a device there are 1 to ${FLOWS_MAX} flows, not ${this.work.flows}`);
    this.seconds = seconds;
    const iface = options.dev === undefined ? [...stack.core.interfaces].find((i) => i.name !== 'lo') : stack.core.interfaces.named(options.dev);
    if (iface == null) throw new ConfigError(`bench: there is no interface ${options.dev ?? 'in the configuration'}`);
    if (iface.neighbors === null) throw new ConfigError(`bench: ${iface.name} is no Ethernet`);
    this.iface = iface;
    const device = options.config.interfaces?.[iface.name]?.device;
    this.path = `packet socket, interface queue, ${device !== undefined && 'type' in device ? `${String(device.type)} ` : ''}${iface.name}`;
    this.socket = stack.core.packets.openSocket();
    this.socket.bind(iface.index);
    this.socket.incoming = this.socket.outgoing = false;
  }

  /** Ready: its interfaces have carrier and their addresses. */
  static async run<T>(options: LiveOptions, body: (live: Live) => Promise<T>): Promise<T> {
    const stack = createStack(options.config, { recorded: 0 });
    try {
      await stack.ready;
      return await body(new Live(stack, options));
    } finally {
      await stack.close();
    }
  }

  get drops(): Readonly<Record<string, number>> {
    return this.stack.core.ctx.counters.dropped();
  }

  /** A UDP socket bound to `port`, 0 for any; `ready` is told when something has come. ConfigError when the port is taken. */
  openUdp(port: number, ready: (socket: UdpSocket) => void): UdpSocket {
    const socket = this.stack.core.udp.openSocket(this.work.family);
    const result = socket.bind(null, port);
    if (result < 0) throw new ConfigError(`bench: UDP port ${port} is taken`);
    socket.onReady = () => ready(socket);
    return socket;
  }

  /** Frames of the template to the station that leads to `to`. */
  async frames(): Promise<FrameMaker> {
    const { sizes, flows, family } = this.work;
    const source = own(this.iface, family).address;
    return template({ sizes, flows, destination: this.to, source, destinationPort: PORT, from: this.iface.mac, to: await this.station() });
  }

  /** The station address of the next hop, asked for as for any packet. */
  async station(): Promise<Uint8Array> {
    const text = formatAddress(this.to);
    const { via, dev } = this.stack.route.get(text);
    const hop = via ?? text;
    await this.stack.ping(text, { count: 1, timeout: PATIENCE_MS }).done.catch(() => {});
    const lladdr = this.stack.neigh.show(dev).find((n) => n.to === hop)?.lladdr;
    if (lladdr == null || dev !== this.iface.name) throw new ConfigError(`bench: no station answers for ${hop} on ${this.iface.name}`);
    return Uint8Array.from(lladdr.split(':'), (octet) => Number.parseInt(octet, 16));
  }

  /** Offers frames until the run is over, as fast as the interface takes them or at `rate` a second, `pace` being when frame i is due, in µs. */
  async offer(make: FrameMaker, count: number, pace: Pace | null): Promise<Moved> {
    const bytes = new Uint8Array(FRAME_MAX);
    const view = new DataView(bytes.buffer);
    const begin = performance.now();
    let octets = 0;
    let sent = 0;
    while (sent < count && performance.now() - begin < this.seconds * 1e3) {
      for (let n = 0; n < BATCH && sent < count; n++) {
        if (pace !== null && pace(sent) > (performance.now() - begin) * 1e3) break;
        const length = make(sent, bytes, view, 0);
        if (length === 0) return { packets: sent, octets };
        const result = this.socket.send(bytes, 0, length, this.iface.index);
        if (result === -Errno.EAGAIN || result === -Errno.ENOBUFS) break;
        if (result < 0) throw new ConfigError(`bench: ${this.iface.name} takes no frames (errno ${-result})`);
        octets += length;
        sent++;
      }
      await turn();
    }
    return { packets: sent, octets };
  }
}

/** When frame or request i is due, in microseconds after the first. */
export type Pace = (i: number) => number;

/** Evenly, `rate` a second; null for 0: as they go. */
export const paceOf = (rate: number): Pace | null => (rate > 0 ? (i) => (i * 1e6) / rate : null);

/** The measured runs, after one to warm up. */
export async function runs(live: Live, body: (warm: boolean) => Promise<Moved>): Promise<Sample[]> {
  await body(true);
  const samples: Sample[] = [];
  for (let i = 0; i < live.work.runs; i++) {
    const end = meter();
    samples.push(end(await body(false)));
  }
  return samples;
}

/** What a report tells of the options: the configuration is a file of its own. */
export const told = ({ config: _config, ...rest }: LiveOptions): Readonly<Record<string, unknown>> => rest;

/** Frames by the template, or by a function of one's own, out of an interface. */
export function genLive(options: LiveOptions, make?: FrameMaker): Promise<Report> {
  return Live.run(options, async (live) => {
    const maker = make ?? (await live.frames());
    const samples = await runs(live, () => live.offer(maker, live.work.count, paceOf(options.rate ?? 0)));
    return report('gen', `template, ${live.path}`, told(options), samples, live.drops);
  });
}

/** The frames of a capture out of an interface: `speed` 1 in the time they were recorded in, 2 in half of it, 0 as fast as they go. To the next hop of `to`, whomever they were for. */
export async function replayLive(file: string, options: LiveOptions & { readonly speed?: number }): Promise<Report> {
  const frames = readFrames(file);
  const { speed = 1 } = options;
  if (!(speed >= 0)) throw new ConfigError(`bench: a replay has a speed of 0 or more, not ${speed}`);
  return Live.run(options, async (live) => {
    const station = await live.station();
    const maker: FrameMaker = (i, into, _view, at) => {
      const { bytes } = frames[i] as (typeof frames)[number];
      into.set(bytes, at);
      into.set(station, at);
      return bytes.length;
    };
    const pace = speed > 0 ? (i: number): number => (frames[i] as (typeof frames)[number]).time / speed : null;
    const samples = await runs(live, () => live.offer(maker, frames.length, pace));
    return report(`replay ${file}`, `capture, ${live.path}`, told(options), samples, live.drops);
  });
}
