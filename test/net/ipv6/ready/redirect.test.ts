import { type From, fragmentHeader, GLOBAL, LL, type Nut, OTHER, Parts, PREFIX, TN1, TN2, TR1, TR2, TR3 } from '../../../support/ready.js';
import { concat, hex } from '../../../support/wire.js';
import { icmp6, ipv6, mtuOption, octets6, prefixOption, sourceLink, targetLink } from '../../../support/wire6.js';

const VIA1 = `reply ${TN2.global} via TR1`;
const VIA2 = `reply ${TN2.global} via TR2`;
/** A redirected header option with `size` octets of the packet. */
const quoted = (size = 96): Uint8Array => {
  const packet = ipv6({ src: GLOBAL, dst: TN2.global, next: 58, payload: new Uint8Array(size - 40) });
  return concat(Uint8Array.from([4, 1 + size / 8, 0, 0, 0, 0, 0, 0]), packet);
};
const LONG = 1_352; // with its message past 1,280 octets

describe('IPv6 Ready Logo: RFC 4861, redirects', () => {
  const list = new Parts(import.meta.url);
  after(() => list.end());
  const far = (t: Nut, ...lines: string[]): void => {
    t.ask(TN2, TN2.global);
    t.sends(...lines);
  };
  /** Common setup, and a first answer through TR1. */
  const part = (id: string, body: (t: Nut) => void): void =>
    list.part(id, (t) => {
      t.setup();
      far(t, VIA1);
      body(t);
    });

  const options: readonly [string, Uint8Array[], string | null][] = [
    ['A', [], null],
    ['B', [quoted()], null],
    ['C', [targetLink(TN2.mac)], 'TN2'],
    ['D', [targetLink(TN2.mac), quoted()], 'TN2'],
  ];
  const onLink = (t: Nut, known: boolean): void => {
    if (!known) {
      far(t, `ns ${TN2.global}`);
      t.answer(TN2, TN2.global);
      t.sends(`reply ${TN2.global} via TN2`);
    } else far(t, `reply ${TN2.global} via TN2`);
  };
  const throughTwo = (t: Nut, known: boolean): void => {
    if (!known) {
      far(t, `ns ${TR2.ll}`);
      t.answer(TR2, TR2.ll);
      t.sends(VIA2);
    } else far(t, VIA2);
  };
  for (const [letter, given, known] of options) {
    part(`2.3.1.${letter}`, (t) => {
      t.redirect(TR1, TN2.global, TN2.global, given);
      onLink(t, known !== null);
    });
    part(`2.3.4.${letter}`, (t) => {
      const moved = given.map((o) => (o[0] === 2 ? targetLink(TR2.mac) : o));
      t.redirect(TR1, TN2.global, TR2.ll, moved);
      throughTwo(t, known !== null);
    });
  }
  const unknown = hex('0701 000000000000');
  part('2.3.2.A', (t) => {
    t.redirect(TR1, TN2.global, TN2.global, [unknown, targetLink(TN2.mac)]);
    onLink(t, true);
  });
  part('2.3.2.B', (t) => {
    t.redirect(TR1, TN2.global, TN2.global, [targetLink(TN2.mac)], { reserved: 0xffffffff });
    onLink(t, true);
  });
  part('2.3.2.C', (t) => {
    t.redirect(TR1, '2001:db8:dead::7', '2001:db8:dead::7', [targetLink(TN2.mac)]);
    t.ask(TN2, '2001:db8:dead::7');
    t.sends('reply 2001:db8:dead::7 via TN2');
  });
  part('2.3.5.A', (t) => {
    t.redirect(TR1, TN2.global, TR2.ll, [unknown, targetLink(TR2.mac)]);
    throughTwo(t, true);
  });
  part('2.3.5.B', (t) => {
    t.redirect(TR1, TN2.global, TR2.ll, [targetLink(TR2.mac)], { reserved: 0xffffffff });
    throughTwo(t, true);
  });

  const spoil = (t: Nut, letter: string, destination: string, target: string, mac: string): void => {
    const link = [targetLink(mac)];
    const body = concat(octets6(target), octets6(destination));
    const raw = (message: Uint8Array, fields: From & { code?: number } = {}): void =>
      t.icmp(137, fields.code ?? 0, 0, message, { src: TR1.ll, dst: LL, hops: 255 }, TR1.mac);
    switch (letter) {
      case 'A':
        return t.redirect(TR1, destination, target, link, { src: TR1.global });
      case 'B':
        return t.redirect(TR2, destination, target, link, { src: TR2.ll });
      case 'C':
        return t.redirect(TR1, destination, target, link, { hops: 254 });
      case 'D':
        return t.redirect(TR1, destination, target, link, { code: 1 });
      case 'E':
        return t.spoilt(() => t.redirect(TR1, destination, target, link));
      case 'F':
        return t.redirect(TR1, 'ff02::1', target, link);
      case 'G':
        return t.redirect(TR1, destination, 'ff02::1', link);
      case 'H':
        return raw(body.subarray(0, 24));
      default:
        return raw(concat(body, hex(`0200${mac}`)));
    }
  };
  for (const letter of 'ABCDEFGHI') {
    part(`2.3.3.${letter}`, (t) => {
      spoil(t, letter, TN2.global, TN2.global, TN2.mac);
      far(t, VIA1);
    });
    part(`2.3.6.${letter}`, (t) => {
      spoil(t, letter, TN2.global, TR2.ll, TR2.mac);
      far(t, VIA1);
    });
    part(`2.3.15.${letter}`, (t) => {
      spoil(t, letter, TN2.global, TR2.ll, TR2.mac);
      t.wait(3);
      t.sends();
      t.isNone(TR2);
    });
  }

  part('2.3.7', (t) => {
    t.redirect(TR1, TN2.global, TR2.ll, [targetLink(TR2.mac)]);
    far(t, VIA2);
    t.redirect(TR2, TN2.global, TR3.ll, [targetLink(TR3.mac)]);
    far(t, `reply ${TN2.global} via TR3`);
  });
  for (const [letter, option] of [
    ['A', mtuOption(1_280)],
    ['B', prefixOption(PREFIX, 64, 0xc0, 600, 600)],
    ['C', sourceLink(OTHER.mac)],
  ] as const)
    part(`2.3.8.${letter}`, (t) => {
      t.redirect(TR1, TN2.global, TR2.ll, [option]);
      throughTwo(t, false);
    });
  list.part('2.3.9', (t) => {
    t.setup();
    t.redirect(TR1, TN2.global, TR2.ll, [targetLink(TR2.mac)]);
    far(t, VIA2);
  });

  // The target's entry: RFC 4861 §8.3.
  const forms = (same: boolean): (readonly [string | null, Uint8Array[]])[] => [
    [null, []],
    ...(same ? [[TR2.mac, []] as [string, Uint8Array[]]] : []),
    [OTHER.mac, []],
    [OTHER.mac, [quoted()]],
    [OTHER.mac, [quoted(LONG)]],
  ];
  const letterOf = (i: number): string => String.fromCharCode(65 + i);
  const tell = (t: Nut, mac: string | null, rest: Uint8Array[]): void =>
    t.redirect(TR1, TN2.global, TR2.ll, [...(mac === null ? [] : [targetLink(mac)]), ...rest]);
  forms(false).forEach(([mac, rest], i) => {
    part(`2.3.10.${letterOf(i)}`, (t) => {
      tell(t, mac, rest);
      t.wait(3);
      t.sends();
      if (mac === null) t.isNone(TR2);
      else t.isStale(TR2, TR2.ll, 'other');
    });
    part(`2.3.11.${letterOf(i)}`, (t) => {
      t.incomplete(TR2);
      tell(t, mac, rest);
      if (mac === null) t.isIncomplete(TR2.ll);
      else {
        t.sends(`reply ${TR2.ll} via other`);
        t.wait(5.2);
        t.sends(`ns ${TR2.ll} via other`);
      }
    });
  });
  for (const [id, state] of [
    ['2.3.12', 'reachable'],
    ['2.3.13', 'stale'],
    ['2.3.14', 'probing'],
  ] as const)
    forms(true).forEach(([mac, rest], i) =>
      list.part(`${id}.${letterOf(i)}`, (t) => {
        t.setup();
        t[state](TR2);
        if (state !== 'probing') t.answer(TR1, TR1.ll);
        tell(t, mac, rest);
        t.sends();
        if (mac === OTHER.mac) t.isStale(TR2, TR2.ll, 'other');
        else if (state === 'reachable') t.isReachable(TR2);
        else if (state === 'stale') t.isStale(TR2);
        else t.isProbing(TR2);
      }),
    );

  const forwarded = (id: string, ask: (t: Nut) => void, ...lines: string[]): void =>
    list.part(id, (t) => {
      t.route('2001:db8:101::', 48, TR2.ll);
      t.reachable(TR2);
      t.reachable(TN1, TN1.global);
      t.ns(GLOBAL, [sourceLink(OTHER.mac)], { src: `${PREFIX}77` });
      t.seen();
      ask(t);
      t.sends(...lines);
    });
  forwarded('2.3.16.A', (t) => t.ask(TN1, TN1.global, `${PREFIX}77`), `redirect ${PREFIX}77 to ${PREFIX}77 via TN1`, `echo ${PREFIX}77 via other`);
  forwarded('2.3.16.B', (t) => t.ask(TN1, TN1.global, TN2.global), `redirect ${TN2.global} to ${TR2.ll} via TN1`, `echo ${TN2.global} via TR2`);
  forwarded('2.3.16.C', (t) => t.ask(TN2, '2001:db8:103::1', `${PREFIX}77`), `echo ${PREFIX}77 via other`);
  forwarded('2.3.16.D', (t) => t.ask(TN1, TN1.global, 'ff0e::77'));
  list.part('2.3.17', (t) => {
    t.reachable(TR1);
    t.ask(TN2, TN2.global);
    t.sends(VIA1);
    t.redirect(TR1, TN2.global, TN2.global, [targetLink(TN2.mac)]);
    t.ask(TN2, TN2.global);
    t.sends(VIA1);
    t.dropped({ NdRefused: 1 });
  });
  part('2.3.18', (t) => {
    const whole = icmp6(137, 0, 0, concat(octets6(TN2.global), octets6(TN2.global), targetLink(TN2.mac)), TR1.ll, LL);
    for (const [from, to] of [
      [0, 24],
      [24, whole.length],
    ] as const) {
      const payload = concat(fragmentHeader(58, from, to < whole.length, 5), whole.subarray(from, to));
      t.ip6({ src: TR1.ll, dst: LL, hops: 255, next: 44, payload }, t.mac, TR1.mac);
    }
    t.dropped({ FragmentAtomicNd: 1 });
    far(t, VIA1);
  });
});
