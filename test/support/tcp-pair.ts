import assert from 'node:assert/strict';
import { copyPacket, type Packet } from '#src/base/packet.js';
import { Page } from '#src/base/page.js';
import { Prng } from '#src/base/prng.js';
import type { Micros } from '#src/base/time.js';
import { VirtualClock, VirtualHost } from '#src/hyper/virtual-host.js';
import { Context } from '#src/net/context.js';
import { Ready } from '#src/net/socket/socket.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { Sysctl } from '#src/net/sysctl.js';
import { Tcp } from '#src/net/tcp/tcp.js';
import * as wire from '#src/wire/tcp.js';
import { pattern } from './tcp-bench.js';
import { addresses, FakeIp } from './tcp-fake-ip.js';

/** The path between two TCPs. One direction's segments share one queue. */
export interface PathOptions {
  /** One way, µs. */
  delay?: Micros;
  /** Added at random, up to this: reorders. */
  jitter?: Micros;
  /** Probabilities of each segment. */
  loss?: number;
  duplicate?: number;
  /** Octets per second; 0 for no limit. */
  rate?: number;
  /** Segments of 1,500 octets that may wait at `rate`. */
  queue?: number;
  /** Segments stay as large as sent, instead of being cut to MSS. */
  whole?: boolean;
  /** Loses a segment when it answers true, after the n-th. */
  lose?: (n: number, end: Side) => boolean;
}

export interface PairOptions extends PathOptions {
  family?: 4 | 6;
  seed?: number;
  sysctl?: Record<string, unknown>;
  mtu?: number;
  clock?: VirtualClock;
}

export type Side = 'a' | 'b';

/** One end: a TCP on the shared clock. */
export class End {
  readonly host: VirtualHost;
  readonly ctx: Context;
  readonly ip: FakeIp;
  readonly tcp: Tcp;
  readonly side: Side;
  segments = 0;

  constructor(side: Side, o: PairOptions, clock: VirtualClock) {
    this.side = side;
    this.host = new VirtualHost({ clock, seed: (o.seed ?? 1) * 2 + (side === 'a' ? 0 : 1) });
    this.ctx = new Context(side, this.host, new Sysctl('linux', o.sysctl ?? {}));
    const which = side === 'a' ? 'local' : 'remote';
    this.ip = new FakeIp(o.mtu ?? 1_500, [addresses[4][which], addresses[6][which]]);
    this.tcp = new Tcp(this.ctx, this.ip);
    this.host.attach(() => this.poll());
  }

  poll(input?: () => void): void {
    const { ctx } = this;
    ctx.now = this.host.monotonic();
    ctx.polling = true;
    input?.();
    ctx.wheel.advance(ctx.now, this.tcp);
    this.tcp.egress();
    ctx.polling = false;
    ctx.deliver();
    this.host.wakeAt(ctx.wheel.next());
  }
}

/** Two TCPs and a path with faults between them, on one virtual clock, from one seed. */
export class Pair {
  readonly clock: VirtualClock;
  readonly a: End;
  readonly b: End;
  readonly family: 4 | 6;
  readonly prng: Prng;
  path: PathOptions;
  private readonly busyUntil = { a: 0, b: 0 };
  inFlight = 0;

  constructor(o: PairOptions = {}) {
    this.clock = o.clock ?? new VirtualClock();
    this.family = o.family ?? 4;
    this.path = o;
    this.prng = new Prng(o.seed ?? 1);
    this.a = new End('a', o, this.clock);
    this.b = new End('b', o, this.clock);
    this.a.ip.sink = (packet) => this.carry(packet, this.a, this.b);
    this.b.ip.sink = (packet) => this.carry(packet, this.b, this.a);
  }

  /** b listens, a connects; both sockets, once established. */
  connect(port = 80): [TcpSocket, TcpSocket] {
    const listener = this.b.tcp.openSocket(this.family);
    assert.equal(listener.bind(null, port), 0);
    assert.equal(listener.listen(10), 0);
    const client = this.a.tcp.openSocket(this.family);
    client.onReady = () => {};
    assert.equal(client.connect(addresses[this.family].remote, port), -115);
    let server: TcpSocket | null = null;
    for (let i = 0; i < 200_000 && (server === null || client.state !== 'ESTABLISHED'); i++) {
      server ??= listener.accept();
      if (!this.clock.step()) break;
    }
    server ??= listener.accept();
    assert.ok(server !== null, 'the connection is accepted');
    listener.close();
    return [client, server];
  }

  /** Everything is quiet and nothing is held. */
  end(): void {
    for (const { ctx, tcp } of [this.a, this.b]) {
      tcp.fail(0);
      assert.equal(ctx.pool.held, 0, 'packets held');
      assert.equal(ctx.slab.held, 0, 'slots held');
      assert.equal(ctx.chunks.held, 0, 'chunks held');
      assert.equal(tcp.sentPool.used, 0, 'records held');
      assert.equal(tcp.flows.count, 0, 'flows held');
      assert.equal(ctx.wheel.armed, 0, 'timers armed');
    }
  }

