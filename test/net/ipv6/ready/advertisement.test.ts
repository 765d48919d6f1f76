import { fragmentHeader, LL, type Nut, OTHER, Parts, TN1, TN2, TR1 } from '../../../support/ready.js';
import { concat, hex } from '../../../support/wire.js';
import { icmp6, octets6, sourceLink, targetLink } from '../../../support/wire6.js';

const ALL = 'ff02::1';
/** S and O by the position in a row of four: RFC 4861 §4.4. */
const FLAGS = [0x00, 0x20, 0x40, 0x60];
/** The advertisements of 2.1.18 to 2.1.20 in their order: link address (null: none), flags, to the group? */
const forms: readonly (readonly [string | null, number, boolean])[] = [
  ...[null, TN1.mac, OTHER.mac].flatMap((mac) => FLAGS.map((flags) => [mac, flags, false] as const)),
  ...[TN1.mac, OTHER.mac, null].flatMap((mac) => FLAGS.slice(0, 2).map((flags) => [mac, flags, true] as const)),
];
const letter = (i: number): string => String.fromCharCode(65 + i);

describe('IPv6 Ready Logo: RFC 4861, neighbour advertisements', () => {
  const list = new Parts(import.meta.url);
  after(() => list.end());
  const at = { src: TN1.ll, dst: LL };

  const invalid: readonly [string, (t: Nut) => void][] = [
    ['A', (t) => t.na(TN1.ll, 0x60, [targetLink(TN1.mac)], { ...at, dst: ALL })],
    ['B', (t) => t.na(TN1.ll, 0x60, [targetLink(TN1.mac)], { ...at, hops: 254 })],
    ['C', (t) => t.spoilt(() => t.answer(TN1, TN1.ll))],
    ['D', (t) => t.icmp(136, 1, 0x60000000, concat(octets6(TN1.ll), targetLink(TN1.mac)), { ...at, hops: 255 })],
    ['E', (t) => t.icmp(136, 0, 0x60000000, octets6(TN1.ll).subarray(0, 8), { ...at, hops: 255 })],
    ['F', (t) => t.na(ALL, 0x60, [targetLink(TN1.mac)], at)],
    ['G', (t) => t.na(TN1.ll, 0x60, [hex('0200 0200000000a1')], at)],
  ];
  for (const [part, send] of invalid)
    list.part(`2.1.15.${part}`, (t) => {
      t.incomplete(TN1);
      send(t);
      t.sends();
      t.isIncomplete(TN1.ll);
    });

  [TN1.mac, null].forEach((mac, row) =>
    FLAGS.forEach((flags, i) =>
      list.part(`2.1.16.${letter(4 * row + i)}`, (t) => {
        t.answer(TN1, TN1.ll, flags, mac, { dst: flags & 0x40 ? LL : ALL });
        t.sends();
        t.isNone(TN1);
      }),
    ),
  );

  [0x60, 0x40, 0x20, 0x00].forEach((flags, i) =>
    list.part(`2.1.17.${letter(i)}`, (t) => {
      t.incomplete(TN1);
      t.answer(TN1, TN1.ll, flags);
      t.sends(`reply ${TN1.ll} via TN1`);
      if (flags & 0x40) t.isReachable(TN1);
      else {
        t.wait(5.2); // STALE; what waited made it DELAY
        t.sends(`ns ${TN1.ll} via TN1`);
      }
    }),
  );
  list.part('2.1.17.E', (t) => {
    t.incomplete(TN1);
    t.answer(TN1, TN1.ll, 0x60, null);
    t.sends();
    t.isIncomplete(TN1.ll);
  });

  /** RFC 4861 §7.2.5, appendix C: [state, link address] after an advertisement in REACHABLE, STALE or PROBE. */
  const expected = (state: 'reachable' | 'stale' | 'probing', mac: string | null, flags: number): [string, string] => {
    const other = mac === OTHER.mac;
    if (other && !(flags & 0x20)) return [state === 'reachable' ? 'stale' : state, 'TN1'];
    if (flags & 0x40) return ['reachable', other ? 'other' : 'TN1'];
    return other ? ['stale', 'other'] : [state, 'TN1'];
  };
  for (const [id, state] of [
    ['2.1.18', 'reachable'],
    ['2.1.19', 'stale'],
    ['2.1.20', 'probing'],
  ] as const)
    forms.forEach(([mac, flags, group], i) =>
      list.part(`${id}.${letter(i)}`, (t) => {
        t[state](TN1);
        t.answer(TN1, TN1.ll, flags, mac, { dst: group ? ALL : LL });
        t.sends();
        const [now, via] = expected(state, mac, flags);
        if (now === 'reachable') t.isReachable(TN1, TN1.ll, via);
        else if (now === 'stale') t.isStale(TN1, TN1.ll, via);
        else t.isProbing(TN1, TN1.ll, via);
      }),
    );

  [null, TR1.mac].forEach((mac, row) =>
    [0x60, 0x00, 0x20, 0x40].forEach((flags, i) =>
      list.part(`2.1.21.${letter(4 * row + i)}`, (t) => {
        t.advertise(TR1);
        t.ask(TN2, TN2.global);
        t.sends(`ns ${TR1.ll}`);
        t.answer(TR1, TR1.ll);
        t.sends(`reply ${TN2.global} via TR1`);
        t.answer(TR1, TR1.ll, flags, mac);
        t.ask(TN2, TN2.global);
        t.wait(3);
        t.sends();
      }),
    ),
  );

  /** An ICMPv6 message of TN1's in two fragments: RFC 6980 §5. */
  const inFragments = (t: Nut, type: number, rest: number, body: Uint8Array): void => {
    const whole = icmp6(type, 0, rest, body, TN1.ll, LL);
    for (const [from, to] of [
      [0, 16],
      [16, whole.length],
    ] as const)
      t.ip6(
        { ...at, hops: 255, next: 44, payload: concat(fragmentHeader(58, from, to < whole.length, 5), whole.subarray(from, to)) },
        t.mac,
        TN1.mac,
      );
  };
  list.part('2.1.22', (t) => {
    inFragments(t, 135, 0, concat(octets6(LL), sourceLink(TN1.mac)));
    t.dropped({ FragmentAtomicNd: 1 });
    t.isNone(TN1);
  });
  list.part('2.1.23', (t) => {
    t.incomplete(TN1);
    inFragments(t, 136, 0x60000000, concat(octets6(TN1.ll), targetLink(TN1.mac)));
    t.dropped({ FragmentAtomicNd: 1 });
    t.isIncomplete(TN1.ll);
  });
});
