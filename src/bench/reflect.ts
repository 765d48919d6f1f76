import { ConfigError } from '../base/errors.js';
import type { Config } from '../config/config.js';
import { createStack } from '../index.js';
import { DatagramInfo } from '../net/socket/datagram-queue.js';
import { FrameInfo } from '../net/socket/packet-socket.js';
import type { UdpSocket } from '../net/socket/udp-socket.js';
import * as ethernet from '../wire/ethernet.js';
import * as ipv4 from '../wire/ipv4.js';
import * as ipv6 from '../wire/ipv6.js';
import { Protocol } from '../wire/protocol.js';
import * as udp from '../wire/udp.js';
import { meter, type Report, report } from './measure.js';
import { PORT } from './options.js';

/** What a reflector takes. */
export interface ReflectOptions {
  readonly config: Config;
  /** Interface that reflects. Default: all. */
  readonly dev?: string;
  /** UDP port of the frames that go back. Default 9. */
  readonly port?: number;
  /** It ends when so many have gone back, or after so many seconds. Default: 60 seconds; at most 86,400. */
  readonly count?: number;
  readonly seconds?: number;
  /** Ends it as well. */
  readonly signal?: AbortSignal;
}

const FRAME_MAX = 1_518;

/** Sends UDP frames for a port of ours back, addresses and ports exchanged: the far end of rr, search, and generators of other people. */
export async function reflect(options: ReflectOptions, serving: () => void = () => {}): Promise<Report> {
  const { seconds = 60, count = Number.POSITIVE_INFINITY, port = PORT, dev } = options;
  if (!(seconds > 0 && seconds <= 86_400)) throw new ConfigError(`bench: a reflector stands for up to 86400 seconds, not ${seconds}`);
  const stack = createStack(options.config, { recorded: 0 });
  try {
    await stack.ready;
    const { core } = stack;
    const index = dev === undefined ? 0 : core.interfaces.named(dev)?.index;
    if (index === undefined) throw new ConfigError(`bench: there is no interface ${dev}`);
    // A socket on the port keeps the stack from answering that there is none.
    sink(core.udp.openSocket(46), port);
    const socket = core.packets.openSocket();
    socket.bind(index);
    socket.outgoing = false;
    const bytes = new Uint8Array(FRAME_MAX);
    const view = new DataView(bytes.buffer);
    const info = new FrameInfo();
    const moved = { packets: 0, octets: 0 };
    socket.filter = (given, start, end) =>
      end - start <= FRAME_MAX && ours(new DataView(given.buffer, given.byteOffset), start, end, port) ? end - start : 0;
    let timer: NodeJS.Timeout | undefined;
    const done = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, seconds * 1e3);
      options.signal?.addEventListener('abort', () => resolve(), { once: true });
      socket.onReady = () => {
        for (let n = socket.receive(bytes, 0, FRAME_MAX, info); n >= 0; n = socket.receive(bytes, 0, FRAME_MAX, info)) {
          exchange(bytes, view);
          if (moved.packets >= count || socket.send(bytes, 0, n, info.index) < 0) continue;
          moved.octets += n;
          if (++moved.packets >= count) resolve();
        }
      };
    });
    serving();
    const end = meter();
    await done;
    clearTimeout(timer);
    const sample = end(moved);
    return report('reflect', 'device, Ethernet, packet socket, and back', { port, seconds }, [sample], core.ctx.counters.dropped());
  } finally {
    await stack.close();
  }
}

/** Takes what comes and forgets it. */
export function sink(socket: UdpSocket, port: number): void {
  const into = new Uint8Array(0);
  const info = new DatagramInfo();
  if (socket.bind(null, port) < 0) throw new ConfigError(`bench: UDP port ${port} is taken`);
  socket.onReady = () => {
    while (socket.receive(into, 0, 0, info) >= 0);
  };
}

/** A whole UDP datagram in a plain frame, for the port. */
function ours(view: DataView, start: number, end: number, port: number): boolean {
  const ip = start + ethernet.HEADER_LEN;
  const transport = udpAt(view, start, end);
  return transport > ip && transport + udp.HEADER_LEN <= end && udp.destinationPort(view, transport) === port;
}

/** Where UDP begins, −1 where it does not. */
function udpAt(view: DataView, start: number, end: number): number {
  const ip = start + ethernet.HEADER_LEN;
  if (ip + ipv6.HEADER_LEN > end && ip + ipv4.HEADER_LEN > end) return -1;
  switch (ethernet.type(view, start)) {
    case ethernet.EtherType.Ipv4:
      return ipv4.protocol(view, ip) === Protocol.Udp && !ipv4.isFragment(view, ip) ? ip + ipv4.headerLength(view, ip) : -1;
    case ethernet.EtherType.Ipv6:
      return ip + ipv6.HEADER_LEN <= end && ipv6.nextHeader(view, ip) === Protocol.Udp ? ip + ipv6.HEADER_LEN : -1;
    default:
      return -1;
  }
}

/** Stations, addresses and ports change places; no checksum changes by that (RFC 1071 §2). */
function exchange(bytes: Uint8Array, view: DataView): void {
  const ip = ethernet.HEADER_LEN;
  const v4 = ethernet.type(view, 0) === ethernet.EtherType.Ipv4;
  swap(bytes, 0, 6, 6);
  if (v4) swap(bytes, ip + 12, ip + 16, 4);
  else swap(bytes, ip + 8, ip + 24, 16);
  const transport = v4 ? ip + ipv4.headerLength(view, ip) : ip + ipv6.HEADER_LEN;
  swap(bytes, transport, transport + 2, 2);
}

function swap(bytes: Uint8Array, a: number, b: number, octets: number): void {
  const kept = bytes.slice(a, a + octets);
  bytes.copyWithin(a, b, b + octets);
  bytes.set(kept, b);
}
