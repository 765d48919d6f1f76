import assert from 'node:assert/strict';
import type { Address } from '#src/base/address.js';
import { fold } from '#src/base/checksum.js';
import { dropNames } from '#src/base/drops.js';
import { Checksum, copyPacket, type Packet } from '#src/base/packet.js';
import { Page } from '#src/base/page.js';
import type { Micros } from '#src/base/time.js';
import { VirtualClock, VirtualHost } from '#src/hyper/virtual-host.js';
import { Context } from '#src/net/context.js';
import type { IcmpError } from '#src/net/ip/service.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { Sysctl } from '#src/net/sysctl.js';
import { stateNames } from '#src/net/tcp/states.js';
import type { Tcb } from '#src/net/tcp/tcb.js';
import { Tcp } from '#src/net/tcp/tcp.js';
import * as wire from '#src/wire/tcp.js';
import { parseOptions, putOptions, putSynOptions, TcpOptions } from '#src/wire/tcp-options.js';
import { pseudoSum } from '#src/wire/transport-checksum.js';
import { addresses, FakeIp } from './tcp-fake-ip.js';
import { flagBits, letters, normal } from './tcp-flags.js';

/** A segment of a test: what is not given has its default when sent, and is not looked at when expected. Numbers count from each side's ISN as 0. */
export interface TestSegment {
  seq?: number;
  ack?: number;
  /** Letters of S F R P U E W and A (or '.') for ACK; 'A' when left out. P is not looked at unless given. */
  flags?: string;
  wnd?: number;
  /** Text, or a count of octets of the stream's pattern (see `pattern`). */
  data?: string | number | Uint8Array;
  up?: number;
  mss?: number;
  wscale?: number;
  sackOk?: boolean;
  /** [TSval, TSecr]. TSecr 'echo' is the last TSval we sent. */
  ts?: [number, number | 'echo'] | null;
  sack?: [number, number][];
  cookie?: number[]; // of Fast Open; [] asks for one
  cookieExperimental?: boolean;
  ce?: boolean;
  ect?: boolean;
}

/** What came out, in the same terms. */
export interface Sent {
  seq: number;
  ack: number;
  flags: string;
  wnd: number;
  data: Uint8Array;
  up: number;
  options: TcpOptions;
  trafficClass: number;
  time: Micros;
  fromPort: number;
  toPort: number;
}

export interface BenchOptions {
  family?: 4 | 6;
  sysctl?: Record<string, unknown>;
  mtu?: number;
  seed?: number;
}

/** Octets whose values follow from their place, so that a test sees what was lost or doubled. */
export function pattern(from: number, length: number): Uint8Array {
  const data = new Uint8Array(length);
  for (let i = 0; i < length; i++) data[i] = ((from + i) * 7 + ((from + i) >>> 8)) & 0xff;
  return data;
}

/** One TCP on virtual time, whose peer is the test. */
export class TcpBench {
  readonly family: 4 | 6;
  readonly clock = new VirtualClock();
  readonly host: VirtualHost;
  readonly ctx: Context;
  readonly ip: FakeIp;
  readonly tcp: Tcp;
  readonly local: Address;
  readonly remote: Address;
  localPort = 8080;
  remotePort = 4000;
  socket: TcpSocket;
  /** ISNs, absolute. The peer's lies shortly before the wrap, so that every test crosses it. */
  iss = 0;
  irs = -50;
  /** Added to what tests say: first data octet of each side is base + 1. */
  sndBase = 0;
  rcvBase = 0;
  /** Window and next numbers of the peer: defaults of rx. */
  peer = { seq: 1, ack: 1, wnd: 65_535, ts: 1_000, timestamps: false };
  readonly sent: Sent[] = [];
  /** Our next sequence number, for tests that walk through states. */
  nxt = 1;
  private readonly seenDrops: Float64Array;

