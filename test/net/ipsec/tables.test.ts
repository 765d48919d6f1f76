import assert from 'node:assert/strict';
import { type Address, v4 } from '#src/base/address.js';
import { Prng } from '#src/base/prng.js';
import { parseSuite } from '#src/net/ipsec/algorithms.js';
import { innerClass } from '#src/net/ipsec/ecn.js';
import { Replay } from '#src/net/ipsec/replay.js';
import { Sa } from '#src/net/ipsec/sa.js';
import { Sad } from '#src/net/ipsec/sad.js';
import { FlowKey, formatRange, OPAQUE, OPAQUE_PORTS, rangeOf, selectorOf } from '#src/net/ipsec/selector.js';
import { Spd } from '#src/net/ipsec/spd.js';
import { keysOf } from '../../support/ipsec.js';
import { prefix } from '../../support/stacks.js';

/** The window as a set of numbers: what RFC 4303 §3.4.3 says, word for word. */
class SlowReplay {
  top = 0;
  private readonly seen = new Set<number>();
  private readonly size: number;
  constructor(size: number) {
    this.size = size;
  }
  accept(sequence: number): boolean {
    if (sequence < 1 || sequence <= this.top - this.size || this.seen.has(sequence)) return false;
    this.seen.add(sequence);
    this.top = Math.max(this.top, sequence);
    return true;
  }
}

describe('Replay', () => {
  for (const size of [32, 64, 100, 1_024, 4_096]) {
    it(`RFC 6479, window of ${size}: like a set of numbers, on 50,000 random ones`, () => {
      const prng = new Prng(size);
      const window = new Replay(size);
      const slow = new SlowReplay(window.size);
      for (let i = 0; i < 50_000; i++) {
        const jump = prng.below(100) === 0 ? prng.below(3 * size) : prng.below(4);
        const sequence = prng.below(2) === 0 ? slow.top + jump : slow.top - prng.below(size + 40);
        assert.equal(window.accept(sequence), slow.accept(sequence), `${sequence} at ${slow.top}`);
      }
      assert.equal(window.top, slow.top);
    });
  }

  it('RFC 4303 §A2.2: the high half is guessed by the side of the window, across 2^32', () => {
    const window = new Replay(64);
    const two32 = 2 ** 32;
    assert.equal(window.high(1), 0);
    assert.equal(window.high(two32 - 1), -1, 'before the first there is nothing');
    window.accept(two32 - 10);
    assert.equal(window.high(two32 - 5), 0);
    assert.equal(window.high(3), 1);
    window.accept(two32 + 3);
    assert.equal(window.high(two32 - 12), 0);
    assert.equal(window.high(4), 1);
    assert.equal(window.check(two32 - 10), false);
    assert.equal(window.check(two32 - 11), true);
    window.accept(5 * two32 + 40);
    assert.equal(window.high(two32 - 1), 4);
  });

  it('size 0 takes everything', () => {
    const window = new Replay(0);
    assert.ok(window.accept(5) && window.accept(5));
  });
});

const sa = (spi: number): Sa =>
  new Sa(
    { direction: 'in', spi, mode: 'tunnel', source: v4(1), destination: v4(2), suite: parseSuite('aes128gcm16'), keys: keysOf('aes128gcm16') },
    { id: 0, close: () => {} },
    0,
  );

describe('Sad', () => {
  it('finds what is there and nothing else, through 20,000 random additions and removals', () => {
    const prng = new Prng(3);
    const sad = new Sad();
    const twin = new Map<number, Sa>();
    for (let i = 0; i < 20_000; i++) {
      const spi = 256 + prng.below(3_000);
      const there = twin.get(spi);
      assert.equal(sad.find(spi), there ?? null);
      if (there === undefined) {
        const made = sa(spi);
        assert.ok(sad.add(made));
        twin.set(spi, made);
      } else {
        assert.equal(sad.add(sa(spi)), false);
        if (prng.below(2) === 0) {
          assert.ok(sad.remove(there));
          twin.delete(spi);
        }
      }
      assert.equal(sad.size, twin.size);
    }
    assert.equal(new Set(sad.list()).size, twin.size);
  });

  it('SPIs with the highest bit are found by either sign', () => {
    const sad = new Sad();
    const made = sa(0xffff0001);
    sad.add(made);
    assert.equal(sad.find(0xffff0001 | 0), made);
    assert.equal(sad.find(0xffff0001), made);
  });
});

function flow(local: string, remote: string, protocol = 17, localPort = 1_000, remotePort = 2_000, inbound = false): FlowKey {
  const key = new FlowKey();
  key.local.copy(prefix(local).address);
  key.remote.copy(prefix(remote).address);
  key.protocol = protocol;
  key.localPort = localPort;
  key.remotePort = remotePort;
  key.inbound = inbound;
  return key;
}

