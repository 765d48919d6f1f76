/** Requests over a device to a peer that answers: a reflector, an echo service, another stack. */
import type { Histogram } from 'hdr-histogram-js';
import { ConfigError, Errno } from '../base/errors.js';
import { DatagramInfo } from '../net/socket/datagram-queue.js';
import type { UdpSocket } from '../net/socket/udp-socket.js';
import { newHistogram } from './bench.js';
import { Live, type LiveOptions, PATIENCE_MS, paceOf, runs, told, turn } from './live.js';
import { latencies, type Moved, type Report, report } from './measure.js';
import { PORT } from './options.js';

/** Requests that wait for their answers at most; while so many do, none is sent. */
const WAITING_MAX = 4_096;
/** Octets of headers in front of a request's payload, and of the check sequence behind it. */
const AROUND = { 4: 14 + 20 + 8 + 4, 6: 14 + 40 + 8 + 4 } as const;
/** Shortest run of one rate. Milliseconds. */
const TRIAL_MS = 1_000;

/** What becomes of the requests of one run. */
class Requests {
  sent = 0;
  answered = 0;
  octets = 0;
  private readonly socket: UdpSocket;
  /** When each that waits was due, by its number. */
  private readonly due = new Map<number, number>();
  private readonly payload: Uint8Array;
  private readonly view: DataView;
  private readonly into = new Uint8Array(2_048);
  private readonly info = new DatagramInfo();
  private readonly live: Live;
  private readonly port: number;
  /** Told of the µs each answer took. */
  private readonly heard: (ns: number) => void;

  constructor(live: Live, port: number, heard: (ns: number) => void) {
    this.live = live;
    this.port = port;
    this.heard = heard;
    this.payload = new Uint8Array(Math.max(4, (live.work.sizes[0] as number) - AROUND[live.work.family]));
    this.view = new DataView(this.payload.buffer);
    this.socket = live.openUdp(0, () => this.answers());
  }

  get waiting(): number {
    return this.due.size;
  }

  /** One request, due at `due` (performance.now). False when it could not go now. */
  send(due: number): boolean {
    if (this.due.size >= WAITING_MAX) return false;
    this.view.setUint32(0, this.sent);
    const result = this.socket.sendTo(this.payload, 0, this.payload.length, this.live.to, this.port);
    if (result === -Errno.EAGAIN || result === -Errno.ENOBUFS) return false;
    if (result < 0) throw new ConfigError(`bench: no request can be sent (errno ${-result})`);
    this.due.set(this.sent++, due);
    this.octets += this.payload.length + AROUND[this.live.work.family];
    return true;
  }

  /** Those due before `time` are lost. */
  forget(time: number): void {
    for (const [number, due] of this.due) {
      if (due >= time) break;
      this.due.delete(number);
    }
  }

  private answers(): void {
    // An ICMP error says that nobody listens: the requests are lost.
    this.socket.takeError();
    for (let n = this.next(); n >= 0; n = this.next()) {
      if (n < 4) continue;
      const number = new DataView(this.into.buffer).getUint32(0);
      const due = this.due.get(number);
      if (due === undefined) continue;
      this.due.delete(number);
      this.answered++;
      this.heard((performance.now() - due) * 1e6);
    }
  }

  private next(): number {
    return this.socket.receive(this.into, 0, this.into.length, this.info);
  }

  close(): void {
    this.socket.close();
  }
}

/** One run: `rate` requests a second, or, for 0, the next when the last is answered or lost. */
async function ask(
  live: Live,
  port: number,
  rate: number,
  count: number,
  seconds: number,
  histogram: Histogram | null,
): Promise<Moved & { lost: number }> {
  const requests = new Requests(live, port, (ns) => histogram?.recordValue(Math.min(1e10, Math.max(1, Math.round(ns)))));
  const pace = paceOf(rate);
  const begin = performance.now();
  const late = (): boolean => performance.now() - begin > seconds * 1e3;
  while (requests.sent < count && !late()) {
    const now = performance.now();
    requests.forget(now - PATIENCE_MS);
    if (pace === null) {
      if (requests.waiting === 0) requests.send(now);
    } else {
      while (requests.sent < count && begin + pace(requests.sent) / 1e3 <= performance.now())
        if (!requests.send(begin + pace(requests.sent) / 1e3)) break;
    }
    await turn();
  }
  for (const end = performance.now() + PATIENCE_MS; requests.waiting > 0 && performance.now() < end; ) await turn();
  requests.close();
  return { packets: requests.answered, octets: requests.octets, lost: requests.sent - requests.answered };
}

/** Requests to `to`, answered by its UDP echo or reflector, with latencies from when each was due (no coordinated omission). */
export function rrLive(options: LiveOptions): Promise<Report & { readonly lost: number }> {
  const { rate = 0, port = PORT } = options;
  return Live.run({ count: 20_000, ...options }, async (live) => {
    const histogram = newHistogram();
    let lost = 0;
    const samples = await runs(live, async (warm) => {
      const moved = await ask(live, port, rate, live.work.count, live.seconds, warm ? null : histogram);
      if (warm && moved.packets === 0) throw new ConfigError(`bench: nobody answers on UDP port ${port} of ${options.to}`);
      if (!warm) lost += moved.lost;
      return moved;
    });
    const result = report('rr', `UDP socket, ${live.path}, and back`, told(options), samples, live.drops);
    return { ...result, latency: latencies(histogram), lost };
  });
}

/** RFC 2544 §26.1: the greatest rate at which all requests are answered, by bisection below `top` a second, to one part in fifty. */
export function searchLive(options: LiveOptions & { readonly top?: number }): Promise<Report & { readonly zeroLossRate: number }> {
  const { port = PORT, top = 1e6 } = options;
  return Live.run(options, async (live) => {
    const seconds = Math.min(live.seconds, TRIAL_MS / 1e3);
    const trial = (rate: number): Promise<Moved & { lost: number }> => ask(live, port, rate, Math.ceil(rate * seconds), 2 * seconds, null);
    const fastest = await trial(top);
    if (fastest.packets === 0) throw new ConfigError(`bench: nobody answers on UDP port ${port} of ${options.to}`);
    let low = 0;
    let high = Math.min(top, (2 * fastest.packets) / seconds);
    while (high - low > high / 50) {
      const rate = (low + high) / 2;
      const { lost, packets } = await trial(rate);
      // Fewer than were due: they could not even be sent in their time.
      if (lost === 0 && packets >= Math.floor(rate * seconds)) low = rate;
      else high = rate;
    }
    const samples = await runs(live, () => ask(live, port, low, Math.ceil(low * seconds), 2 * seconds, null));
    return { ...report('search', `UDP socket, ${live.path}, and back`, told(options), samples, live.drops), zeroLossRate: low };
  });
}
