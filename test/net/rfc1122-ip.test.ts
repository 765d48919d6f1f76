import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { seconds } from '#src/base/time.js';
import { Flow } from '#src/net/ip/path.js';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { address, prefix } from '../support/stacks.js';
import { Bench, hex, icmp, ipv4, toHex, udp } from '../support/wire.js';

describe('RFC 1122 §3: IP and ICMP', () => {
  let t: Bench;
  let socket: UdpSocket;
  const info = new DatagramInfo();
  const receive = (): number => socket.receive(new Uint8Array(2_048), 0, 2_048, info);
  const send = (to = '10.0.0.9'): number => socket.sendTo(new Uint8Array(1), 0, 1, address(to), 9);
  const about = (payload = udp(7, 9)): Uint8Array => ipv4({ src: '10.0.0.1', dst: '10.0.0.9', payload });
  beforeEach(() => {
    t = new Bench();
    t.introduce();
    socket = t.stack.udp.openSocket(4);
    socket.bind(null, 7);
  });
  afterEach(() => {
    socket.close();
    t.end();
  });

  it('§3.1: nothing is forwarded unless the switch is on, and no redirect is sent', () => {
    const other = new Bench(['10.0.0.1/24', '10.0.1.1/24']);
    other.ip({ dst: '10.0.2.9', payload: udp(1, 7) });
    other.dropped({ IpNotForUs: 1 });
    other.quiet();
    other.end();
  });

  it('§3.2.1.3: the longest prefix of ours decides, of any length', () => {
    t.stack.addAddress(t.eth0, prefix('10.1.0.1/31'));
    t.stack.addAddress(t.eth0, prefix('10.2.0.1/9'));
    assert.equal(send('10.1.0.0'), 1);
    assert.equal(toHex((t.frames()[0] as Uint8Array).subarray(38, 42)), '0a010000', 'asked for on the link');
    assert.equal(send('10.9.0.1'), 1);
    assert.equal(toHex((t.frames()[0] as Uint8Array).subarray(28, 32)), '0a020001', 'from the address of its subnet');
  });

  it('§3.2.1.6, §3.2.1.7: type of service and TTL of a datagram go up, and one with TTL 1 is for us', () => {
    t.ip({ ttl: 1, tos: 0xb8, payload: udp(1, 7) });
    assert.equal(receive(), 1);
    assert.deepEqual([info.ttl, info.trafficClass, info.index], [1, 0xb8, t.eth0.index]);
    t.ip({ ttl: 0, payload: udp(1, 7) });
    assert.equal(receive(), 1);
  });

  it('§3.2.1.7: no socket sends with TTL 0, and the TTL of the others is a tunable', () => {
    assert.equal(socket.setOption('IP_TTL', 0), -Errno.EINVAL);
    t.stack.ctx.sysctl.set('net.ipv4.ip_default_ttl', 99);
    send();
    assert.equal((t.packets()[0] as Uint8Array)[8], 99);
  });

  it('§3.2.1.8b: the stream identifier and other options nobody knows are passed over', () => {
    t.ip({ options: '88 04 0001 5e 04 0000', payload: udp(1, 7) });
    assert.equal(receive(), 1);
    t.dropped({});
  });

  it('§3.2.1.8: a raw socket is given the options received', () => {
    const raw = t.stack.raw.openSocket(4, 17);
    t.ip({ options: '94 04 0000', payload: udp(1, 7) });
    const into = new Uint8Array(100);
    assert.equal(raw.receive(into, 0, 100, info), 33);
    assert.equal(toHex(into.subarray(20, 24)), '94040000');
    raw.close();
  });

  it('§3.2.2: an error quotes what was received, as much as fits 576 octets', () => {
    const packet = ipv4({ id: 77, tos: 4, ttl: 9, payload: udp(1, 99, new Uint8Array(900).fill(7)) });
    t.ether(0x0800, packet);
    const [error] = t.packets() as [Uint8Array];
    assert.equal(error.length, 576);
    assert.equal(toHex(error.subarray(28)), toHex(packet.subarray(0, 548)));
    t.dropped({ UdpNoPort: 1 });
  });

  it('§3.2.2: no error about a later fragment, to a link broadcast, or to a source that is no host', () => {
    t.broadcast({ payload: udp(1, 99) });
    t.dropped({ IpMartian: 1 });
    t.ip({ src: '224.0.0.1', payload: udp(1, 99) });
    t.dropped({ IpBadSource: 1 });
    t.ip({ fragment: 0x2001, payload: new Uint8Array(8) });
    t.stack.ctx.sysctl.set('net.ipv4.ipfrag_time', 1);
    t.quiet();
  });

  for (const [type, name] of [
    [13, 'a timestamp request'],
    [15, 'an information request'],
    [16, 'an information reply'],
    [17, 'an address mask request'],
    [10, 'a router solicitation'],
  ] as const) {
    it(`§3.2.2.7 to §3.2.2.9: ${name} is not answered`, () => {
      t.ip({ protocol: 1, payload: icmp(type, 0, 0, new Uint8Array(12)) });
      t.dropped({ IcmpUnknownType: 1 });
      t.quiet();
    });
  }

  it('§3.2.2.1, §3.2.2.4, §3.2.2.5: unreachable, time exceeded and parameter problem reach the socket they are about', () => {
    const raw = t.stack.raw.openSocket(4, 17);
    for (const [type, code] of [
      [3, 1],
      [11, 0],
      [12, 0],
    ] as const) {
      t.ip({ src: '10.0.0.254', protocol: 1, payload: icmp(type, code, 0, about()) });
    }
    assert.deepEqual(
      raw.errors.map((e) => [e.kind, e.code, e.destination, toHex(e.quoted)]),
      ['unreachable', 'time-exceeded', 'parameter-problem'].map((kind) => [kind, kind === 'unreachable' ? 1 : 0, '10.0.0.9', toHex(udp(7, 9))]),
    );
    raw.close();
  });

  it('§3.2.2.1: an unreachable network or host is a hint: sending goes on', () => {
    socket.connect(address('10.0.0.9'), 9);
    for (const code of [0, 1]) t.ip({ src: '10.0.0.254', protocol: 1, payload: icmp(3, code, 0, about()) });
    assert.equal(socket.takeError(), 0);
    assert.equal(socket.sendTo(new Uint8Array(1), 0, 1, null, 0), 1);
    assert.equal(t.packets().length, 1);
  });

  it('§3.2.2.2: a redirect for a network counts as one for the host', () => {
    const route = { family: 4, prefix: address('0.0.0.0'), length: 0, type: 'unicast', gateway: address('10.0.0.9') } as const;
    t.stack.ip.routes.add({ ...route, index: t.eth0.index, source: null, metric: 0, mtu: 0, table: MAIN_TABLE, vrf: 0, protocol: 'static' });
    t.ip({ protocol: 1, payload: icmp(5, 0, 0x0a000005, ipv4({ src: '10.0.0.1', dst: '192.0.2.7', payload: udp(7, 9) })) });
    send('192.0.2.7');
    assert.equal(toHex((t.frames()[0] as Uint8Array).subarray(38, 42)), '0a000005');
    send('192.0.2.8');
    assert.equal(toHex((t.frames()[0] as Uint8Array).subarray(0, 6)), '020000000009', 'its neighbour still goes the old way');
  });

  /** A default route by a gateway, and where a datagram goes then: '' for nowhere. */
  const by = (gateway: string, metric: number): void => {
    const route = { family: 4, prefix: address('0.0.0.0'), length: 0, type: 'unicast', gateway: address(gateway), index: t.eth0.index } as const;
    t.stack.ip.routes.add({ ...route, source: null, metric, mtu: 0, table: MAIN_TABLE, vrf: 0, protocol: 'static' });
  };
  const askedFor = (): string => {
    send('192.0.2.7');
    const arp = t
      .frames()
      .filter((f) => f[12] === 8 && f[13] === 6)
      .at(-1);
    return arp === undefined ? '' : [...arp.subarray(38, 42)].join('.');
  };

  it('§3.3.1.5: a default gateway that does not answer is left for another, and taken again when it is back', () => {
    by('10.0.0.5', 0);
    by('10.0.0.6', 10);
    assert.equal(askedFor(), '10.0.0.5');
    t.run(seconds(4)); // three questions without an answer
    t.frames();
    assert.equal(askedFor(), '10.0.0.6');
    t.run(seconds(4));
    assert.equal(t.stack.ip.explain(flow('192.0.2.7')).includes('10.0.0.5'), true, 'both are dead: the first is as good');
    t.frames();
    t.run(seconds(10));
    const asked = t
      .frames()
      .filter((f) => f[12] === 8 && f[13] === 6)
      .map((f) => f[41]);
    assert.deepEqual(asked.sort(), [5, 6], 'whether they are back');
    t.ether(0x0806, hex('0001080006040002 020000000005 0a000005 020000000001 0a000001'), t.mac, hex('020000000005'));
    assert.match(t.stack.ip.explain(flow('192.0.2.7')), /10\.0\.0\.5/);
    t.ether(0x0806, hex('0001080006040002 020000000006 0a000006 020000000001 0a000001'), t.mac, hex('020000000006'));
    assert.equal(t.stack.ip.routes.dead, null);
  });

  it('§3.3.1.4: what a redirect said is not believed for ever, nor longer than its gateway lives', () => {
    by('10.0.0.9', 0);
    const redirect = (): void =>
      t.ip({ protocol: 1, payload: icmp(5, 1, 0x0a000005, ipv4({ src: '10.0.0.1', dst: '192.0.2.7', payload: udp(7, 9) })) });
    const redirected = (): number => t.stack.ip.routes.list().filter((r) => r.protocol === 'redirect').length;
    redirect();
    assert.equal(redirected(), 1);
    t.run(seconds(590));
    assert.equal(redirected(), 1);
    t.run(seconds(20));
    assert.equal(redirected(), 0);
    t.introduce();
    redirect();
    assert.equal(askedFor(), '10.0.0.5');
    t.run(seconds(4));
    assert.equal(redirected(), 0, 'it does not answer');
    assert.equal(t.stack.ip.explain(flow('192.0.2.7')).includes('10.0.0.9'), true);
  });

  it('§3.3.2: 576 octets in fragments of eight are put together', () => {
    const whole = udp(1, 7, new Uint8Array(548));
    t.stack.ctx.sysctl.set('anystack.fragments_max', 100);
    for (let at = 0; at < whole.length; at += 8) {
      const more = at + 8 < whole.length;
      t.ip({ id: 9, fragment: (more ? 0x2000 : 0) | (at >> 3), payload: whole.subarray(at, at + 8) });
    }
    assert.equal(receive(), 548);
  });

  it('RFC 791 §3.2: fragments of other packets, by source, protocol or identification, do not mix', () => {
    const whole = udp(1, 7, new Uint8Array(16));
    t.ip({ id: 1, fragment: 0x2000, payload: whole.subarray(0, 8) });
    t.ip({ id: 2, fragment: 1, payload: whole.subarray(8) });
    t.ip({ id: 1, src: '10.0.0.8', fragment: 1, payload: whole.subarray(8) });
    t.ip({ id: 1, protocol: 6, fragment: 1, payload: whole.subarray(8) });
    assert.equal(receive(), -Errno.EAGAIN);
    t.ip({ id: 1, fragment: 1, payload: whole.subarray(8) });
    assert.equal(receive(), 16);
    t.dropped({});
  });

  it('§3.3.6: a broadcast leaves as link broadcast, to all ones of the subnet or of the link', () => {
    socket.setOption('SO_BROADCAST', 1);
    for (const to of ['10.0.0.255', '255.255.255.255']) {
      assert.equal(send(to), 1);
      assert.equal(toHex((t.frames()[0] as Uint8Array).subarray(0, 6)), 'ffffffffffff');
    }
  });

  it('§3.3.7: all hosts on the link are a group of ours', () => {
    t.ether(0x0800, ipv4({ dst: '224.0.0.1', payload: udp(1, 7) }), hex('01005e000001'));
    assert.equal(receive(), 1);
    assert.equal(`${info.destination}`, '224.0.0.1');
  });

  it('§3.3.4.2, §4.1.3.5: the address a datagram was sent to is told, and an answer may leave from it', () => {
    t.stack.addAddress(t.eth0, prefix('10.0.0.2/24'));
    t.ip({ dst: '10.0.0.2', payload: udp(1, 7) });
    assert.equal(receive(), 1);
    assert.equal(`${info.destination}`, '10.0.0.2');
    const other = t.stack.udp.openSocket(4);
    assert.equal(other.bind(info.destination, 0), 0);
    other.sendTo(new Uint8Array(1), 0, 1, info.address, info.port);
    assert.equal(toHex((t.packets()[0] as Uint8Array).subarray(12, 20)), '0a0000020a000009');
    other.close();
  });

  it('§3.3.1.3: a rule may choose the way by the type of service', () => {
    const route = { family: 4, prefix: address('0.0.0.0'), length: 0, type: 'unicast', gateway: address('10.0.0.9') } as const;
    t.stack.ip.routes.add({ ...route, index: t.eth0.index, source: null, metric: 0, mtu: 0, table: 100, vrf: 0, protocol: 'static' });
    t.stack.ip.routes.setRules([{ priority: 10, trafficClass: 0xb8, action: { table: 100 } }]);
    assert.equal(send('192.0.2.7'), -Errno.ENETUNREACH);
    socket.setOption('IP_TOS', 0xb8);
    assert.equal(send('192.0.2.7'), 1);
    assert.equal(t.packets().length, 1);
  });
});

function flow(to: string): Flow {
  const f = new Flow();
  f.destination.copy(address(to));
  return f;
}
