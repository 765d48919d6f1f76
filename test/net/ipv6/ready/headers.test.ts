import assert from 'node:assert/strict';
import { fragmentHeader, header, LL, type Nut, Parts, TN1, TN2, TR1 } from '../../../support/ready.js';
import { concat, hex } from '../../../support/wire.js';
import type { Ipv6Fields } from '../../../support/wire6.js';

/** A packet of TN1's with an echo request behind `before`, whose last header names it. */
const packet = (t: Nut, next: number, before: Uint8Array, fields: Ipv6Fields = {}): void => {
  const src = fields.src ?? TN1.ll;
  const dst = fields.dst ?? LL;
  const mac = dst.startsWith('ff') ? hex('333300000001') : t.mac;
  t.ip6({ next, payload: concat(before, t.question(src, dst)), ...fields, src, dst }, mac, TN1.mac);
};
/** An eight-octet routing header. */
const routing = (type: number, left: number): Uint8Array => Uint8Array.from([58, 0, type, left, 0, 0, 0, 0]);
const REPLY = `reply ${TN1.ll} via TN1`;
const problem = (code: number, pointer: number): string => `error 4/${code} ${pointer} > ${TN1.ll}`;
/** Next headers that nobody has: RFC 5237; 0 and the extension headers are others' parts. */
const FREE = [143, 144, 200, 252];

