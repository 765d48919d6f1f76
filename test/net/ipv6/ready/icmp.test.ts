import assert from 'node:assert/strict';
import { fragmentHeader, GLOBAL, header, LL, type Nut, Parts, PREFIX, type Station, TN1, TN2, TR1 } from '../../../support/ready.js';
import { address } from '../../../support/stacks.js';
import { concat, hex } from '../../../support/wire.js';
import { type Ipv6Fields, icmp6, ipv6, sourceLink, udp6 } from '../../../support/wire6.js';

const ALL = hex('333300000001');

describe('IPv6 Ready Logo: RFC 4443', () => {
  const list = new Parts(import.meta.url);
  after(() => list.end());
  const part = (id: string, body: (t: Nut) => void): void =>
    list.part(id, (t) => {
      t.setup();
      t.reachable(TN1, TN1.global);
      t.reachable(TN1);
      t.stack.ctx.sysctl.set('net.ipv6.conf.all.send_redirects', 0);
      body(t);
    });
  const send = (t: Nut, fields: Ipv6Fields): void => t.ip6(fields, fields.dst?.startsWith('ff') ? ALL : t.mac, TN1.mac);
  const udp = (t: Nut, src: string, dst: string, size = 8): void =>
    send(t, { src, dst, payload: udp6(9_000, 9_000, new Uint8Array(size), src, dst) });

  part('5.1.1', (t) => {
    const socket = t.stack.raw.openSocket(6, 58);
    const message = icmp6(128, 0, 1, new Uint8Array(8), '::', '::');
    assert.equal(socket.sendTo(message, 0, 16, address(TN1.ll), t.eth0.index), 16);
    t.sends(`echo ${TN1.ll} via TN1`);
    socket.close();
  });
  for (const [id, src, dst, answered] of [
    ['5.1.2.A', TN1.ll, LL, true],
    ['5.1.2.B', TN1.global, GLOBAL, true],
    ['5.1.2.C', TN1.ll, 'ff02::1', true],
    ['5.1.2.D', TN1.ll, 'ff02::2', true],
    ['5.1.2.E', TN1.ll, '::', false],
    ['5.1.2.F', TN1.ll, '::1', false],
  ] as const)
    part(id, (t) => {
      t.ask(TN1, src, dst);
      t.sends(...(answered ? [`reply ${src} via TN1`] : []));
    });
  part('5.1.2.G', (t) => {
    const site = 'fec0::ff:fe00:1';
    t.stack.addAddress(t.eth0, { address: address(site), length: 64 });
    t.wait(2);
    t.seen();
    t.ask(TN1, 'fec0::a1', site);
    t.sends('ns fec0::a1');
    t.answer(TN1, 'fec0::a1');
    t.sends('reply fec0::a1 via TN1');
  });

  const nowhere = (t: Nut): void => {
    t.stack.ip.routes.delete({ family: 6, prefix: address('::'), length: 0, table: 254, vrf: 0 }, () => true);
  };
  part('5.1.3.A', (t) => {
    nowhere(t);
    t.ask(TN1, TN1.global, TN2.global);
    t.sends(`error 1/0 0 > ${TN1.global}`);
  });
  part('5.1.3.B', (t) => {
    t.ask(TN1, TN1.global, `${PREFIX}99`);
    t.sends(`ns ${PREFIX}99`);
    t.wait(3.1);
    t.sends(`ns ${PREFIX}99`, `ns ${PREFIX}99`, `error 1/3 0 > ${TN1.global}`);
  });
  part('5.1.3.E', (t) => {
    t.route('2001:db8:103::', 48, null, t.second());
    t.ask(TN1, TN1.ll, '2001:db8:103::1');
    t.sends(`error 1/2 0 > ${TN1.ll}`);
  });
  part('5.1.3.C', (t) => {
    udp(t, TN1.ll, LL);
    t.sends(`error 1/4 0 > ${TN1.ll}`);
  });
  part('5.1.3.D', (t) => {
    udp(t, TN1.global, GLOBAL);
    t.sends(`error 1/4 0 > ${TN1.global}`);
  });
  /** A way over 1,280 octets. */
  const narrow = (t: Nut): void => {
    t.stack.ip.routes.add({
      family: 6,
      prefix: address('2001:db8:101::'),
      length: 48,
      type: 'unicast',
      index: t.eth0.index,
      gateway: address(TR1.ll),
      source: null,
      metric: 1,
      mtu: 1_280,
      table: 254,
      vrf: 0,
      protocol: 'static',
    });
  };
  part('5.1.4.A', (t) => {
    narrow(t);
    t.ask(TN1, TN1.global, TN2.global, 1_400);
    const m = t.message();
    assert.deepEqual([m.type, m.code, m.rest, m.dst, m.payload.length + 40], [2, 0, 1_280, TN1.global, 1_280]);
  });
  for (const [id, hops] of [
    ['5.1.5.A', 0],
    ['5.1.5.B', 1],
  ] as const)
    part(id, (t) => {
      send(t, { src: TN1.global, dst: TN2.global, next: 58, hops, payload: t.question(TN1.global, TN2.global) });
      t.sends(`error 3/0 0 > ${TN1.global}`);
    });
  part('5.1.6', (t) => {
    const first = t.question(TN1.global, GLOBAL, 80).subarray(0, 29);
    send(t, { src: TN1.global, dst: GLOBAL, next: 44, payload: concat(fragmentHeader(58, 0, true, 1), first) });
    t.sends(`error 4/0 4 > ${TN1.global}`);
  });
  part('5.1.7', (t) => {
    send(t, { src: TN1.global, dst: GLOBAL, next: 252, payload: new Uint8Array(8) });
    t.sends(`error 4/1 6 > ${TN1.global}`);
  });
  part('5.1.8', (t) => {
    t.icmp(254, 0, 0, new Uint8Array(8), { src: TN1.ll, dst: LL }, TN1.mac);
    t.sends();
  });

  const inner = ipv6({ src: TN2.global, dst: TN1.global, next: 58, payload: new Uint8Array(40) });
  const about = (t: Nut, type: number, code: number, dst: string, hops = 64): void => {
    t.icmp(type, code, type === 2 ? 1_280 : 0, inner, { src: TN1.global, dst, hops }, TN1.mac);
    t.wait(5);
    assert.deepEqual(
      t.lines().filter((l) => l.startsWith('error')),
      [],
    );
  };
  part('5.1.9.A', (t) => about(t, 1, 0, `${PREFIX}99`));
  part('5.1.9.B', (t) => about(t, 1, 3, TN2.global, 0));
  part('5.1.9.C', (t) => {
    nowhere(t);
    about(t, 3, 0, TN2.global);
  });
  part('5.1.9.D', (t) => {
    nowhere(t);
    about(t, 3, 1, TN2.global);
  });
  part('5.1.9.E', (t) => about(t, 2, 0, `${PREFIX}99`));
  part('5.1.9.F', (t) => about(t, 4, 0, TN2.global, 0));

  const silent = (t: Nut): void => {
    t.wait(61);
    assert.deepEqual(
      t.lines().filter((l) => l.startsWith('error')),
      [],
    );
  };
  /** The first fragment of an echo request, and no more of it. */
  const half = (t: Nut, src: string, dst: string): void =>
    send(t, { src, dst, next: 44, payload: concat(fragmentHeader(58, 0, true, 9), t.question(src, dst, 80).subarray(0, 32)) });
  part('5.1.10.A', (t) => {
    udp(t, TN1.ll, 'ff02::1');
    silent(t);
  });
  part('5.1.10.B', (t) => {
    half(t, TN1.ll, 'ff02::1');
    silent(t);
  });
  for (const [id, src] of [
    ['5.1.11', '::'],
    ['5.1.12', 'ff0e::77'],
  ] as const) {
    part(`${id}.A`, (t) => {
      udp(t, src, GLOBAL);
      silent(t);
    });
    part(`${id}.B`, (t) => {
      narrow(t);
      udp(t, src, TN2.global, 1_400);
      silent(t);
    });
    part(`${id}.C`, (t) => {
      half(t, src, GLOBAL);
      silent(t);
    });
    part(`${id}.D`, (t) => {
      send(t, { src, dst: GLOBAL, next: 60, payload: concat(header(58, 0x87), t.question(src, GLOBAL)) });
      silent(t);
    });
  }
  /** The subnet anycast address of the node's own prefix: whoever knows that it is one answers it no errors. */
  const anycast: Station = { ...TN1, global: PREFIX };
  const known = (t: Nut): void => {
    t.ns(GLOBAL, [sourceLink(TN1.mac)], { src: anycast.global });
    t.seen();
  };
  part('5.1.13.A', (t) => {
    known(t);
    udp(t, anycast.global, GLOBAL);
    silent(t);
  });
  part('5.1.13.B', (t) => {
    known(t);
    narrow(t);
    udp(t, anycast.global, TN2.global, 1_400);
    silent(t);
  });
  part('5.1.13.C', (t) => {
    known(t);
    half(t, anycast.global, GLOBAL);
    silent(t);
  });
  part('5.1.13.D', (t) => {
    known(t);
    send(t, { src: anycast.global, dst: GLOBAL, next: 60, payload: concat(header(58, 0x87), t.question(anycast.global, GLOBAL)) });
    silent(t);
  });
});