  constructor(options: BenchOptions = {}) {
    this.family = options.family ?? 4;
    this.host = new VirtualHost({ clock: this.clock, seed: options.seed ?? 1 });
    this.ctx = new Context('bench', this.host, new Sysctl('linux', options.sysctl ?? {}));
    this.local = addresses[this.family].local;
    this.remote = addresses[this.family].remote;
    this.ip = new FakeIp(options.mtu ?? 1_500, [addresses[4].local, addresses[6].local]);
    this.tcp = new Tcp(this.ctx, this.ip);
    this.ip.sink = (packet) => this.took(packet);
    this.host.attach(() => this.poll());
    this.socket = this.tcp.openSocket(this.family);
    this.seenDrops = new Float64Array(this.ctx.counters.drops.length);
  }

  get tcb(): Tcb {
    return this.socket.tcb as Tcb;
  }

  get state(): string {
    return this.socket.tcb === null ? this.socket.state : (stateNames[this.tcb.state] as string);
  }

  /** All phases, until nothing is pending at this instant. */
  poll(input?: () => void): void {
    const { ctx } = this;
    ctx.now = this.clock.now;
    ctx.polling = true;
    input?.();
    ctx.wheel.advance(ctx.now, this.tcp);
    this.tcp.egress();
    ctx.polling = false;
    ctx.deliver();
    this.host.wakeAt(ctx.wheel.next());
  }

  /** Something the application does, and what follows at once. */
  app<T>(action: () => T): T {
    this.ctx.now = this.clock.now;
    const result = action();
    this.clock.run(this.clock.now);
    return result;
  }

  /** Time goes by. */
  after(span: Micros): void {
    this.clock.advance(span);
  }

  write(data: string | number | Uint8Array): number {
    const octets = this.octets(data, this.written);
    const n = this.app(() => this.socket.write(octets));
    if (n > 0) this.written += n;
    return n;
  }

  read(max = 1_000_000): Uint8Array {
    const into = new Uint8Array(max);
    const n = this.app(() => this.socket.read(into));
    return n > 0 ? into.slice(0, n) : new Uint8Array(0);
  }

  /** Reads once and returns the bare result. */
  readResult(): number {
    return this.app(() => this.socket.read(new Uint8Array(1)));
  }

  /** The peer sends. */
  rx(segment: TestSegment): void {
    const packet = this.build(segment);
    this.poll(() => this.tcp.input(packet));
    this.clock.run(this.clock.now);
  }

  /** The next segment sent is this one. Returns it. */
  tx(expected: TestSegment): Sent {
    const sent = this.sent.shift();
    assert.ok(sent !== undefined, `a segment ${JSON.stringify(expected)} was expected, nothing was sent`);
    const flags = (expected.flags ?? 'A').replace('.', 'A');
    const got: Record<string, unknown> = { flags: normal(flags.includes('P') ? sent.flags : sent.flags.replace('P', '')) };
    const want: Record<string, unknown> = { flags: normal(flags) };
    const look = (name: string, value: unknown, wanted: unknown): void => {
      if (wanted === undefined) return;
      got[name] = value;
      want[name] = wanted;
    };
    look('seq', sent.seq, expected.seq);
    look('ack', sent.ack, expected.ack);
    look('wnd', sent.wnd, expected.wnd);
    look('up', sent.up, expected.up);
    look('mss', sent.options.mss, expected.mss);
    look('wscale', sent.options.windowScale, expected.wscale);
    look('sackOk', sent.options.sackPermitted, expected.sackOk);
    look('ect', (sent.trafficClass & 3) !== 0, expected.ect);
    if (expected.sack !== undefined) look('sack', this.blocks(sent.options), expected.sack);
    if (expected.data === undefined) look('length', sent.data.length, 0);
    else look('length', sent.data.length, typeof expected.data === 'number' ? expected.data : expected.data.length);
    assert.deepEqual(got, want);
    if (typeof expected.data === 'number')
      assert.deepEqual(sent.data, pattern(sent.seq - this.sndBase - 1, expected.data), 'the octets are those of their place');
    else if (typeof expected.data === 'string') assert.equal(Buffer.from(sent.data).toString('latin1'), expected.data);
    return sent;
  }

