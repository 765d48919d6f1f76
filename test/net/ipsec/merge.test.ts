import assert from 'node:assert/strict';
import { Checksum, Gso, HEADROOM, type Packet } from '#src/base/packet.js';
import { Page } from '#src/base/page.js';
import { Prng } from '#src/base/prng.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import type { Interface } from '#src/net/interface.js';
import { Merge } from '#src/net/ipsec/merge.js';
import * as ipv6 from '#src/wire/ipv6.js';
import { segments, writeSegment } from '#src/wire/segment.js';
import * as tcp from '#src/wire/tcp.js';
import { address, lone } from '../../support/stacks.js';
import { concat, ipv4 } from '../../support/wire.js';

interface Segment {
  readonly seq: number;
  readonly text: Uint8Array;
  readonly flags?: number;
  readonly ack?: number;
  readonly port?: number;
  readonly v6?: boolean;
  readonly tos?: number;
  readonly fragments?: boolean;
  readonly wrong?: boolean;
  readonly spi?: number;
}

const ENDS = { 4: ['10.1.0.1', '10.2.0.1'], 6: ['fd00::1', 'fd00::2'] } as const;

/** What an SA gives: an IP packet. */
function octetsOf(s: Segment): Uint8Array {
  const header = new Uint8Array(tcp.HEADER_LEN);
  const message = concat(header, s.text);
  const view = new DataView(message.buffer);
  const [from, to] = ENDS[s.v6 === true ? 6 : 4];
  tcp.put(view, 0, s.port ?? 4_000, 80, s.seq, s.ack ?? 7, tcp.HEADER_LEN, s.flags ?? tcp.Flag.Ack, 1_000, 0, 0);
  tcp.finishSegment(view, 0, message.length, address(from), address(to));
  if (s.wrong === true) message[message.length - 1] = (message.at(-1) as number) ^ 1;
  if (s.v6 === true) {
    const ip = new Uint8Array(ipv6.HEADER_LEN);
    ipv6.put(new DataView(ip.buffer), 0, s.tos ?? 0, 0, message.length, 6, 64, address(from), address(to));
    return concat(ip, message);
  }
  return ipv4({ src: from, dst: to, protocol: 6, payload: message, tos: s.tos ?? 0, fragment: s.fragments === true ? 0 : 0x4000 });
}

/** What comes out, one plain packet after the other, and how many packets that were. */
function through(list: readonly Segment[]): { plain: Uint8Array[]; count: number } {
  const { stack } = lone(new VirtualClock(), 'merge');
  const { ctx } = stack;
  const plain: Uint8Array[] = [];
  let count = 0;
  const merge = new Merge(ctx, (packet) => {
    count++;
    if (packet.gsoType === Gso.None) plain.push(packet.bytes.slice(packet.head, packet.tail));
    else {
      const v6 = packet.gsoType === Gso.Tcp6;
      packet.family = v6 ? 6 : 4;
      packet.network = packet.head;
      packet.transport = packet.head + (v6 ? 40 : 20);
      packet.source.copy(address(ENDS[v6 ? 6 : 4][0]));
      packet.destination.copy(address(ENDS[v6 ? 6 : 4][1]));
      const page = new Page(new Uint8Array(2_048));
      for (let i = 0; i < segments(packet); i++) plain.push(page.bytes.slice(0, writeSegment(packet, i, page, 0)));
    }
    packet.release();
  });
  for (const segment of list) {
    const octets = octetsOf(segment);
    const packet = ctx.pool.from(ctx.slab) as Packet;
    packet.head = packet.slot.start + HEADROOM;
    packet.tail = packet.head + octets.length;
    packet.bytes.set(octets, packet.head);
    packet.checksum = Checksum.Unverified;
    packet.spi = segment.spi ?? 1;
    merge.add(packet, stack.interfaces.all[0] as Interface);
  }
  merge.flush();
  stack.close();
  assert.equal(ctx.slab.held + ctx.big.held, 0);
  return { plain, count };
}

const text = (octets: number, of = 1): Uint8Array => new Uint8Array(octets).fill(of);
/** `n` segments of 1,000 octets one behind the other. */
const run = (n: number, more: Partial<Segment> = {}, from = 100): Segment[] =>
  Array.from({ length: n }, (_, i) => ({ seq: from + i * 1_000, text: text(1_000, i), ...more }));

