import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { defaultTiming } from '#src/net/multicast/querier.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import { address, prefix } from '../../support/stacks.js';
import { TwoWires } from '../../support/two-wires.js';
import { checksum, concat, ipv4, udp } from '../../support/wire.js';
import { icmp6, ipv6, octets6, sum6, udp6 } from '../../support/wire6.js';

const GROUP = '232.1.1.1';
const dotted = (text: string): Uint8Array => Uint8Array.from(text.split('.').map(Number));

function igmp(type: number, body: Uint8Array, code = 0): Uint8Array {
  const message = concat(Uint8Array.of(type, code, 0, 0), body);
  const sum = checksum(message);
  message.set([sum >> 8, sum & 255], 2);
  return message;
}
/** A version 3 report with one record. */
const v3 = (kind: number, group: string, ...sources: string[]): Uint8Array =>
  igmp(0x22, concat(Uint8Array.of(0, 0, 0, 1, kind, 0, 0, sources.length), dotted(group), ...sources.map(dotted)));
const ALERT = '94040000';

describe('multicast proxy (RFC 4605)', () => {
  let t: TwoWires;
  const report = (payload: Uint8Array, dst = '224.0.0.22'): void =>
    t.put('a', ipv4({ src: '10.0.0.2', dst, ttl: 1, protocol: 2, options: ALERT, payload }));
  const send = (src: string, wire: 'a' | 'b' = 'b', ttl = 5, group = GROUP): void =>
    t.put(wire, ipv4({ src, dst: group, ttl, payload: udp(5_000, 5_000, 'film') }));
  /** Datagrams to the group that came out: 'source ttl'. */
  const films = (wire: 'a' | 'b'): string[] =>
    t
      .take(wire)
      .filter((p) => p[9] === 17)
      .map((p) => `${[...p.subarray(12, 16)].join('.')} ${p[8]}`);
  /** IGMP that came out: type, group, sources; of reports the record's type. */
  const said = (wire: 'a' | 'b'): string[] =>
    t
      .take(wire)
      .filter((p) => p[0] === 0x46 && p[9] === 2)
      .map((p) => {
        const m = p.subarray(24);
        assert.equal(checksum(m), 0);
        const words = (at: number, n: number): string =>
          Array.from({ length: n }, (_, i) => ` ${[...m.subarray(at + 4 * i, at + 4 * i + 4)].join('.')}`).join('');
        if (m[0] === 0x11) return `query${m[1] === 10 ? ' now' : ''} ${[...m.subarray(4, 8)].join('.')}${words(12, m[11] as number)}`;
        return `report ${m[8]} ${[...m.subarray(12, 16)].join('.')}${words(16, m[11] as number)}`;
      });

  beforeEach(() => {
    t = new TwoWires(['10.0.0.1/24', 'fe80::1/64'], ['10.1.0.1/24', 'fe80::2/64']);
    t.stack.proxyGroups({ upstream: t.b, downstreams: [t.a], timing: defaultTiming });
    t.run();
  });
  afterEach(() => t.end());

  it('asks as a router: twice at first, then at its interval, with what RFC 9776 §4.1 has in a query', () => {
    const queries = t.take('a').filter((p) => p[0] === 0x46 && p[9] === 2);
    assert.equal(queries.length, 1);
    const [query] = queries as [Uint8Array];
    assert.deepEqual([...query.subarray(12, 20)], [10, 0, 0, 1, 224, 0, 0, 1]);
    assert.deepEqual([query[8], ...query.subarray(20, 24)], [1, 0x94, 4, 0, 0], 'TTL 1 and a router alert');
    assert.deepEqual([...query.subarray(24, 26), ...query.subarray(28)], [0x11, 100, 0, 0, 0, 0, 2, 125, 0, 0]);
    t.run(seconds(31.25));
    assert.deepEqual(said('a'), ['query 0.0.0.0']);
    t.run(seconds(124));
    assert.deepEqual(said('a'), []);
    t.run(seconds(2));
    assert.deepEqual(said('a'), ['query 0.0.0.0']);
    assert.deepEqual(said('b'), [], 'upstream it is a listener');
  });

  it('a listener downstream makes one upstream; what is sent comes down with a hop less, and nothing else', () => {
    send('10.1.0.9');
    assert.deepEqual([films('a'), t.dropped()], [[], { IpGroupNotJoined: 1 }]);
    t.take('b');
    report(v3(4, GROUP));
    assert.deepEqual(said('b'), [`report 4 ${GROUP}`]);
    send('10.1.0.9');
    assert.deepEqual(films('a'), ['10.1.0.9 4']);
    send('10.1.0.9', 'b', 1);
    send('10.1.0.9', 'b', 5, '232.1.1.2');
    send('10.1.0.9', 'b', 5, '224.0.0.99');
    assert.deepEqual(films('a'), []);
    assert.deepEqual(t.dropped(), { IpTtlExceeded: 1, IpGroupNotJoined: 2 }, 'nobody here wants it: it has gone on, and that is no loss');
  });

  it('RFC 4607: only from the sources asked for; upstream the same is asked for', () => {
    report(v3(5, GROUP, '10.1.0.9', '10.1.0.8'));
    assert.deepEqual(said('b'), [`report 5 ${GROUP} 10.1.0.9 10.1.0.8`]);
    send('10.1.0.9');
    send('10.1.0.7');
    assert.deepEqual(films('a'), ['10.1.0.9 4']);
    report(v3(6, GROUP, '10.1.0.9'));
    assert.deepEqual(said('a'), [`query now ${GROUP} 10.1.0.9`], 'is it still wanted?');
    send('10.1.0.9');
    assert.deepEqual(films('a'), ['10.1.0.9 4']);
    t.run(seconds(2.1));
    assert.deepEqual(said('b').at(-1), `report 6 ${GROUP} 10.1.0.9`);
    send('10.1.0.9');
    send('10.1.0.8');
    assert.deepEqual(films('a'), ['10.1.0.8 4']);
  });

  it('listeners of versions 2 and 1: join, leave with a question, and silence', () => {
    report(igmp(0x16, dotted('239.1.1.1')), '239.1.1.1');
    assert.deepEqual(said('b'), ['report 4 239.1.1.1']);
    t.take('a');
    report(igmp(0x17, dotted('239.1.1.1')), '224.0.0.2');
    t.run(seconds(1.1));
    assert.deepEqual(said('a'), ['query now 239.1.1.1', 'query now 239.1.1.1']);
    report(igmp(0x16, dotted('239.1.1.1')), '239.1.1.1');
    t.run(seconds(3));
    assert.deepEqual(
      said('b').filter((line) => line.includes('report 3')),
      [],
      'somebody has answered',
    );
    report(igmp(0x12, dotted('239.1.1.2')), '239.1.1.2');
    report(igmp(0x17, dotted('239.1.1.2')), '224.0.0.2');
    t.take('a');
    t.run(seconds(200));
    assert.deepEqual(t.stack.proxy?.queriers[0]?.groups.size, 2, 'version 1 knows no leaving');
    t.run(seconds(70));
    assert.equal(t.stack.proxy?.queriers[0]?.groups.size, 0, 'RFC 9776 §8.4: 260 s without a word');
    assert.equal([...t.stack.multicast.of(t.b)].filter((g) => g.address.isV4).length, 0);
  });

  it('RFC 9776 §6.6.2: the router of the lower address asks, and forwards; when it is gone we do', () => {
    report(v3(4, GROUP));
    const general = igmp(0x11, Uint8Array.of(0, 0, 0, 0, 2, 125, 0, 0), 100);
    t.put('a', ipv4({ src: '10.0.0.9', dst: '224.0.0.1', ttl: 1, protocol: 2, options: ALERT, payload: general }));
    assert.equal(t.stack.proxy?.queriers[0]?.active, true, 'of a higher one not');
    t.put('a', ipv4({ src: '10.0.0.0', dst: '224.0.0.1', ttl: 1, protocol: 2, options: ALERT, payload: general }));
    assert.equal(t.stack.proxy?.queriers[0]?.active, false);
    t.take('a');
    send('10.1.0.9');
    assert.deepEqual(films('a'), [], 'RFC 4605 §3');
    t.run(seconds(250));
    assert.deepEqual(
      said('a').filter((line) => line.startsWith('query')),
      [],
    );
    t.run(seconds(10));
    assert(t.stack.proxy?.queriers[0]?.active);
    assert.deepEqual(
      said('a').filter((line) => line.startsWith('query')),
      ['query 0.0.0.0'],
    );
  });

  it('what is sent downstream goes up, and not back', () => {
    report(v3(4, GROUP));
    t.take('b');
    send('10.0.0.7', 'a');
    assert.deepEqual([films('b'), films('a')], [['10.0.0.7 4'], []]);
  });

  it('a program on the router listens too, by itself', () => {
    const socket = t.stack.udp.openSocket(4);
    socket.bind(null, 5_000);
    assert.equal(t.stack.multicast.join(socket, t.b, address(GROUP)), 0);
    send('10.1.0.9');
    assert.equal(socket.receive(new Uint8Array(9), 0, 9, new DatagramInfo()), 4);
    report(v3(4, GROUP));
    send('10.1.0.9');
    assert.equal(socket.receive(new Uint8Array(9), 0, 9, new DatagramInfo()), 4);
    t.stack.multicast.leave(socket, t.b, address(GROUP));
    send('10.1.0.9');
    assert(socket.receive(new Uint8Array(9), 0, 9, new DatagramInfo()) < 0);
    assert.deepEqual(films('a').length, 2);
    socket.close();
  });

  it('the forward filter decides, as for any packet', () => {
    report(v3(4, GROUP));
    t.stack.ip.hooks.forward = (packet) => {
      t.stack.ctx.drop(packet, 1);
      return false;
    };
    send('10.1.0.9');
    assert.deepEqual(films('a'), []);
    t.stack.ip.hooks.forward = null;
  });

  it('groups are bounded', () => {
    t.stack.ctx.sysctl.set('anystack.groups_max', 16);
    for (let i = 0; i < 40; i++) report(v3(4, `239.2.0.${i}`));
    assert.equal(t.stack.proxy?.queriers[0]?.groups.size, 16);
  });

  it('MLD: the same over IPv6, listeners of both versions (RFC 9777, RFC 2710)', () => {
    const group = 'ff3e::8000:1';
    const mld = (type: number, body: Uint8Array, src: string, dst: string): Uint8Array =>
      ipv6({
        src,
        dst,
        hops: 1,
        next: 0,
        payload: concat(Uint8Array.of(58, 0, 5, 2, 0, 0, 1, 0), icmp6(type, 0, body.length > 4 && type === 143 ? 1 : 0, body, src, dst)),
      });
    const [query] = t.take('a').filter((p) => p[0] === 0x60 && p[48] === 130) as [Uint8Array];
    assert.deepEqual([query[6], query[7], ...query.subarray(24, 40)], [0, 1, ...octets6('ff02::1')]);
    assert.equal(sum6('fe80::1', 'ff02::1', 58, query.subarray(48)), 0);
    assert.deepEqual([...query.subarray(52, 56), ...query.subarray(72)], [0x27, 0x10, 0, 0, 2, 125, 0, 0]);
    t.take('b');
    const record = (kind: number, ...sources: string[]): Uint8Array =>
      concat(Uint8Array.of(kind, 0, 0, sources.length), octets6(group), ...sources.map(octets6));
    t.put('a', mld(143, record(5, '2001:db8::9'), 'fe80::5', 'ff02::16'));
    const [up] = t.take('b').filter((p) => p[48] === 143) as [Uint8Array];
    assert.deepEqual(up.subarray(56), record(5, '2001:db8::9'));
    const film = (src: string): void => t.put('b', ipv6({ src, dst: group, hops: 5, payload: udp6(5_000, 5_000, 'film', src, group) }));
    film('2001:db8::9');
    film('2001:db8::8');
    const down = t.take('a').filter((p) => p[6] === 17);
    assert.deepEqual(
      down.map((p) => [p[7], ...p.subarray(8, 24)]),
      [[4, ...octets6('2001:db8::9')]],
    );
    const other = 'ff0e::2';
    t.put('a', mld(131, octets6(other), 'fe80::5', other));
    assert(t.stack.multicast.find(t.b, address(other)) !== null);
    t.put('a', mld(132, octets6(other), 'fe80::5', 'ff02::2'));
    t.run(seconds(2.1));
    assert.equal(t.stack.multicast.find(t.b, address(other)), null);
    t.put('b', ipv6({ src: '2001:db8::9', dst: 'ff02::77', hops: 5, payload: udp6(1, 2, 'x', '2001:db8::9', 'ff02::77') }));
    assert.deepEqual(
      t.take('a').filter((p) => p[6] === 17),
      [],
      'what is of the link stays there',
    );
  });

  it('without an address it does not ask: RFC 9777 §5.1.14', () => {
    t.stack.proxyGroups(null);
    t.take('a');
    t.stack.addresses.remove(t.a, address('fe80::1'));
    t.stack.proxyGroups({ upstream: t.b, downstreams: [t.a], timing: defaultTiming });
    t.run(seconds(5));
    const asked = (p: Uint8Array): boolean => ((p[0] as number) >> 4 === 4 ? p[24] === 0x11 : p[48] === 130);
    const families = (): number[] =>
      t
        .take('a')
        .filter(asked)
        .map((p) => (p[0] as number) >> 4);
    assert.deepEqual(families(), [4]);
    t.stack.addAddress(t.a, prefix('fe80::3/64'));
    t.run(seconds(2));
    assert(families().includes(6));
  });

  it('an interface has one part; with one of them the proxy goes', () => {
    assert.throws(() => t.stack.proxyGroups({ upstream: t.a, downstreams: [t.a], timing: defaultTiming }), { code: 'EINVAL' });
    t.stack.proxyGroups({ upstream: t.b, downstreams: [t.a], timing: defaultTiming });
    report(v3(4, GROUP));
    t.stack.removeInterface(t.a);
    assert.equal(t.stack.proxy, null);
    assert.equal(t.stack.multicast.find(t.b, address(GROUP)), null);
  });
});
