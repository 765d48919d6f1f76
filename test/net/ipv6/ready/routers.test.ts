import assert from 'node:assert/strict';
import { fragmentHeader, LL, type Nut, OTHER, Parts, PREFIX, TN1, TN2, TR1, TR2 } from '../../../support/ready.js';
import { concat, hex } from '../../../support/wire.js';
import { icmp6, prefixOption, type RaFields, rdnssOption, routeOption, sourceLink } from '../../../support/wire6.js';

const ROUTERS = { 'net.ipv6.conf.all.router_solicitations': -1 };
const VIA1 = `reply ${TN2.global} via TR1`;
const VIA2 = `reply ${TN2.global} via TR2`;
/** The prefix, and the sender's link address or none. */
const withLink = (mac: string | null): RaFields => ({
  options: [...(mac === null ? [] : [sourceLink(mac)]), prefixOption(PREFIX, 64, 0xc0, 86_400, 43_200)],
});

describe('IPv6 Ready Logo: RFC 4861, routers as hosts know them', () => {
  const list = new Parts(import.meta.url);
  after(() => list.end());
  /** An echo request from behind the routers; what leaves for it. */
  const far = (t: Nut, ...lines: string[]): void => {
    t.ask(TN2, TN2.global);
    t.sends(...lines);
  };
  /** TR1 and TR2 advertise themselves, with link addresses. */
  const two = (t: Nut, fields: RaFields = {}): void => {
    t.advertise(TR1, { ...withLink(TR1.mac), ...fields });
    t.advertise(TR2, { ...withLink(TR2.mac), ...fields });
    t.answer(TR1, TR1.ll);
    t.answer(TR2, TR2.ll);
    t.seen();
  };

  list.part(
    '2.2.1',
    (t) => {
      t.cable(false);
      t.seen();
      t.cable(true);
      const at: number[] = [];
      for (let tick = 0; at.length < 3; tick++) {
        t.wait(0.1);
        for (const p of t.seen().filter(({ payload }) => payload[0] === 133)) {
          assert.deepEqual([p.payload[0], p.src, p.dst, p.hops], [133, LL, 'ff02::2', 255]);
          at.push(tick / 10);
        }
      }
      assert.ok((at[1] as number) - (at[0] as number) >= 3.9, 'RFC 4861 §6.3.7: 4 s apart at least');
      assert.ok((at[2] as number) - (at[1] as number) >= 3.9);
    },
    { ...ROUTERS, 'net.ipv6.conf.all.dad_transmits': 1 },
  );
  const heard: readonly [string, (t: Nut) => void, boolean][] = [
    ['A', (t) => t.advertise(TR1), true],
    ['B', (t) => t.advertise(TR1, withLink(TR1.mac)), true],
    ['C', (t) => t.advertise(TR1, { src: TR1.global }), false],
    ['D', (t) => t.advertise(TR1, { hops: 254 }), false],
    ['E', (t) => t.spoilt(() => t.advertise(TR1)), false],
    ['F', (t) => t.advertise(TR1, { code: 1 }), false],
  ];
  for (const [letter, send, ends] of heard)
    list.part(
      `2.2.2.${letter}`,
      (t) => {
        t.cable(false);
        t.seen();
        t.cable(true);
        while (!t.lines().includes('rs')) t.wait(0.1);
        send(t);
        t.wait(5);
        assert.deepEqual(
          t.lines().filter((l) => l === 'rs'),
          ends ? [] : ['rs'],
        );
      },
      { ...ROUTERS, 'net.ipv6.conf.all.dad_transmits': 1 },
    );
  for (const [letter, dst] of [
    ['A', 'ff02::2'],
    ['B', 'ff02::1'],
    ['C', LL],
  ] as const)
    list.part(`2.2.3.${letter}`, (t) => {
      t.rs(TN1, [sourceLink(TN1.mac)], { dst });
      t.wait(3);
      t.sends();
      t.isNone(TN1);
    });

  list.part('2.2.11', (t) => {
    t.advertise(TR1, { lifetime: 45, reachable: 10_000 });
    far(t, `ns ${TR1.ll}`);
    t.answer(TR1, TR1.ll);
    t.sends(VIA1);
    t.advertise(TR2, { lifetime: 45, reachable: 10_000 });
    const lines: string[] = [];
    for (let i = 0; i < 10; i++) {
      t.wait(3);
      lines.push(...t.lines());
      t.ask(TN2, TN2.global);
      lines.push(...t.lines());
      if (lines.at(-1) === `ns ${TR2.ll}`) t.answer(TR2, TR2.ll);
    }
    assert.equal(lines.filter((l) => l === `ns ${TR1.ll} via TR1`).length, 3, lines.join('; '));
    const gone = lines.lastIndexOf(`ns ${TR1.ll} via TR1`);
    assert.ok(lines.slice(gone).includes(`ns ${TR2.ll}`), 'the other is asked for');
    assert.ok(!lines.slice(gone + 1).includes(VIA1));
    assert.equal(lines.at(-1), VIA2);
  });

  const invalid: readonly [string, (t: Nut) => void][] = [
    ['A', (t) => t.advertise(TR1, { ...withLink(TR1.mac), src: TR1.global })],
    ['B', (t) => t.advertise(TR1, { ...withLink(TR1.mac), hops: 2 })],
    ['C', (t) => t.spoilt(() => t.advertise(TR1, withLink(TR1.mac)))],
    ['D', (t) => t.advertise(TR1, { ...withLink(TR1.mac), code: 1 })],
    ['E', (t) => t.icmp(134, 0, 1_800, new Uint8Array(6), { src: TR1.ll, dst: 'ff02::1', hops: 255 })],
    ['F', (t) => t.advertise(TR1, { options: [hex('0100 0200000000b1')] })],
  ];
  for (const [letter, send] of invalid)
    list.part(`2.2.12.${letter}`, (t) => {
      send(t);
      t.wait(3);
      t.sends();
      t.isNone(TR1);
    });

  for (const [letter, curHop, hops] of [
    ['A', 0, 64],
    ['B', 15, 15],
  ] as const)
    list.part(`2.2.13.${letter}`, (t) => {
      t.reachable(TN1);
      t.advertise(TR1, { curHop });
      t.ask(TN1);
      assert.equal(t.one().hops, hops);
    });

  list.part('2.2.14.A', (t) => {
    const router = { ...withLink(TR1.mac), lifetime: 20 };
    t.advertise(TR1, router);
    t.answer(TR1, TR1.ll);
    t.seen();
    for (let s = 0; s < 19; s++) {
      far(t, VIA1);
      t.wait(1);
      t.answer(TR1, TR1.ll);
    }
    t.advertise(TR1, router);
    for (let s = 0; s < 20; s++) {
      far(t, VIA1);
      t.wait(0.98);
      t.answer(TR1, TR1.ll);
    }
    t.wait(1);
    far(t);
    t.wait(3);
    t.sends();
  });
  const ending = (t: Nut, ...goes: ((from: typeof TR1) => void)[]): void => {
    two(t);
    t.ask(TN2, TN2.global);
    assert.ok([VIA1, VIA2].includes(t.lines()[0] as string));
    (goes[0] as (from: typeof TR1) => void)(TR1);
    t.seen();
    t.ask(TN2, TN2.global);
    assert.deepEqual(t.lines().slice(-1), [VIA2]);
    (goes[0] as (from: typeof TR1) => void)(TR2);
    t.seen();
    far(t);
    t.wait(3);
    assert.deepEqual(
      t.lines().filter((l) => !l.includes(' via ')),
      [],
    );
  };
  list.part('2.2.14.B', (t) => ending(t, (from) => t.advertise(from, { lifetime: 0 })));
  list.part('2.2.14.C', (t) =>
    ending(t, (from) => {
      t.advertise(from, { lifetime: 5 });
      t.wait(7);
    }),
  );

  list.part('2.2.15.A', (t) => {
    for (const [seconds, spans] of [
      [10, 40],
      [40, 140],
    ] as const) {
      t.advertise(TR1, { lifetime: 0, reachable: 1_000 * seconds });
      const asked: number[] = [];
      for (let s = 0; s < spans; s++) {
        t.ask(TN1);
        for (let tenth = 0; tenth < 10; tenth++) {
          for (const line of t.lines()) {
            if (!line.startsWith('ns')) continue;
            asked.push(s + tenth / 10);
            t.answer(TN1, TN1.ll);
          }
          t.wait(0.1);
        }
      }
      for (let i = seconds === 10 ? 1 : 2; i < asked.length; i++) {
        const gap = (asked[i] as number) - (asked[i - 1] as number);
        // Half to one and a half of the base, a packet a second later DELAY, five seconds later the probe.
        assert.ok(gap >= 0.5 * seconds + 4.8 && gap <= 1.5 * seconds + 6.3, `${gap} s of ${seconds}`);
      }
      assert.ok(asked.length >= 2);
    }
  });

  /** RFC 4861 §6.3.4: a link address in an advertisement that is another makes STALE. */
  const cache: readonly [string, 'reachable' | 'stale' | 'probing', string | null][] = [
    ['C', 'reachable', OTHER.mac],
    ['D', 'reachable', TR1.mac],
    ['E', 'reachable', null],
    ['F', 'probing', OTHER.mac],
    ['G', 'probing', TR1.mac],
    ['H', 'probing', null],
    ['I', 'stale', OTHER.mac],
    ['J', 'stale', TR1.mac],
    ['K', 'stale', null],
  ];
  list.part('2.2.16.A', (t) => {
    t.advertise(TR1, withLink(TR1.mac));
    t.isStale(TR1);
  });
  list.part('2.2.16.B', (t) => {
    t.incomplete(TR1);
    t.advertise(TR1, withLink(TR1.mac));
    t.sends(`reply ${TR1.ll} via TR1`);
    t.wait(5.2);
    t.sends(`ns ${TR1.ll} via TR1`);
  });
  for (const [letter, state, mac] of cache)
    list.part(`2.2.16.${letter}`, (t) => {
      t[state](TR1);
      t.advertise(TR1, withLink(mac));
      t.sends();
      if (mac === OTHER.mac) t.isStale(TR1, TR1.ll, 'other');
      else if (state === 'reachable') t.isReachable(TR1);
      else if (state === 'stale') t.isStale(TR1);
      else t.isProbing(TR1);
    });
  for (const [letter, mac] of [
    ['A', null],
    ['B', TR1.mac],
    ['C', OTHER.mac],
  ] as const)
    list.part(`2.2.17.${letter}`, (t) => {
      t.incomplete(TR1);
      t.answer(TR1, TR1.ll, 0x60);
      t.sends(`reply ${TR1.ll} via TR1`);
      t.advertise(TR1, { ...withLink(mac), reachable: 0 });
      far(t, `reply ${TN2.global} via ${mac === OTHER.mac ? 'other' : 'TR1'}`);
    });

  list.part('2.2.18', (t) => {
    t.advertise(TR1, { ...withLink(TR1.mac), lifetime: 600, reachable: 0 });
    far(t, VIA1);
  });
  list.part('2.2.19', (t) => {
    t.setup();
    t.advertise(TR1, { options: [prefixOption('2001:db8:104::', 96, 0xc0, 20, 20)] });
    assert.ok(!t.addresses().some((a) => a.startsWith('2001:db8:104')));
    t.isNone(TN1, '2001:db8:104::a1');
  });
  list.part('2.2.21.A', (t) => {
    two(t);
    t.advertise(TR2, { flags: 0x08 });
    far(t, VIA2);
    t.advertise(TR1, { flags: 0x18 });
    far(t, VIA2);
  });
  list.part('2.2.21.B', (t) => {
    two(t);
    t.advertise(TR1, { flags: 0x18 });
    t.advertise(TR2, { flags: 0x10 });
    far(t, VIA2);
  });
  list.part('2.2.23', (t) => {
    two(t);
    t.advertise(TR1, { flags: 0x08, options: [] });
    t.advertise(TR2, { options: [routeOption('2001:db8:101::', 48, 0, 10)] });
    far(t, VIA2);
    t.wait(11);
    far(t, VIA1);
  });

  const searched = (lifetime: number): Uint8Array =>
    hex(`1f04 0000 ${lifetime.toString(16).padStart(8, '0')} 0474657374 076578616d706c65 03636f6d 00 000000000000`.replace(/ /g, ''));
  const learned: readonly [string, (lifetime: number) => Uint8Array, (t: Nut) => readonly string[], string][] = [
    ['A', (s) => rdnssOption(s, '2001:db8:100::53'), (t) => t.stack.v6.names.resolvers.map((r) => r.value.toString()), '2001:db8:100::53'],
    ['D', searched, (t) => t.stack.v6.names.domains.map((d) => d.value), 'test.example.com'],
  ];
  for (const [first, option, known, value] of learned) {
    const letter = (i: number): string => String.fromCharCode(first.charCodeAt(0) + i);
    const tell = (t: Nut, lifetime: number): void => t.advertise(TR1, { options: [option(lifetime)] });
    list.part(`2.2.25.${letter(0)}`, (t) => {
      tell(t, 60);
      assert.deepEqual(known(t), [value]);
    });
    list.part(`2.2.25.${letter(1)}`, (t) => {
      tell(t, 60);
      tell(t, 0);
      assert.deepEqual(known(t), []);
    });
    list.part(`2.2.25.${letter(2)}`, (t) => {
      tell(t, 60);
      t.wait(65);
      assert.deepEqual(known(t), []);
    });
  }

  list.part('2.2.26', (t) => {
    const whole = icmp6(134, 0, 1_800, concat(new Uint8Array(8), sourceLink(TR1.mac), prefixOption(PREFIX, 64, 0xc0, 600, 600)), TR1.ll, 'ff02::1');
    for (const [from, to] of [
      [0, 32],
      [32, whole.length],
    ] as const) {
      const payload = concat(fragmentHeader(58, from, to < whole.length, 5), whole.subarray(from, to));
      t.ip6({ src: TR1.ll, dst: 'ff02::1', hops: 255, next: 44, payload }, hex('333300000001'), TR1.mac);
    }
    t.dropped({ FragmentAtomicNd: 1 });
    t.isNone(TR1);
    assert.deepEqual(t.addresses(), [`${LL}/64 preferred`]);
  });
});
