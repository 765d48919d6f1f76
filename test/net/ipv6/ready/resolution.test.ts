import assert from 'node:assert/strict';
import { GLOBAL, LL, type Nut, OTHER, Parts, PREFIX, TN1, TN2, TR1 } from '../../../support/ready.js';
import { hex } from '../../../support/wire.js';
import { octets6, prefixOption, sourceLink } from '../../../support/wire6.js';

const GROUP = 'ff02::1:ff00:1';
/** A solicitation of TN1 for the node's link-local address; `mac` null: no link address. */
const solicit = (t: Nut, dst: string, mac: string | null = TN1.mac): void => t.ns(LL, mac === null ? [] : [sourceLink(mac)], { src: TN1.ll, dst });
/** The answer to it: a router says that it is one. */
const na = (t: Nut, via = 'TN1'): string => `na ${LL} > ${TN1.ll} ${t.role === 'router' ? '111' : '011'} via ${via}`;

describe('IPv6 Ready Logo: RFC 4861, address resolution and unreachability', () => {
  const list = new Parts(import.meta.url);
  after(() => list.end());

  list.part('2.1.1.A', (t) => t.isNone(TN1));
  list.part('2.1.1.B', (t) => {
    t.advertise(TR1);
    t.isNone(TN1, TN1.global);
  });
  list.part('2.1.1.C', (t) => {
    t.advertise(TR1);
    t.ask(TN2, TN2.global);
    t.sends(`ns ${TR1.ll}`);
  });

  list.part('2.1.2.A', (t) => {
    t.ask(TN1);
    t.ask(TN1);
    t.ask(TN1);
    t.sends(`ns ${TN1.ll}`);
    t.answer(TN1, TN1.ll);
    const replies = t.seen();
    assert.deepEqual(
      replies.map((p) => [p.toMac, p.payload[7]]),
      [1, 2, 3].map((n) => [TN1.mac, n]),
    );
  });
  list.part('2.1.2.B', (t) => {
    t.setup();
    for (let i = 0; i < 3; i++) t.ask(TN1);
    for (let i = 0; i < 4; i++) t.ask(TN1, TN1.global);
    t.sends(`ns ${TN1.ll}`, `ns ${TN1.global}`);
    t.answer(TN1, TN1.ll);
    t.sends(...Array<string>(3).fill(`reply ${TN1.ll} via TN1`));
    t.answer(TN1, TN1.global);
    t.sends(...Array<string>(4).fill(`reply ${TN1.global} via TN1`));
  });

  list.part('2.1.3', (t) => {
    t.advertise(TR1, { options: [prefixOption(PREFIX, 64, 0x40, 20, 20)] });
    t.ask(TN1, TN1.global);
    t.sends(`ns ${TR1.ll}`); // not on-link: to the router
    t.advertise(TR1, { options: [prefixOption(PREFIX, 64, 0xc0, 20, 20)] });
    t.wait(4);
    t.seen();
    t.isNone(TN1, TN1.global);
    t.advertise(TR1, { options: [prefixOption(PREFIX, 64, 0x40, 20, 20)] });
    t.wait(4);
    t.seen();
    t.isNone(TN1, TN1.global); // L=0 says nothing: RFC 4861 §6.3.4
  });
  const short = { lifetime: 20, reachable: 600_000, options: [prefixOption(PREFIX, 64, 0xc0, 10, 10)] };
  list.part('2.1.4.A', (t) => {
    t.advertise(TR1, short);
    t.wait(8);
    t.isNone(TN1, TN1.global);
  });
  list.part('2.1.4.B', (t) => {
    t.advertise(TR1, short);
    t.wait(8);
    t.advertise(TR1, short);
    t.wait(8);
    t.isNone(TN1, TN1.global);
  });

  for (const [id, src] of [
    ['2.1.5.A', TN1.ll],
    ['2.1.5.B', TN1.global],
  ] as const)
    list.part(id, (t, role) => {
      for (const seconds of role === 'host' ? [1, 5] : [1]) {
        t.setup({ retrans: 1_000 * seconds });
        t.ask(TN1, src);
        for (let i = 0; i < 3; i++) {
          const m = t.message();
          assert.deepEqual([m.type, m.hops, m.src, m.dst], [135, 255, src === TN1.ll ? LL : GLOBAL, 'ff02::1:ff00:a1']);
          assert.deepEqual(m.body.subarray(16), sourceLink('020000000001'));
          t.wait(seconds - 0.05);
          t.sends();
          t.wait(0.06);
        }
        t.isNone(TN1, src); // at once
        t.wait(30);
        t.seen();
      }
    });
  for (const [id, src, dst] of [
    ['2.1.6.A', TN1.ll, LL],
    ['2.1.6.B', TN1.global, GLOBAL],
    ['2.1.6.C', TN1.ll, GLOBAL],
    ['2.1.6.D', TN1.global, LL],
  ] as const)
    list.part(id, (t) => {
      t.setup();
      t.ask(TN1, src, dst);
      t.sends(`ns ${src}`);
      t.answer(TN1, src);
      t.sends(`reply ${src} via TN1`);
      t.wait(46);
      t.ask(TN1, src, dst);
      t.sends(`reply ${src} via TN1`);
      t.wait(5.01);
      for (let i = 0; i < 3; i++) {
        const m = t.message();
        assert.deepEqual([m.type, m.dst, m.toMac, [LL, GLOBAL].includes(m.src)], [135, src, TN1.mac, true]);
        t.wait(0.97);
        t.sends();
        t.wait(0.03);
      }
      t.wait(5);
      t.sends();
      t.isNone(TN1, src);
    });

  const invalid: readonly [string, (t: Nut) => void][] = [
    ['A', (t) => t.ns('ff02::1', [sourceLink(TN1.mac)], { src: TN1.ll, dst: LL })],
    ['B', (t) => t.ns(LL, [], { src: '::', dst: 'ff02::1' })],
    ['C', (t) => t.ns(LL, [sourceLink(TN1.mac)], { src: '::', dst: GROUP })],
    ['D', (t) => t.ns(LL, [sourceLink(TN1.mac)], { src: TN1.ll, dst: GROUP, hops: 254 })],
    ['E', (t) => t.spoilt(() => solicit(t, GROUP))],
    ['F', (t) => t.icmp(135, 1, 0, octets6(LL), { src: TN1.ll, dst: GROUP, hops: 255 })],
    ['G', (t) => t.icmp(135, 0, 0, octets6(LL).subarray(0, 14), { src: TN1.ll, dst: GROUP, hops: 255 })],
    ['H', (t) => t.ns(LL, [hex('0100 0200000000a1')], { src: TN1.ll, dst: GROUP })],
  ];
  for (const [letter, send] of invalid)
    list.part(`2.1.7.${letter}`, (t) => {
      send(t);
      t.sends();
      t.isNone(TN1);
    });

  const probes = (t: Nut, via = 'TN1'): void => {
    t.wait(5.2);
    t.sends(`ns ${TN1.ll} via ${via}`);
  };
  for (const [letter, dst] of [
    ['A', LL],
    ['B', GROUP],
  ] as const) {
    list.part(`2.1.8.${letter}`, (t) => {
      solicit(t, dst);
      t.sends(na(t));
      t.ask(TN1);
      t.sends(`reply ${TN1.ll} via TN1`);
      probes(t);
    });
    list.part(`2.1.9.${letter}`, (t) => {
      t.incomplete(TN1);
      solicit(t, dst);
      t.sends(`reply ${TN1.ll} via TN1`, na(t));
      t.ask(TN1);
      t.sends(`reply ${TN1.ll} via TN1`);
      probes(t);
    });
  }
  list.part('2.1.8.C', (t) => {
    solicit(t, LL, null);
    t.sends(`ns ${TN1.ll}`);
    t.ask(TN1);
    t.isIncomplete(TN1.ll);
  });
  list.part('2.1.9.C', (t) => {
    t.incomplete(TN1);
    solicit(t, LL, null);
    t.sends();
    t.isIncomplete(TN1.ll);
  });

  const forms: readonly [string, string, boolean][] = [
    ['A', LL, false],
    ['B', LL, true],
    ['C', GROUP, false],
    ['D', GROUP, true],
  ];
  for (const [letter, dst, moved] of forms) {
    const s = moved ? OTHER : TN1;
    list.part(`2.1.10.${letter}`, (t) => {
      t.reachable(TN1);
      solicit(t, dst, s.mac);
      t.sends(na(t, s.name));
      t.ask(TN1);
      t.sends(`reply ${TN1.ll} via ${s.name}`);
      if (moved) probes(t, s.name);
      else {
        t.wait(5.2);
        t.sends();
      }
    });
    list.part(`2.1.11.${letter}`, (t) => {
      t.stale(TN1);
      solicit(t, dst, s.mac);
      t.sends(na(t, s.name));
      t.ask(TN1);
      t.sends(`reply ${TN1.ll} via ${s.name}`);
      probes(t, s.name);
    });
    list.part(`2.1.12.${letter}`, (t) => {
      t.probing(TN1);
      solicit(t, dst, s.mac);
      t.sends(na(t, s.name));
      t.ask(TN1);
      t.sends(`reply ${TN1.ll} via ${s.name}`);
      if (moved) probes(t, s.name);
      else t.isProbing(TN1);
    });
  }

  for (const [letter, dst, mac] of [
    ['A', LL, null],
    ['B', LL, TR1.mac],
    ['C', GROUP, TR1.mac],
  ] as const)
    list.part(`2.1.13.${letter}`, (t) => {
      t.setup();
      t.ask(TN2, TN2.global);
      t.sends(`reply ${TN2.global} via TR1`);
      t.ns(LL, mac === null ? [] : [sourceLink(mac)], { src: TR1.ll, dst });
      t.sends(`na ${LL} > ${TR1.ll} 011 via TR1`);
      t.ask(TN2, TN2.global);
      t.sends(`reply ${TN2.global} via TR1`);
    });
  list.part('2.1.14', (t) => {
    t.ns(PREFIX, [sourceLink(TN1.mac)], { src: TN1.ll, dst: 'ff02::1:ff00:0' });
    t.wait(1.1);
    assert.deepEqual(t.lines(), [`na ${PREFIX} > ${TN1.ll} 110 via TN1`]); // no override: RFC 4861 §7.2.7
  });
});
