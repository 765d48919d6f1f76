import type { Histogram } from 'hdr-histogram-js';
import { build } from 'hdr-histogram-js';
import { DatagramInfo } from '../net/socket/datagram-queue.js';
import { readFrames } from './capture-frames.js';
import type { FrameMaker } from './frames.js';
import { latencies, type Report, report, type Sample, sample } from './measure.js';
import { type BenchOptions, PORT, type Workload, workload } from './options.js';
import { BATCH, PLAIN_FAR, parsed, Subject } from './subject.js';

/** Where generated frames go: into a socket, back to the sender, or through the stack. */
export type GenPath = 'sink' | 'echo' | 'forward';

/** What packets cross on each path. */
const PARTS: Readonly<Record<GenPath, string>> = {
  sink: 'memory link, Ethernet, IP, UDP, socket',
  echo: 'memory link, Ethernet, IP, UDP, socket, and back',
  forward: 'memory link, Ethernet, IP forwarding, memory link',
};

/** A subject with what a path needs, and the frames for it. */
function prepare(path: GenPath, work: Workload, options: BenchOptions): { subject: Subject; frames: FrameMaker; taken: { count: number } | null } {
  const subject = new Subject(path === 'forward', work, options);
  const taken = path === 'forward' ? null : serve(subject, path, work.family);
  const to = path === 'forward' ? parsed(options.to ?? PLAIN_FAR[work.family]) : subject.own(work.family);
  return { subject, frames: subject.frames(to, work), taken };
}

/** Generates frames by the template, or by a function of one's own, into a stack in memory as fast as it takes them. */
export async function gen(path: GenPath, options: BenchOptions = {}, make?: FrameMaker): Promise<Report> {
  const work = workload(options, BATCH);
  const { subject, frames, taken } = prepare(path, work, options);
  const body = (packets: number) => (): { packets: number; octets: number } => {
    subject.octets = subject.received = 0;
    if (taken !== null) taken.count = 0;
    for (let i = 0; i < packets; i += BATCH) {
      if (!subject.send(make ?? frames, i, Math.min(packets, i + BATCH))) break;
      subject.take(path !== 'forward');
    }
    return { packets: path === 'sink' ? (taken?.count ?? 0) : subject.received, octets: subject.octets };
  };
  body(Math.max(BATCH, work.count >> 2))();
  const samples = Array.from({ length: work.runs }, () => sample(body(work.count)));
  return end(`gen ${path}`, PARTS[path], options, samples, subject);
}

async function end(bench: string, path: string, options: BenchOptions, samples: readonly Sample[], subject: Subject): Promise<Report> {
  const whole = options.config === undefined ? path : `${path}, as configured`;
  const { config: _config, ...told } = options;
  const result = report(bench, whole, told, samples, subject.stack.core.ctx.counters.dropped());
  await subject.close();
  return result;
}

/** A UDP socket that takes everything, and sends it back when asked to. */
function serve(subject: Subject, path: GenPath, family: 4 | 6): { count: number } {
  const socket = subject.stack.core.udp.openSocket(family);
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
export async function rr(options: BenchOptions & { readonly rate?: number } = {}): Promise<Report> {
  const work = workload({ count: 20_000, ...options }, BATCH);
  const { rate = 0 } = options;
  const { subject, frames } = prepare('echo', work, options);
  const histogram = newHistogram();
  const once = (packets: number, counted: boolean) => (): { packets: number; octets: number } => {
    subject.received = subject.octets = 0;
    const begin = performance.now();
    for (let i = 0; i < packets; i++) {
      let due = performance.now();
      if (rate > 0) {
        due = begin + (i * 1e3) / rate;
        while (performance.now() < due); // the schedule, not the answers, sets the pace
      }
      subject.send(frames, i, i + 1);
      subject.take(true);
      if (counted) histogram.recordValue(Math.max(1, Math.round((performance.now() - due) * 1e6)));
    }
    return { packets: subject.received, octets: subject.octets };
  };
  once(Math.max(BATCH, work.count >> 2), false)();
  const samples = Array.from({ length: work.runs }, () => sample(once(work.count, true)));
  const result = await end('rr', `${PARTS.echo}, one at a time`, options, samples, subject);
  return { ...result, latency: latencies(histogram) };
}

/** Latencies in ns, from 1 ns to 10 s, to three digits. */
export const newHistogram = (): Histogram =>
  build({ lowestDiscernibleValue: 1, highestTrackableValue: 10_000_000_000, numberOfSignificantValueDigits: 3 });

/** The frames of a capture file (pcap or pcapng, Ethernet) into a stack that forwards, as fast as it takes them. */
export async function replay(file: string, options: BenchOptions = {}): Promise<Report> {
  const work = workload(options, 1);
  const frames = readFrames(file);
  const subject = new Subject(true, work, options);
  // The next hop is known, as far as there is one in advance.
  if (options.to !== undefined || options.config === undefined) subject.frames(parsed(options.to ?? PLAIN_FAR[4]), work);
  const maker: FrameMaker = (i, into, _view, at) => {
    const { bytes } = frames[i % frames.length] as (typeof frames)[number];
    into.set(bytes, at);
    into.set(subject.mac, at); // for the stack under test, whomever it was for
    return bytes.length;
  };
  const rounds = Math.max(1, Math.ceil((options.count ?? frames.length) / frames.length)) * frames.length;
  const body = (packets: number) => (): { packets: number; octets: number } => {
    subject.octets = 0;
    for (let i = 0; i < packets; i += BATCH) {
      subject.send(maker, i, Math.min(packets, i + BATCH));
      subject.take(false);
    }
    return { packets, octets: subject.octets };
  };
  body(frames.length)();
  const samples = Array.from({ length: work.runs }, () => sample(body(rounds)));
  return end(`replay ${file}`, 'memory link, Ethernet, IP input or forwarding', options, samples, subject);
}

/** RFC 2544 §26.1's throughput: the greatest rate without loss, by bisection between 0 and `top` packets/s, to one part in a hundred. */
export async function search(
  path: GenPath,
  options: BenchOptions & { readonly top?: number } = {},
): Promise<Report & { readonly zeroLossRate: number }> {
  const work = workload({ count: 50_000, ...options }, BATCH);
  const fastest = await gen(path, { ...options, runs: 3, count: work.count });
  let low = 0;
  let high = options.top ?? (fastest.figures['packets/s']?.greatest as number) * 1.5;
  const { subject, frames } = prepare(path, work, options);
  while (high - low > high / 100) {
    const rate = (low + high) / 2;
    if (lossless(subject, frames, path !== 'forward', rate, work.count)) low = rate;
    else high = rate;
  }
  await subject.close();
  return { ...fastest, bench: `search ${path}`, zeroLossRate: low };
}

/** Offers frames by the clock; a frame that could not be offered in its time, for more than a queue's worth, is lost. */
function lossless(subject: Subject, maker: FrameMaker, back: boolean, rate: number, count: number): boolean {
  const QUEUE = 1_000;
  const begin = performance.now();
  for (let i = 0; i < count; ) {
    const due = Math.min(count, Math.floor(((performance.now() - begin) * rate) / 1e3));
    if (due - i > QUEUE) return false;
    if (due === i) continue;
    const next = Math.min(due, i + BATCH);
    subject.send(maker, i, next);
    subject.take(back);
    i = next;
  }
  return true;
}