describe('segments out of an SA, merged', () => {
  for (const v6 of [false, true]) {
    it(`IPv${v6 ? 6 : 4}: forty of one flow become one, which cut again are those forty`, () => {
      const list = run(40, { v6 });
      const { plain, count } = through(list);
      assert.equal(count, 1);
      assert.deepEqual(plain.length, 40);
      for (const [i, octets] of plain.entries()) {
        const ip = v6 ? 40 : 20;
        assert.equal(tcp.seq(new DataView(octets.buffer), ip), 100 + i * 1_000);
        assert(tcp.verify(new DataView(octets.buffer), ip, octets.length, address(ENDS[v6 ? 6 : 4][0]), address(ENDS[v6 ? 6 : 4][1])));
        assert.deepEqual(octets.slice(ip + 20), text(1_000, i));
      }
    });
  }

  it('no more than an IP packet holds', () => {
    assert.equal(through(run(100)).count, 2);
  });

  it('a push and a short one end it and come along; what follows begins anew', () => {
    const flags = tcp.Flag.Ack | tcp.Flag.Psh;
    assert.equal(through([...run(3), { seq: 3_100, text: text(1_000), flags }, ...run(3, {}, 4_100)]).count, 2);
    assert.equal(through([...run(3), { seq: 3_100, text: text(10) }, ...run(3, {}, 3_110)]).count, 2);
  });

  for (const [what, change] of [
    ['a gap', { seq: 5_000 }],
    ['a retransmission', { seq: 1_100 }],
    ['another acknowledgement', { ack: 8 }],
    ['another flow', { port: 4_001 }],
    ['another SA', { spi: 2 }],
    ['another traffic class', { tos: 3 }],
    ['a FIN', { flags: tcp.Flag.Ack | tcp.Flag.Fin }],
    ['a CWR', { flags: tcp.Flag.Ack | tcp.Flag.Cwr }],
    ['no text', { text: text(0) }],
    ['more text than before', { text: text(1_001) }],
    ['one that may be fragmented', { fragments: true }],
    ['a wrong checksum', { wrong: true }],
    ['the other family', { v6: true }],
  ] as const) {
    it(`${what} is not merged with what was before`, () => {
      const odd: Segment = { seq: 2_100, text: text(1_000), ...change };
      const { plain, count } = through([...run(2), odd]);
      assert.equal(count, 2);
      assert.deepEqual(plain[2], octetsOf(odd), 'as it came');
    });
  }

  it('a first segment with a wrong checksum stays alone, for TCP to see', () => {
    const [first, ...rest] = run(4);
    const { plain, count } = through([{ ...(first as Segment), wrong: true }, ...rest]);
    assert.equal(count, 2);
    assert.deepEqual(plain[0], octetsOf({ ...(first as Segment), wrong: true }));
  });

  it('2,000 random segments: cut again, they are what went in, in order', () => {
    const prng = new Prng(7);
    const next = [100, 100];
    const list = Array.from({ length: 2_000 }, (): Segment => {
      const flow = prng.below(8) === 0 ? 1 : 0;
      const octets = prng.below(10) === 0 ? prng.below(1_000) : 1_000;
      const seq = (next[flow] as number) + (prng.below(30) === 0 ? 1 : 0);
      next[flow] = seq + octets;
      const flags = tcp.Flag.Ack | (prng.below(12) === 0 ? tcp.Flag.Psh : 0);
      return { seq, text: text(octets, prng.below(256)), port: 4_000 + flow, flags, wrong: octets > 0 && prng.below(40) === 0 };
    });
    const { plain, count } = through(list);
    assert(count < 1_500, `${count}`);
    assert.equal(plain.length, list.length);
    for (const [i, segment] of list.entries()) {
      // Ports and numbers; then the text. Flags in between: a push stands at the end of a merged one, where it was.
      assert.deepEqual(plain[i]?.subarray(20, 32), octetsOf(segment).subarray(20, 32));
      assert.deepEqual(plain[i]?.subarray(40), octetsOf(segment).subarray(40));
    }
  });
});