describe('Spd', () => {
  it('RFC 4301 §4.4.1: the first match decides, in order of priority', () => {
    const spd = new Spd(1);
    const all = prefix('0.0.0.0/0');
    const last = spd.add({ name: 'last', action: 'discard', selectors: [selectorOf(all, all)], priority: 200 });
    const web = spd.add({ name: 'web', action: 'bypass', selectors: [selectorOf(all, all, 6, undefined, [80, 80])] });
    const net = spd.add({ name: 'net', action: 'protect', selectors: [selectorOf(prefix('10.1.0.0/16'), prefix('10.2.0.0/16'))] });
    assert.equal(spd.lookup(flow('10.1.0.1', '10.2.0.1')), net);
    assert.equal(spd.lookup(flow('10.1.0.1', '10.2.0.1', 6, 5_000, 80)), web);
    assert.equal(spd.lookup(flow('10.1.0.1', '10.3.0.1')), last);
    assert.equal(spd.lookup(flow('fd00::1', 'fd00::2')), null);
    spd.remove(web);
    assert.equal(spd.lookup(flow('10.1.0.1', '10.2.0.1', 6, 5_000, 80)), net, 'a change empties the cache');
  });

  it('RFC 4301 §4.4.1.1: a fragment without ports matches ANY and OPAQUE, and no port', () => {
    const spd = new Spd(1);
    const all = prefix('0.0.0.0/0');
    const port = spd.add({ name: 'port', action: 'protect', selectors: [selectorOf(all, all, 17, undefined, [2_000, 2_000])] });
    const opaque = spd.add({ name: 'opaque', action: 'discard', selectors: [selectorOf(all, all, 17, OPAQUE_PORTS, OPAQUE_PORTS)] });
    assert.equal(spd.lookup(flow('10.0.0.1', '10.0.0.2')), port);
    assert.equal(spd.lookup(flow('10.0.0.1', '10.0.0.2', 17, OPAQUE, OPAQUE)), opaque);
    assert.equal(spd.lookup(flow('10.0.0.1', '10.0.0.2', 17, 65_535, 65_535)), null, '65535 is a port like others');
  });

  it('direction, interface and VRF', () => {
    const spd = new Spd(1);
    const policy = spd.add({ name: 'in', action: 'discard', selectors: [], direction: 'in', index: 3, vrf: 7 });
    const key = flow('10.0.0.1', '10.0.0.2', 17, 1, 2, true);
    key.index = 3;
    key.vrf = 7;
    assert.equal(spd.lookup(key), policy);
    for (const change of [{ inbound: false }, { index: 4 }, { vrf: 0 }])
      assert.equal(spd.lookup(Object.assign(flow('10.0.0.1', '10.0.0.2', 17, 1, 2, true), { index: 3, vrf: 7 }, change)), null);
  });

  it('with the cache as without, on 50,000 random flows over 100 random policies', () => {
    const prng = new Prng(11);
    const spd = new Spd(5);
    for (let i = 0; i < 100; i++) {
      const p = (): { address: Address; length: number } => ({ address: v4((0x0a000000 + prng.below(1 << 12)) | 0), length: 20 + prng.below(13) });
      spd.add({ name: String(i), action: 'bypass', selectors: [selectorOf(p(), p(), prng.below(2) * 17)], priority: prng.below(10) });
    }
    for (let i = 0; i < 50_000; i++) {
      const key = flow('10.0.0.1', '10.0.0.2', prng.below(2) * 17, prng.below(3), prng.below(3));
      key.local.setV4((0x0a000000 + prng.below(1 << 12)) | 0);
      key.remote.setV4((0x0a000000 + prng.below(1 << 12)) | 0);
      const found = spd.search(key);
      assert.equal(spd.lookup(key), found);
      assert.equal(spd.lookup(key), found);
    }
  });
});

describe('selectors', () => {
  it('ranges print as prefixes where they are', () => {
    for (const text of ['10.0.0.0/8', '10.1.2.3', 'fd00::/64', '0.0.0.0/0']) assert.equal(formatRange(rangeOf(prefix(text))), text);
    assert.equal(formatRange({ first: prefix('10.0.0.1').address, last: prefix('10.0.0.9').address }), '10.0.0.1-10.0.0.9');
  });
});

describe('ECN', () => {
  it('RFC 6040 §4.2, figure 4: what comes out of a tunnel', () => {
    // Rows: inner Not-ECT, ECT(0), ECT(1), CE; columns: outer Not-ECT, ECT(0), ECT(1), CE. −1 is a drop.
    const [not, ect1, ect0, ce] = [0, 1, 2, 3];
    const table: [number, number[]][] = [
      [not, [not, not, not, -1]],
      [ect0, [ect0, ect0, ect1, ce]],
      [ect1, [ect1, ect1, ect1, ce]],
      [ce, [ce, ce, ce, ce]],
    ];
    for (const [inner, row] of table) for (const [i, outer] of [not, ect0, ect1, ce].entries()) assert.equal(innerClass(inner, outer), row[i]);
  });
});

describe('algorithms', () => {
  it('RFC 8221 §4 to §6: what must not be used has no name', () => {
    for (const text of ['des-sha1', 'aes128-md5', 'aes128', 'blowfish-sha1', 'aes128gcm16-sha256', 'sha256-sha256', 'nonsense'])
      assert.throws(() => parseSuite(text), { name: 'ConfigError' }, text);
    assert.match(String(assertThrown(() => parseSuite('aes128'))), /without integrity/);
  });
});

function assertThrown(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return null;
}
