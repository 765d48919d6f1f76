import assert from 'node:assert/strict';
import type { AdvertisedPrefix, AdvertisementSpec } from '#src/net/ipv6/advertiser.js';
import { fragmentHeader, GLOBAL, LL, type Nut, OTHER, Parts, PREFIX, TN1 } from '../../../support/ready.js';
import { address } from '../../../support/stacks.js';
import { concat, hex, toHex } from '../../../support/wire.js';
import { icmp6, octets6, rdnssOption, routeOption, type Seen, sourceLink } from '../../../support/wire6.js';

const base: AdvertisementSpec = {
  minInterval: 30,
  maxInterval: 40,
  lifetime: 1_800,
  preference: 0,
  managed: false,
  other: false,
  hopLimit: 64,
  mtu: 0,
  reachableMs: 30_000,
  retransMs: 1_000,
  prefixes: [],
  routes: [],
  resolvers: [],
  search: new Uint8Array(0),
  dnsLifetime: 1_800,
  nat64: [],
};
const prefix = (text: string): AdvertisedPrefix => ({
  prefix: address(text),
  length: 64,
  onLink: true,
  autonomous: true,
  valid: 600,
  preferred: 600,
});

describe('IPv6 Ready Logo: RFC 4861, routers as they speak', () => {
  const list = new Parts(import.meta.url);
  after(() => list.end());
  const start = (t: Nut, over: Partial<AdvertisementSpec> = {}): void => {
    t.stack.v6.advertiser.start(t.eth0, () => ({ ...base, ...over }));
  };
  /** Begins, and lets the first three pass. */
  const settled = (t: Nut, over: Partial<AdvertisementSpec> = {}): void => {
    start(t, over);
    t.wait(50);
    t.seen();
  };
  const ras = (t: Nut): Seen[] => t.seen().filter((p) => p.payload[0] === 134);
  const first = (t: Nut): Seen => {
    t.wait(0.6);
    const [ra] = ras(t);
    assert.ok(ra, 'an advertisement');
    return ra;
  };
  /** When advertisements come, in seconds. */
  const times = (t: Nut, seconds: number): number[] => {
    const at: number[] = [];
    for (let i = 0; i < seconds * 2; i++) {
      t.wait(0.5);
      at.push(...ras(t).map(() => i / 2));
    }
    return at;
  };

  const invalid: readonly [string, (t: Nut) => void][] = [
    ['A', (t) => t.rs(TN1, [sourceLink(TN1.mac)], { hops: 254 })],
    ['B', (t) => t.spoilt(() => t.rs(TN1))],
    ['C', (t) => t.rs(TN1, [sourceLink(TN1.mac)], { code: 1 })],
    ['D', (t) => t.ip6({ src: TN1.ll, dst: 'ff02::2', hops: 255, next: 58, payload: Uint8Array.of(133, 0, 0, 0, 0, 0) }, hex('333300000002'))],
    ['E', (t) => t.rs(TN1, [hex('0100 0200000000a1')])],
    ['F', (t) => t.rs(TN1, [sourceLink(TN1.mac)], { src: '::' })],
  ];
  for (const [letter, send] of invalid)
    list.part(`2.2.4.${letter}`, (t) => {
      settled(t, { minInterval: 900, maxInterval: 1_200 });
      send(t);
      t.wait(3);
      t.sends();
    });
  list.part('2.2.5', (t) => {
    settled(t, { minInterval: 900, maxInterval: 1_200 });
    t.rs(TN1);
    const p = first(t);
    const v = new DataView(p.payload.buffer, p.payload.byteOffset);
    assert.deepEqual([p.src, p.hops, v.getUint8(1), v.getUint8(4), v.getUint16(6)], [LL, 255, 0, 64, 1_800]);
    assert.equal(toHex(p.payload.subarray(16, 24)), '0101020000000001');
  });
  list.part('2.2.6.A', (t) => {
    t.rs(TN1);
    t.wait(60);
    t.sends();
  });
  list.part('2.2.6.B', (t) => {
    start(t);
    assert.deepEqual([first(t)].length, 1);
    t.second();
    t.stack.v6.advertiser.stop(t.eth0);
    t.seen();
    t.rs(TN1);
    t.wait(60);
    t.sends();
  });
  for (const [id, over, least, most] of [
    ['2.2.7.A', {}, 30, 40],
    ['2.2.7.C', { minInterval: 3, maxInterval: 4, lifetime: 0, hopLimit: 0, reachableMs: 0, retransMs: 0 }, 3, 4],
    [
      '2.2.7.D',
      { minInterval: 1_350, maxInterval: 1_800, lifetime: 9_000, hopLimit: 255, reachableMs: 3_600_000, retransMs: 3_600_000 },
      1_350,
      1_800,
    ],
  ] as const)
    list.part(id, (t) => {
      start(t, over);
      times(t, 50);
      const at = times(t, most * 3.5);
      assert.ok(at.length >= 3, `${at}`);
      for (let i = 1; i < at.length; i++) {
        const gap = (at[i] as number) - (at[i - 1] as number);
        assert.ok(gap >= least - 0.5 && gap <= most + 0.5, `${gap} s`);
      }
    });
  list.part('2.2.7.B', (t) => {
    start(t);
    const at = times(t, 40);
    assert.ok(at.length >= 3, `${at}`);
    assert.ok((at[1] as number) - (at[0] as number) <= 16.5 && (at[2] as number) - (at[1] as number) <= 16.5);
  });
  for (const [id, text] of [
    ['2.2.7.E', '8000::'],
    ['2.2.7.F', 'fec0::'],
  ] as const)
    list.part(id, (t) => {
      start(t, { prefixes: [prefix(text)] });
      assert.ok(toHex(first(t).payload).includes(`030440c0${'00000258'.repeat(2)}00000000${toHex(octets6(text))}`));
    });
  list.part('2.2.8', (t) => {
    settled(t, { prefixes: [prefix(PREFIX)] });
    t.stack.v6.advertiser.stop(t.eth0);
    const [last, more] = ras(t);
    assert.ok(last && !more);
    assert.equal(new DataView(last.payload.buffer, last.payload.byteOffset).getUint16(6), 0);
    t.rs(TN1);
    t.wait(100);
    t.sends();
  });
  list.part('2.2.9.A', (t) => {
    settled(t, { minInterval: 900, maxInterval: 1_200 });
    for (let i = 0; i < 10; i++) {
      t.rs(TN1);
      first(t); // within MAX_RA_DELAY_TIME, half a second
      t.wait(4);
      assert.deepEqual(ras(t), []);
    }
  });
  list.part('2.2.9.B', (t) => {
    settled(t, { minInterval: 900, maxInterval: 1_200 });
    for (let round = 0; round < 3; round++) {
      const at: number[] = [];
      for (let i = 0; i < 20; i++) {
        if (i === 0 || i === 4) t.rs(TN1, [], { src: '::' });
        t.wait(0.5);
        at.push(...ras(t).map(() => i / 2));
      }
      for (let i = 1; i < at.length; i++) assert.ok((at[i] as number) - (at[i - 1] as number) >= 2.5, `${at}`);
    }
  });

  const quiet = { minInterval: 900, maxInterval: 1_200 };
  /** The answer to the solicitation, on its way to whom the entry says. */
  const answered = (t: Nut, via: string): void => {
    t.wait(0.6);
    assert.ok(t.lines().includes(`ra ${TN1.ll} via ${via}`));
  };
  const probes = (t: Nut, via: string): void => {
    t.wait(5.2);
    assert.ok(t.lines().includes(`ns ${TN1.ll} via ${via}`));
  };
  list.part('2.2.10.A', (t) => {
    settled(t, quiet);
    t.rs(TN1);
    answered(t, 'TN1');
    probes(t, 'TN1');
  });
  list.part('2.2.10.B', (t) => {
    settled(t, quiet);
    t.rs(TN1, []);
    t.wait(0.6);
    t.sends(`ns ${TN1.ll}`);
    t.answer(TN1, TN1.ll);
    t.sends(`ra ${TN1.ll} via TN1`);
  });
  list.part('2.2.10.C', (t) => {
    settled(t, quiet);
    t.incomplete(TN1);
    t.rs(TN1);
    t.sends(`reply ${TN1.ll} via TN1`);
    answered(t, 'TN1');
    probes(t, 'TN1');
  });
  for (const [letter, state, moved] of [
    ['D', 'reachable', true],
    ['E', 'reachable', false],
    ['F', 'stale', true],
    ['G', 'stale', false],
    ['H', 'probing', true],
    ['I', 'probing', false],
  ] as const)
    list.part(`2.2.10.${letter}`, (t) => {
      settled(t, quiet);
      t[state](TN1);
      const s = moved ? OTHER : TN1;
      t.rs(TN1, [sourceLink(s.mac)]);
      answered(t, s.name);
      if (moved || state === 'stale') probes(t, s.name);
      else if (state === 'reachable') t.isReachable(TN1);
      else t.isProbing(TN1);
    });
  list.part('2.2.15.B', (t) => {
    settled(t, { reachableMs: 10_000, retransMs: 5_000, hopLimit: 15 });
    t.reachable(TN1);
    t.ask(TN1);
    assert.equal(t.one().hops, 15);
    t.wait(15.1);
    assert.ok(ras(t).length <= 1);
    t.isStale(TN1);
    t.wait(5);
    t.seen();
    t.ask(TN1, `${PREFIX}99`, GLOBAL); // its questions follow what it tells, too
    const at: number[] = [];
    for (let i = 0; i < 40; i++) {
      at.push(
        ...t
          .lines()
          .filter((l) => l === `ns ${PREFIX}99`)
          .map(() => i / 2),
      );
      t.wait(0.5);
    }
    assert.deepEqual(at, [0, 5, 10]);
  });
  for (const [letter, preference, bits] of [
    ['A', 1, 0x08],
    ['B', 0, 0x00],
    ['C', -1, 0x18],
  ] as const)
    list.part(`2.2.20.${letter}`, (t) => {
      start(t, { preference });
      assert.equal((first(t).payload[5] as number) & 0x18, bits);
    });
  list.part('2.2.22', (t) => {
    start(t, { routes: [{ prefix: address('2001:db8:200::'), length: 48, preference: 1, lifetime: 600 }] });
    assert.ok(toHex(first(t).payload).includes(toHex(routeOption('2001:db8:200::', 48, 1, 600))));
  });
  list.part('2.2.24', (t) => {
    const labels = hex('0474657374076578616d706c6503636f6d00');
    start(t, { resolvers: [address('2001:db8::53')], search: labels });
    const text = toHex(first(t).payload);
    assert.ok(text.includes(toHex(rdnssOption(1_800, '2001:db8::53'))));
    assert.ok(text.includes(`1f04000000000708${toHex(labels)}000000000000`));
  });
  list.part('2.2.27', (t) => {
    settled(t, quiet);
    const whole = icmp6(133, 0, 0, concat(sourceLink(TN1.mac), sourceLink(TN1.mac)), TN1.ll, 'ff02::2');
    for (const [from, to] of [
      [0, 16],
      [16, whole.length],
    ] as const) {
      const payload = concat(fragmentHeader(58, from, to < whole.length, 5), whole.subarray(from, to));
      t.ip6({ src: TN1.ll, dst: 'ff02::2', hops: 255, next: 44, payload }, hex('333300000002'), TN1.mac);
    }
    t.dropped({ FragmentAtomicNd: 1 });
    t.wait(1);
    t.sends();
  });
});