describe('IPv6 Ready Logo: RFC 8200, headers', () => {
  const list = new Parts(import.meta.url);
  after(() => list.end());
  const part = (id: string, body: (t: Nut) => void): void =>
    list.part(id, (t) => {
      t.setup();
      t.reachable(TN1);
      body(t);
    });
  /** A packet from behind TR1 to a neighbour on the other side of the link: the router has one link, both sides are on it. */
  const forwarding = (id: string, body: (t: Nut) => void): void =>
    part(id, (t) => {
      t.route('2001:db8:101::', 48, TR1.ll);
      t.stack.ctx.sysctl.set('net.ipv6.conf.all.send_redirects', 0);
      body(t);
    });

  part('1.1.1', (t) => {
    for (const version of [0, 4, 5, 7, 15]) packet(t, 58, new Uint8Array(0), { version });
    t.sends();
    t.ask(TN1);
    t.sends(REPLY);
  });
  part('1.1.2', (t) => {
    packet(t, 58, new Uint8Array(0), { tclass: 32 });
    t.sends(REPLY);
  });
  part('1.1.4.A', (t) => {
    packet(t, 58, new Uint8Array(0), { flow: 0x34567 });
    t.sends(REPLY);
  });
  for (const [id, size] of [
    ['1.1.5.A', 0x33],
    ['1.1.5.C', 0x32],
  ] as const)
    part(id, (t) => {
      t.ask(TN1, TN1.ll, LL, size - 8);
      assert.equal(t.one().payload.length, size);
    });
  part('1.1.6.A', (t) => {
    packet(t, 59, new Uint8Array(0));
    t.sends();
  });
  part('1.1.7.A', (t) => {
    for (const next of FREE) {
      packet(t, next, new Uint8Array(0));
      t.sends(problem(1, 6));
    }
  });
  part('1.1.7.B', (t) => {
    packet(t, 0, fragmentHeader(58, 0, false, 0x8700)); // as options: two Pad1, then 0x87
    t.sends(problem(2, 46));
  });
  part('1.1.8', (t) => {
    packet(t, 58, new Uint8Array(0), { hops: 0 });
    t.sends(REPLY);
  });

  const onward = (t: Nut, fields: Ipv6Fields = {}, before: Uint8Array = new Uint8Array(0), next = 58): ReturnType<Nut['seen']> => {
    packet(t, next, before, { src: TN1.global, dst: TN2.global, hops: 9, ...fields });
    return t.seen();
  };
  forwarding('1.1.3', (t) =>
    assert.deepEqual(
      [onward(t, { tclass: 32 })].flat().map((p) => [p.tclass, p.dst, p.toMac]),
      [[32, TN2.global, TR1.mac]],
    ),
  );
  forwarding('1.1.4.B', (t) => assert.equal(onward(t, { flow: 0x34567 })[0]?.flow, 0x34567));
  forwarding('1.1.5.B', (t) => {
    t.ask(TN1, TN1.global, TN2.global, 0x33 - 8);
    assert.equal(t.one().payload.length, 0x33);
  });
  forwarding('1.1.6.B', (t) => assert.equal(onward(t, {}, new Uint8Array(0), 59)[0]?.next, 59));
  forwarding('1.1.9', (t) => assert.equal(onward(t, { hops: 15 })[0]?.hops, 14));
  for (const [id, fields, passes] of [
    ['1.1.10.A', {}, true],
    ['1.1.10.B', { src: '2001:db8:100::', dst: '2001:db8:101:8000::' }, true],
    ['1.1.10.C', { src: '::' }, false],
    ['1.1.10.D', { dst: '::1' }, false],
    ['1.1.10.F', { dst: 'fe80::77' }, false],
    ['1.1.10.G', { dst: 'fec0:0:0:101::77' }, true],
    ['1.1.10.I', { dst: 'ff02::77' }, false],
  ] as const)
    forwarding(id, (t) =>
      assert.deepEqual(
        onward(t, fields).map((p) => [p.toMac, p.hops]),
        passes ? [[TR1.mac, 8]] : [],
      ),
    );
  forwarding('1.1.10.E', (t) => {
    t.route('2001:db8:103::', 48, null, t.second());
    packet(t, 58, new Uint8Array(0), { src: TN1.ll, dst: '2001:db8:103::1' });
    t.sends(`error 1/2 0 > ${TN1.ll}`);
  });
  forwarding('1.2.2.B', (t) => assert.equal(onward(t, {}, header(59), 60)[0]?.next, 60));

  part('1.2.1', (t) => {
    packet(t, 0, concat(header(0), header(58)));
    t.sends(problem(1, 40));
  });
  part('1.2.2.A', (t) => {
    packet(t, 60, header(59));
    t.sends();
  });
  part('1.2.3.A', (t) => {
    for (const next of FREE) {
      packet(t, 60, header(next));
      t.sends(problem(1, 40));
    }
  });
  part('1.2.3.B', (t) => {
    packet(t, 60, concat(header(60), hex('3a00 8704 00000000')));
    t.sends(problem(2, 0x32));
  });
  const cut = hex('8000 0000 ffff 0001 0102030405'); // thirteen octets of a first fragment: no multiple of 8
  for (const [id, first, payload, answer] of [
    ['1.2.4.A', 0, concat(header(60), header(44, 0x87), fragmentHeader(58, 0, true, 1), cut), problem(2, 0x32)],
    ['1.2.4.B', 0, concat(header(60), header(44, 7), fragmentHeader(58, 0, true, 2), cut), problem(0, 4)],
    ['1.2.4.C', 0, concat(header(44), fragmentHeader(60, 0, true, 3), header(58, 0x87), cut), problem(0, 4)],
    ['1.2.4.D', 0, concat(header(44), fragmentHeader(60, 0, false, 4), header(58, 0x87), cut), problem(2, 0x3a)],
  ] as const)
    part(id, (t) => {
      t.ip6({ src: TN1.ll, dst: LL, next: first, payload }, t.mac, TN1.mac);
      t.sends(answer);
    });
  for (const [id, second, answer] of [
    ['1.2.5.A', '47', []],
    ['1.2.5.B', '87', [problem(2, 0x30)]],
    ['1.2.5.C', 'c7', [problem(2, 0x30)]],
  ] as const)
    part(id, (t) => {
      packet(t, 60, hex(`3a01 0704 00000000 ${second}04 00000000 0100`));
      t.sends(...answer);
    });

  const options: readonly [string, Uint8Array, string, readonly string[]][] = [
    ['A', hex('3a00 000000000000'), LL, [REPLY]],
    ['B', header(58), LL, [REPLY]],
    ['C', header(58, 0x07), LL, [REPLY]],
    ['D', header(58, 0x47), LL, []],
    ['E', header(58, 0x87), LL, [problem(2, 42)]],
    ['F', header(58, 0xc7), LL, [problem(2, 42)]],
    ['G', header(58, 0x87), 'ff02::1', [problem(2, 42)]],
    ['H', header(58, 0xc7), 'ff02::1', []],
  ];
  for (const [id, next] of [
    ['1.2.6', 0],
    ['1.2.8', 60],
  ] as const)
    for (const [letter, extension, dst, answers] of options)
      part(`${id}.${letter}`, (t) => {
        packet(t, next, extension, { dst });
        t.sends(...answers);
      });
  for (const [letter, extension, dst, answers] of options.slice(0, 6).concat(options.slice(7)))
    forwarding(`1.2.7.${letter}`, (t) => {
      t.reachable(TN1, TN1.global);
      packet(t, 0, extension, { src: TN1.global, dst: dst === LL ? TN2.global : dst });
      t.sends(...answers.map((a) => (a === REPLY ? `protocol 0 ${TN2.global} via TR1` : a.replace(TN1.ll, TN1.global))));
    });

  for (const [id, type] of [
    ['1.2.9.A', 33],
    ['1.2.9.B', 0],
  ] as const)
    part(id, (t) => {
      packet(t, 43, routing(type, 0));
      t.sends(REPLY);
    });
  for (const [id, type] of [
    ['1.2.10.A', 33],
    ['1.2.10.B', 0],
  ] as const)
    part(id, (t) => {
      packet(t, 43, routing(type, 1));
      t.sends(problem(0, 42));
    });
});