  private carry(packet: Packet, from: End, to: End): void {
    const all = new Uint8Array(packet.length);
    copyPacket(packet, all, 0);
    const { view } = new Page(all);
    const header = wire.headerLength(view, 0);
    const size = packet.gsoSize > 0 && this.path.whole !== true ? packet.gsoSize : all.length;
    const flags = wire.flags(view, 0);
    const { source, destination } = packet;
    const gsoSize = packet.gsoSize;
    const tos = packet.trafficClass;
    packet.release();
    for (let at = header; at === header || at < all.length; at += size) {
      const end = Math.min(all.length, at + size);
      const octets = new Uint8Array(header + end - at);
      octets.set(all.subarray(0, header));
      octets.set(all.subarray(at, end), header);
      const v = new DataView(octets.buffer);
      wire.setSeq(v, 0, (wire.seq(view, 0) + at - header) | 0);
      if (end < all.length) wire.setFlags(v, 0, flags & ~(wire.Flag.Fin | wire.Flag.Psh));
      wire.finishSegment(v, 0, octets.length, source, destination);
      this.send(octets, from, to, gsoSize, tos);
    }
  }

  private send(octets: Uint8Array, from: End, to: End, gsoSize: number, tos: number): void {
    const { path, prng } = this;
    from.segments++;
    if (path.lose?.(from.segments, from.side) === true || prng.float() < (path.loss ?? 0)) return;
    const { now } = this.clock;
    let at = now;
    if (path.rate !== undefined && path.rate > 0) {
      const start = Math.max(now, this.busyUntil[from.side]);
      const each = ((octets.length + 40) * 1e6) / path.rate;
      if (((start - now) * path.rate) / 1e6 > (path.queue ?? 1_000) * 1_500) return;
      at = this.busyUntil[from.side] = start + each;
    }
    const copies = prng.float() < (path.duplicate ?? 0) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const due = at + (path.delay ?? 0) + (path.jitter !== undefined ? prng.float() * path.jitter : 0);
      this.inFlight++;
      this.clock
        .alarm(() => {
          this.inFlight--;
          this.deliver(octets, from, to, gsoSize, tos);
        })
        .set(due);
    }
  }

  private deliver(octets: Uint8Array, from: End, to: End, gsoSize: number, tos: number): void {
    to.poll(() => {
      const packet = (octets.length > 1_800 ? to.ctx.pool.from(to.ctx.chunks) : to.ctx.packet()) as Packet;
      assert.ok(packet !== null, 'memory for a packet');
      packet.bytes.set(octets, packet.head);
      packet.tail = packet.head + octets.length;
      packet.source.copy(from.ip.own[this.family === 4 ? 0 : 1] as never);
      packet.destination.copy(to.ip.own[this.family === 4 ? 0 : 1] as never);
      packet.family = this.family;
      packet.protocol = 6;
      packet.inIndex = 1;
      packet.gsoSize = this.path.whole === true ? gsoSize : 0;
      packet.trafficClass = tos;
      to.tcp.input(packet);
    });
  }
}

/** What a transfer came to. */
export interface Transfer {
  /** Virtual time it took. */
  took: Micros;
  retransmitted: number;
  octets: number;
}

/** `from` sends `octets` octets of the pattern and closes, `to` reads to the end: in order, once, none missing. */
export function transfer(pair: Pair, from: TcpSocket, to: TcpSocket, octets: number, chunk = 100_000, limit: Micros = 3_600e6): Transfer {
  const start = pair.clock.now;
  let written = 0;
  let readSoFar = 0;
  let ended = false;
  let shut = false;
  const into = new Uint8Array(65_536);
  // The pattern repeats every 65,536 octets: made once, compared in place.
  const all = pattern(0, 65_536 + Math.max(chunk, 65_536));
  const push = (): void => {
    while (written < octets) {
      if ((from.readiness() & Ready.Writable) === 0) return;
      const n = from.write(all, written & 65_535, Math.min(chunk, octets - written, Math.max(1, from.writableSpace)));
      if (n <= 0) {
        assert.equal(n, -11, `write answers ${n}`);
        return;
      }
      written += n;
    }
    if (!shut) from.shutdown('write');
    shut = true;
  };
  const pull = (): void => {
    for (;;) {
      const n = to.read(into);
      if (n === 0) ended = true;
      if (n <= 0) {
        assert.ok(n === 0 || n === -11, `read answers ${n}`);
        return;
      }
      const at = readSoFar & 65_535;
      assert.equal(Buffer.compare(into.subarray(0, n), all.subarray(at, at + n)), 0, `octets at ${readSoFar} are those of their place`);
      readSoFar += n;
    }
  };
  from.onReady = push;
  to.onReady = pull;
  push();
  const retransmittedBefore = from.info()?.total_retrans ?? 0;
  let last = retransmittedBefore;
  while (!ended && pair.clock.now - start < limit) {
    last = from.info()?.total_retrans ?? last;
    if (!pair.clock.step()) break;
  }
  assert.ok(ended, `all came: ${readSoFar} of ${octets} octets, sender ${from.state} ${JSON.stringify(from.info())}`);
  assert.equal(readSoFar, octets);
  return { took: pair.clock.now - start, retransmitted: last - retransmittedBefore, octets };
}
