import assert from 'node:assert/strict';
import type { AdvertisedPrefix, AdvertisementSpec } from '#src/net/ipv6/advertiser.js';
import { address } from '../../support/stacks.js';
import { hex, toHex } from '../../support/wire.js';
import { Bench6, PEER, PEER_LL, PEER_MAC, ROUTER_LL, sourceLink, udp6 } from '../../support/wire6.js';

const plain: AdvertisementSpec = {
  minInterval: 200,
  maxInterval: 600,
  lifetime: 1_800,
  preference: 0,
  managed: false,
  other: false,
  hopLimit: 64,
  mtu: 0,
  reachableMs: 0,
  retransMs: 0,
  prefixes: [],
  routes: [],
  resolvers: [],
  search: new Uint8Array(0),
  dnsLifetime: 1_800,
  nat64: [],
};
const pio = (text: string, valid = 86_400, preferred = 14_400): AdvertisedPrefix => ({
  prefix: address(text),
  length: 64,
  onLink: true,
  autonomous: true,
  valid,
  preferred,
});

describe('router advertisements', () => {
  let t: Bench6;
  let spec: AdvertisementSpec;
  const begin = (over: Partial<AdvertisementSpec> = {}, sysctl: Record<string, unknown> = {}): void => {
    t = new Bench6({ 'net.ipv6.conf.all.forwarding': 1, ...sysctl });
    spec = { ...plain, ...over };
    t.stack.v6.advertiser.start(t.eth0, () => spec);
  };
  afterEach(() => t.end());
  const advertisements = (): ReturnType<Bench6['seen']> => t.seen().filter((p) => p.payload[0] === 134);
  const next = (): Uint8Array => {
    t.wait(0.6);
    const [first, second] = advertisements();
    assert.ok(first && !second);
    return first.payload;
  };

  it('RFC 4861 §6.2.4: three at first within 16 s of each other, then at random between the intervals', () => {
    begin();
    const at: number[] = [];
    for (let s = 0; s < 2_000; s++) {
      t.wait(1);
      for (const p of advertisements()) {
        assert.deepEqual([p.src, p.dst, p.hops, p.toMac], [Bench6.LL, 'ff02::1', 255, '333300000001']);
        at.push(s);
      }
    }
    const gaps = at.slice(1).map((x, i) => x - (at[i] as number));
    assert.ok(
      gaps.slice(0, 2).every((g) => g <= 17),
      `${gaps}`,
    );
    assert.ok(gaps.length > 4 && gaps.slice(3).every((g) => g >= 199 && g <= 601), `${gaps}`);
  });

  it('RFC 4861 §4.2, RFC 4191 §2.2: the fields and options are where they belong', () => {
    begin({
      preference: -1,
      managed: true,
      other: true,
      mtu: 1_492,
      reachableMs: 30_000,
      retransMs: 1_000,
      prefixes: [pio('2001:db8::')],
      routes: [{ prefix: address('2001:db8:5::'), length: 48, preference: 1, lifetime: 600 }],
      resolvers: [address('2001:db8::53')],
      search: hex('076578616d706c65036f726700'),
      nat64: [{ prefix: address('64:ff9b::'), length: 96, lifetime: 600 }],
    });
    const m = toHex(next());
    assert.equal(
      m.slice(8),
      [
        '40d80708',
        '00007530',
        '000003e8',
        '0101020000000001',
        '05010000000005d4',
        '030440c0000151800000384000000000' + '20010db8000000000000000000000000',
        '1802300800000258' + '20010db800050000',
        '1903000000000708' + '20010db8000000000000000000000053',
        '1f03000000000708' + '076578616d706c65036f726700000000',
        '26020258' + '0064ff9b0000000000000000',
      ].join(''),
    );
  });

  it('RFC 4861 §6.2.6, RFC 7772 §5.1: a solicitation is answered to who asked within half a second, from nobody to all', () => {
    begin();
    t.wait(40);
    t.seen();
    t.icmp(133, 0, 0, sourceLink(), { src: PEER_LL, dst: 'ff02::2', hops: 255 });
    t.wait(0.6);
    assert.deepEqual(
      advertisements().map((p) => [p.dst, p.toMac]),
      [[PEER_LL, PEER_MAC]],
    );
    for (let i = 0; i < 5; i++) t.icmp(133, 0, 0, new Uint8Array(0), { src: '::', dst: 'ff02::2', hops: 255 });
    t.wait(0.6);
    assert.deepEqual(
      advertisements().map((p) => p.dst),
      ['ff02::1'],
    );
    t.icmp(133, 0, 0, new Uint8Array(0), { src: '::', dst: 'ff02::2', hops: 255 });
    t.wait(1);
    assert.equal(advertisements().length, 0, 'not within 3 s');
    t.wait(2.6);
    assert.equal(advertisements().length, 1);
  });

  it('many who ask at once are answered together', () => {
    begin();
    t.wait(40);
    t.seen();
    for (let i = 1; i <= 60; i++)
      t.icmp(133, 0, 0, sourceLink(`0200000001${i.toString(16).padStart(2, '0')}`), { src: `fe80::1:${i}`, dst: 'ff02::2', hops: 255 });
    t.wait(0.6);
    const answers = advertisements();
    assert.ok(answers.length <= 30 && answers.some((p) => p.dst === 'ff02::1'), `${answers.length}`);
  });

  it('RFC 4861 §6.2.5: no default router without forwarding, and none after the last word', () => {
    begin({}, { 'net.ipv6.conf.all.forwarding': 0 });
    assert.equal(toHex(next().subarray(6, 8)), '0000');
    t.stack.ctx.sysctl.set('net.ipv6.conf.all.forwarding', 1);
    t.wait(4);
    assert.equal(toHex((advertisements()[0] as { payload: Uint8Array }).payload.subarray(6, 8)), '0708');
    t.stack.v6.advertiser.stop(t.eth0);
    const [last] = advertisements();
    assert.equal(toHex((last as { payload: Uint8Array }).payload.subarray(6, 8)), '0000');
    t.wait(2_000);
    assert.equal(advertisements().length, 0);
    t.icmp(133, 0, 0, sourceLink(), { src: PEER_LL, dst: 'ff02::2', hops: 255 });
    assert.equal(t.stack.ctx.counters.dropped()['NdRefused'], 1);
  });

  it('RFC 7084 L-13, RFC 9096 §3.5: a prefix that went away is deprecated for two hours at most, counting down', () => {
    begin({ prefixes: [pio('2001:db8:1::')] });
    next();
    spec = { ...spec, prefixes: [pio('2001:db8:2::')] };
    t.stack.v6.advertiser.changed(t.eth0);
    t.wait(4);
    const lifetimes = (m: Uint8Array): string[] =>
      toHex(m.subarray(24))
        .match(/.{64}/g)
        ?.map((o) => `${o.slice(32, 44)} ${Number.parseInt(o.slice(8, 16), 16)} ${Number.parseInt(o.slice(16, 24), 16)}`) ?? [];
    assert.deepEqual(lifetimes((advertisements()[0] as { payload: Uint8Array }).payload), ['20010db80002 86400 14400', '20010db80001 7200 0']);
    t.wait(3_600);
    const later = lifetimes((advertisements().at(-1) as { payload: Uint8Array }).payload)[1] as string;
    assert.match(later, /^20010db80001 \d+ 0$/);
    assert.ok(Number(later.split(' ')[1]) < 4_300 && Number(later.split(' ')[1]) > 3_500, later);
    t.wait(4_200);
    assert.equal(lifetimes((advertisements().at(-1) as { payload: Uint8Array }).payload).length, 1);
  });

  it('RFC 4861 §6.2.3: options that do not fit 1,280 octets go into further messages', () => {
    begin({ prefixes: Array.from({ length: 60 }, (_, i) => pio(`2001:db8:${i + 1}::`)) });
    t.wait(0.6);
    const all = advertisements();
    assert.equal(all.length, 2);
    assert.ok(all.every((p) => p.payload.length <= 1_240));
  });

  it('RFC 4861 §6.2.7: another router that says otherwise is worth a line', () => {
    begin();
    t.wait(1);
    t.ra({ src: ROUTER_LL, curHop: 33 });
    assert.equal(t.stack.ctx.counters.dropped()['NdRefused'], 1);
  });

  it('RFC 4291 §2.6.1: a router answers for its subnet anycast address, later and without override', () => {
    begin();
    t.wait(1);
    t.meet();
    t.ns('fd00::', [sourceLink()], { dst: 'ff02::1:ff00:0' });
    t.wait(1);
    const [na] = t.seen().filter((p) => p.payload[0] === 136);
    assert.deepEqual([na?.src, (na?.payload[4] as number) & 0x20], ['fd00::', 0]);
    t.icmp(128, 0, 1, new Uint8Array(0), { dst: 'fd00::' });
    assert.deepEqual(
      t
        .seen()
        .filter((p) => p.payload[0] === 129)
        .map((p) => [p.src, p.dst]),
      [['fd00::1', PEER]],
    );
    t.ip6({ dst: 'fd00::', payload: udp6(1, 99, 'x', PEER, 'fd00::') });
    assert.deepEqual(
      t
        .seen()
        .filter((p) => p.payload[0] === 1)
        .map((p) => [p.src, p.payload[1]]),
      [['fd00::1', 4]],
    );
  });
});