  /** Nothing more was sent. */
  quiet(): void {
    assert.deepEqual(
      this.sent.map((s) => ({ seq: s.seq, ack: s.ack, flags: s.flags, length: s.data.length })),
      [],
      'silence',
    );
  }

  /** Since the last look exactly these were dropped, for these reasons. */
  dropped(...names: string[]): void {
    const { drops } = this.ctx.counters;
    const got: string[] = [];
    drops.forEach((n, i) => {
      for (let k = this.seenDrops[i] as number; k < n; k++) got.push(dropNames[i] as string);
    });
    this.seenDrops.set(drops);
    assert.deepEqual(got.sort(), names.sort(), 'drops');
  }

  /** The connection has gone, and nothing of it is left: no packet, slot, chunk, record or timer. */
  end(): void {
    this.app(() => {
      this.socket.abort();
      this.tcp.fail(0);
    });
    assert.equal(this.ctx.pool.held, 0, 'packets held');
    assert.equal(this.ctx.slab.held, 0, 'slots held');
    assert.equal(this.ctx.chunks.held, 0, 'chunks held');
    assert.equal(this.tcp.sentPool.used, 0, 'records held');
    assert.equal(this.tcp.flows.count, 0, 'flows held');
    assert.equal(this.ctx.wheel.armed, 0, 'timers armed');
  }

  /** ICMP says this of our segment that begins at `seq`. */
  icmp(error: Partial<IcmpError> & { seq: number }): void {
    const view = new DataView(new ArrayBuffer(8));
    view.setUint16(0, this.localPort);
    view.setUint16(2, this.remotePort);
    view.setInt32(4, (this.iss + error.seq - this.sndBase) | 0);
    this.poll(() =>
      this.tcp.error({
        family: this.family,
        kind: 'unreachable',
        code: 1,
        errno: 113,
        hard: false,
        mtu: 0,
        from: this.remote,
        inIndex: 1,
        source: this.local,
        destination: this.remote,
        protocol: 6,
        sourcePort: this.localPort,
        destinationPort: this.remotePort,
        view,
        at: 0,
        end: 8,
        ...error,
      }),
    );
    this.clock.run(this.clock.now);
  }

  /** Listens on localPort. The bench's socket is then the listener, until `accepted`. */
  listen(backlog = 16): void {
    assert.equal(this.socket.bind(null, this.localPort), 0);
    assert.equal(this.socket.listen(backlog), 0);
  }

  /** Takes the next connection as the bench's socket; the listener is returned. */
  accepted(): TcpSocket {
    const listener = this.socket;
    const socket = this.app(() => listener.accept());
    assert.ok(socket !== null, 'a connection waits');
    this.socket = socket;
    socket.onReady = () => {};
    return listener;
  }

  /** The ISN of what was sent last, from a SYN or SYN-ACK expected now. */
  syn(expected: TestSegment): Sent {
    const next = this.sent[0];
    assert.ok(next !== undefined, 'a SYN was expected');
    this.iss = (this.iss + next.seq - this.sndBase) | 0;
    next.seq = this.sndBase;
    return this.tx(expected);
  }

  private written = 0;

  private octets(data: string | number | Uint8Array, from: number): Uint8Array {
    return typeof data === 'number' ? pattern(from, data) : typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
  }

