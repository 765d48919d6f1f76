import assert from 'node:assert/strict';
import { MTU_MIN } from '#src/wire/ipv6.js';
import { chain } from '../../support/site.js';
import { TwoWires } from '../../support/two-wires.js';
import { concat } from '../../support/wire.js';
import { ipv6, sum6, udp6 } from '../../support/wire6.js';

const INSIDE = '2001:db8:1::2';
const OUTSIDE = '2001:db8:2::2';

/** A datagram in fragments of at most `size` octets of it. */
function pieces(message: Uint8Array, size: number, id: number): Uint8Array[] {
  const all: Uint8Array[] = [];
  for (let at = 0; at < message.length; at += size) {
    const more = at + size < message.length ? 1 : 0;
    const header = Uint8Array.from([17, 0, (at >> 8) & 255, (at & 0xf8) | more, 0, 0, id >> 8, id & 255]);
    all.push(ipv6({ src: INSIDE, dst: OUTSIDE, next: 44, payload: concat(header, message.subarray(at, at + size)) }));
  }
  return all;
}

describe('fragments of IPv6 and the filter', () => {
  let t: TwoWires;
  beforeEach(() => {
    t = new TwoWires(['2001:db8:1::1/64'], ['2001:db8:2::1/64']);
    t.stack.filter.set([
      chain('forward', [[{ protocol: 17, destinationPort: [53, 53], state: [1, 2] }, { kind: 'accept' }]], 'drop'), // new, established
    ]);
  });
  afterEach(() => t.end());

  it('are put together for tracking, so that a rule on ports holds for all of them, and cut anew to what every link carries', () => {
    const message = udp6(4_000, 53, new Uint8Array(2_800).fill(7), INSIDE, OUTSIDE);
    const [first, second, third] = pieces(message, 1_400, 77) as [Uint8Array, Uint8Array, Uint8Array];
    t.put('a', third, second);
    t.quiet();
    t.put('a', first);
    const out = t.take('b');
    assert(out.every((p) => p.length <= MTU_MIN && p[6] === 44));
    const whole = concat(...out.map((p) => p.subarray(48)));
    assert.deepEqual(whole, message);
    assert.equal(sum6(INSIDE, OUTSIDE, 17, whole), 0);
    assert.equal(new Set(out.map((p) => p.subarray(44, 48).join())).size, 1, 'one identification');
    assert.equal(t.stack.filter.conntrack.size, 1);
    assert.deepEqual(t.dropped(), {});
  });

  it('of a port that a rule forbids do not pass, the later ones as little as the first', () => {
    t.put('a', ...pieces(udp6(4_000, 54, new Uint8Array(2_000), INSIDE, OUTSIDE), 1_400, 78));
    t.quiet();
    assert.deepEqual(t.dropped(), { FilterDrop: 1 });
  });

  it('an atomic fragment is tracked as it is (RFC 6946 §4)', () => {
    t.put('a', ...pieces(udp6(4_000, 53, 'x', INSIDE, OUTSIDE), 1_400, 79));
    assert.equal(t.one('b')[6], 44);
    assert.equal(t.stack.filter.conntrack.size, 1);
  });

  it('an overlap ends the datagram (RFC 5722 §4)', () => {
    const message = udp6(4_000, 53, new Uint8Array(2_000), INSIDE, OUTSIDE);
    const [first] = pieces(message, 1_400, 80) as [Uint8Array];
    const [, late] = pieces(message, 1_392, 80) as [Uint8Array, Uint8Array];
    t.put('a', first, late);
    t.quiet();
    assert.deepEqual(t.dropped(), { FragmentOverlap: 2 });
  });
});