  private build(s: TestSegment): Packet {
    const packet = this.ctx.packet() as Packet;
    assert.ok(packet !== null, 'memory for a packet');
    const flags = flagBits(s.flags ?? 'A');
    const seq = s.seq ?? this.peer.seq;
    const options = new TcpOptions();
    if (s.mss !== undefined) options.mss = s.mss;
    if (s.wscale !== undefined) options.windowScale = s.wscale;
    if (s.sackOk === true) options.sackPermitted = true;
    if (s.ts !== undefined ? s.ts !== null : this.peer.timestamps) {
      options.timestamps = true;
      const [val, ecr] = s.ts ?? [this.peer.ts, 'echo'];
      options.tsVal = val;
      options.tsEcr = ecr === 'echo' ? this.lastStamp : ecr;
    }
    for (const [left, right] of s.sack ?? []) {
      options.sack[2 * options.sackCount] = (this.iss + left - this.sndBase) | 0;
      options.sack[2 * options.sackCount + 1] = (this.iss + right - this.sndBase) | 0;
      options.sackCount++;
    }
    if (s.cookie !== undefined) {
      options.cookie.set(s.cookie);
      options.cookieLength = s.cookie.length;
      options.cookieExperimental = s.cookieExperimental === true;
    }
    const at = packet.head;
    const end = flags & wire.Flag.Syn ? putSynOptions(packet.view, at + 20, options) : putOptions(packet.view, at + 20, options);
    const data = s.data === undefined ? new Uint8Array(0) : this.octets(s.data, seq - this.rcvBase - 1);
    packet.bytes.set(data, end);
    packet.tail = end + data.length;
    const absolute = (this.irs + seq - this.rcvBase) | 0;
    const ack = flags & wire.Flag.Ack ? (this.iss + (s.ack ?? this.peer.ack) - this.sndBase) | 0 : 0;
    wire.put(packet.view, at, this.remotePort, this.localPort, absolute, ack, end - at, flags, s.wnd ?? this.peer.wnd, 0, s.up ?? 0);
    packet.source.copy(this.remote);
    packet.destination.copy(this.local);
    wire.finishSegment(packet.view, at, packet.tail, packet.source, packet.destination);
    packet.transport = at;
    packet.family = this.family;
    packet.protocol = 6;
    packet.inIndex = 1;
    packet.trafficClass = s.ce === true ? 3 : s.ect === true ? 2 : 0;
    return packet;
  }

  private lastStamp = 0;

  /** The last TSval we sent. */
  get stamp(): number {
    return this.lastStamp;
  }

  /** What the TCP hands to IP: its checksum is right, and it is cut as the device would cut it. */
  private took(packet: Packet): void {
    const all = new Uint8Array(packet.length);
    copyPacket(packet, all, 0);
    const { view } = new Page(all);
    assert.equal(packet.checksum, Checksum.Partial);
    assert.equal(
      view.getUint16(16),
      fold(pseudoSum(packet.source, packet.destination, 6, packet.length)),
      'the pseudo header is in the checksum field',
    );
    assert.equal(packet.csumStart, packet.head);
    const header = wire.headerLength(view, 0);
    const size = packet.gsoSize || all.length;
    assert.ok(packet.gsoSize > 0 || all.length <= this.ip.mtu - (this.family === 4 ? 20 : 40), 'no plain segment is longer than the MTU');
    const flags = wire.flags(view, 0);
    const options = new TcpOptions();
    assert.equal(parseOptions(view, 0, options), 0);
    if (options.timestamps) this.lastStamp = options.tsVal;
    for (let at = header; at === header || at < all.length; at += size) {
      const last = at + size >= all.length;
      this.sent.push({
        seq: this.sndBase + ((wire.seq(view, 0) + at - header - this.iss) | 0),
        ack: flags & wire.Flag.Ack ? this.rcvBase + ((wire.ack(view, 0) - this.irs) | 0) : 0,
        flags: letters(last ? flags : flags & ~(wire.Flag.Psh | wire.Flag.Fin)),
        wnd: wire.window(view, 0),
        data: all.slice(at, Math.min(all.length, at + size)),
        up: wire.urgent(view, 0),
        options,
        trafficClass: packet.trafficClass,
        time: this.clock.now,
        fromPort: wire.sourcePort(view, 0),
        toPort: wire.destinationPort(view, 0),
      });
    }
    packet.release();
  }

  private blocks(options: TcpOptions): [number, number][] {
    const blocks: [number, number][] = [];
    for (let i = 0; i < options.sackCount; i++) {
      const relative = (edge: number): number => this.rcvBase + ((edge - this.irs) | 0);
      blocks.push([relative(options.sack[2 * i] as number), relative(options.sack[2 * i + 1] as number)]);
    }
    return blocks;
  }
}
