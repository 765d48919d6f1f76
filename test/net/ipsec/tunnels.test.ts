import assert from 'node:assert/strict';
import { v4 } from '#src/base/address.js';
import { seconds } from '#src/base/time.js';
import { loadNative } from '#src/hyper/native.js';
import { nodeCrypto } from '#src/hyper/node-crypto.js';
import { parseSuite } from '#src/net/ipsec/algorithms.js';
import { encapsulate, NAT_PORT } from '#src/net/ipsec/nat-t.js';
import { selectorOf } from '#src/net/ipsec/selector.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { bound, dropsOf, type End, keysOf, ProtectedNet, receive, route, SPI_A, SPI_B, wiretap } from '../../support/ipsec.js';
import { address, type Host, Net, prefix } from '../../support/stacks.js';

const V6 = { 'net.ipv6.conf.all.disable_ipv6': 0 };

/** Sends `octets` over TCP from A to B through whatever joins them; what arrived. */
function stream(t: { run(span?: number): void; a: { stack: End['stack'] }; b: { stack: End['stack'] } }, to: string, octets: number): number {
  const listener = t.b.stack.tcp.openSocket(46);
  listener.bind(null, 9);
  listener.listen(1);
  const client = t.a.stack.tcp.openSocket(46);
  client.connect(address(to), 9);
  t.run(seconds(3));
  const server = listener.accept() as TcpSocket;
  const data = Uint8Array.from({ length: octets }, (_, i) => (i * 31) & 255);
  let sent = 0;
  const into = new Uint8Array(1 << 16);
  let got = 0;
  for (let i = 0; i < 400 && got < octets; i++) {
    const n = client.write(data, sent, octets - sent);
    if (n > 0) sent += n;
    t.run(seconds(0.02));
    for (let n2 = server.read(into, 0, into.length); n2 > 0; n2 = server.read(into, 0, into.length)) {
      for (let k = 0; k < n2; k++) if (into[k] !== (((got + k) * 31) & 255)) return -1;
      got += n2;
    }
  }
  client.close();
  server.close();
  listener.close();
  t.run(seconds(70));
  return got;
}

describe('traffic through IPsec', () => {
  for (const mode of ['tunnel', 'transport'] as const) {
    for (const suite of ['aes128gcm16', 'aes256-sha256']) {
      it(`TCP in ${mode} mode with ${suite}: big frames are cut to what fits, 1 MB arrives, no segment is too long (RFC 4301 §8)`, () => {
        const t = new ProtectedNet({ mode, suite });
        const frames = wiretap(t.a.stack);
        assert.equal(
          stream(t, mode === 'tunnel' ? '10.2.0.1' : '192.0.2.2', 1 << 20),
          1 << 20,
          JSON.stringify([dropsOf(t.a.stack), dropsOf(t.b.stack)]),
        );
        assert.ok(frames.every((f) => f.length <= 1_514));
        assert.ok(Math.max(...frames.map((f) => f.length)) > 1_490, 'the room is used');
        assert.equal(dropsOf(t.a.stack)['IpTooBig'], undefined);
        t.end();
      });
    }
  }

  it('inner IPv4 longer than the room is cut before it is sealed; the far end needs no reassembly of ESP', () => {
    const t = new ProtectedNet();
    const frames = wiretap(t.a.stack);
    const data = new Uint8Array(5_000).fill(3);
    assert.deepEqual(t.echo(data), data);
    assert.ok(
      frames.filter((f) => f[23] === 50).every((f) => (((f[20] as number) << 8) | (f[21] as number)) % 0x4000 === 0),
      'no outer fragments',
    );
    t.end();
  });

  it('transport mode protects the whole datagram and cuts it afterwards (RFC 4301 §7)', () => {
    const t = new ProtectedNet({ mode: 'transport' });
    const frames = wiretap(t.a.stack);
    const data = new Uint8Array(5_000).fill(3);
    assert.deepEqual(t.echo(data), data);
    assert.ok(frames.some((f) => f[23] === 50 && ((f[20] as number) & 0x20) !== 0));
    t.end();
  });

  for (const [outer, inner] of [
    [6, 6],
    [4, 6],
    [6, 4],
  ] as const) {
    it(`IPv${inner} in IPv${outer}, ESP and AH, in tunnel mode`, () => {
      for (const [protocol, suite] of [
        ['esp', 'aes128gcm16'],
        ['esp', 'aes128-sha1'],
        ['ah', 'sha256'],
      ] as const) {
        const t = new ProtectedNet({
          sysctl: V6,
          protocol,
          suite,
          outer: outer === 6 ? ['2001:db8:c::1/64', '2001:db8:c::2/64'] : ['192.0.2.1/24', '192.0.2.2/24'],
          inner: inner === 6 ? ['2001:db8:1::1/64', '2001:db8:2::1/64'] : ['10.1.0.1/24', '10.2.0.1/24'],
        });
        const data = new Uint8Array(1_000).fill(5);
        assert.deepEqual(t.echo(data), data, JSON.stringify([protocol, suite, dropsOf(t.a.stack), dropsOf(t.b.stack)]));
        assert.deepEqual(t.echo(new Uint8Array(4_000).fill(5)), new Uint8Array(4_000).fill(5));
        t.end();
      }
    });
  }

  it('IPv6 transport mode', () => {
    for (const [protocol, suite] of [
      ['esp', 'chacha20poly1305'],
      ['ah', 'sha1'],
    ] as const) {
      const t = new ProtectedNet({ sysctl: V6, mode: 'transport', protocol, suite, outer: ['2001:db8:c::1/64', '2001:db8:c::2/64'] });
      for (const n of [1, 1_000, 4_000]) assert.deepEqual(t.echo(new Uint8Array(n).fill(6)), new Uint8Array(n).fill(6));
      t.end();
    }
  });

  it('DF is copied, set or cleared, DSCP copied or not (RFC 4301 §8.1, §5.1.2)', () => {
    for (const [df, copyDscp, flags, tos] of [
      ['copy', true, 0x40, 0xb8],
      ['clear', false, 0, 0],
      ['set', true, 0x40, 0xb8],
    ] as const) {
      const t = new ProtectedNet({ sa: { df, copyDscp } });
      assert.ok(t.echo('known') !== null);
      const frames = wiretap(t.a.stack);
      const socket = bound(t.a.stack, 5_000);
      socket.setOption('IP_TOS', 0xb8);
      socket.sendTo(new Uint8Array(10), 0, 10, address('10.2.0.1'), 7);
      t.run();
      assert.equal((frames[0] as Uint8Array)[20], flags, df);
      assert.equal((frames[0] as Uint8Array)[15], tos);
      socket.close();
      t.end();
    }
  });

  it('TFC padding: all packets have one length (RFC 4303 §2.7)', () => {
    const t = new ProtectedNet({ sa: { tfc: 1_000 } });
    const frames = wiretap(t.a.stack);
    for (const n of [1, 100, 900]) assert.deepEqual(t.echo(new Uint8Array(n)), new Uint8Array(n));
    const lengths = new Set(frames.filter((f) => f[23] === 50).map((f) => f.length));
    assert.equal(lengths.size, 1);
    t.end();
  });

  it('BEET mode: inner addresses travel in no header', () => {
    const net = new Net(
      [
        ['192.0.2.1/24', '10.1.0.1/32'],
        ['192.0.2.2/24', '10.2.0.1/32'],
      ],
      { crypto: nodeCrypto(loadNative()) },
    );
    net.run(seconds(5));
    const [a, b] = net.hosts as [Host, Host];
    const suite = parseSuite('aes128gcm16');
    const ends = [
      ['192.0.2.1', '10.1.0.1'],
      ['192.0.2.2', '10.2.0.1'],
    ] as const;
    for (const [n, host] of [a, b].entries()) {
      const [own, ownInner] = ends[n as 0 | 1];
      const [peer, peerInner] = ends[(1 - n) as 0 | 1];
      const { ipsec } = host.stack;
      route(host.stack, prefix(`${peerInner}/32`), address(peer), host.eth0.index, address(ownInner));
      const policy = ipsec.addPolicy({ name: 'beet', action: 'protect', selectors: [selectorOf(prefix(ownInner), prefix(peerInner))] });
      const common = { mode: 'beet', suite, keys: keysOf('aes128gcm16') } as const;
      const inner = { source: address(peerInner), destination: address(ownInner) };
      ipsec.addSa({ ...common, inner, direction: 'in', spi: 0x1000 + n, source: address(peer), destination: address(own) });
      ipsec.addSa({ ...common, inner, direction: 'out', spi: 0x1001 - n, source: address(own), destination: address(peer) }, policy);
    }
    const server = bound(b.stack, 7);
    const client = bound(a.stack, 5_000);
    client.sendTo(new Uint8Array(1), 0, 1, address('10.2.0.1'), 7);
    net.run();
    receive(server);
    const frames = wiretap(a.stack);
    client.sendTo(new Uint8Array(100), 0, 100, address('10.2.0.1'), 7);
    net.run();
    const got = receive(server);
    assert.equal(got?.info.address.toString(), '10.1.0.1');
    assert.equal(
      frames[0]?.length ?? 0,
      14 + 20 + 8 + 8 + 8 + 100 + 2 + 2 + 16,
      'Ethernet, IP, ESP, IV, UDP, data, padding, trailer, ICV: no inner header',
    );
    client.close();
    server.close();
    net.end();
  });

  it('ESP in UDP: keep-alives end silently, other short datagrams are counted (RFC 3948)', () => {
    const t = new ProtectedNet({ sa: { encapsulation: { localPort: NAT_PORT, remotePort: NAT_PORT } } });
    for (const end of [t.a, t.b]) end.stack.ipsec.unmatched = 'bypass';
    const sockets = [t.a, t.b].map(({ stack }) => {
      const socket = bound(stack, NAT_PORT);
      encapsulate(stack.ctx, stack.ipsec.inbound, socket);
      return socket;
    });
    assert.ok(t.echo('in UDP') !== null);
    const [from, to] = sockets as [(typeof sockets)[0], (typeof sockets)[0]];
    for (const data of [Uint8Array.of(0xff), Uint8Array.of(1, 2), Uint8Array.of(0, 0, 0, 0, 65)])
      from.sendTo(data, 0, data.length, v4(0xc0000202 | 0), NAT_PORT);
    t.run();
    assert.deepEqual(dropsOf(t.b.stack), { NatKeepalive: 1, EspTruncated: 1 });
    assert.deepEqual(receive(to)?.data, Uint8Array.of(65), 'behind the marker it is IKE');
    for (const socket of sockets) socket.close();
    t.end();
  });

  it('ipsec0: a route-based tunnel carries TCP, counts, and what comes out of it comes in there', () => {
    const net = new Net([['192.0.2.1/24'], ['192.0.2.2/24']], { crypto: nodeCrypto(loadNative()) });
    net.run(seconds(5));
    const ends = net.hosts.map((host, n) => {
      const { stack } = host;
      const own = address(`192.0.2.${n + 1}`);
      const peer = address(`192.0.2.${2 - n}`);
      const device = stack.ipsec.tunnelDevice('ipsec0', 1_400);
      const ipsec0 = stack.addInterface('ipsec0', device);
      stack.addAddress(ipsec0, prefix(`10.${n + 1}.0.1/32`));
      route(stack, prefix(`10.${2 - n}.0.0/16`), null, ipsec0.index, address(`10.${n + 1}.0.1`));
      const common = { mode: 'tunnel', suite: parseSuite('aes128gcm16'), keys: keysOf('aes128gcm16'), iface: ipsec0 } as const;
      stack.ipsec.addSa({ ...common, direction: 'in', spi: n === 0 ? SPI_A : SPI_B, source: peer, destination: own });
      stack.ipsec.addSa({ ...common, direction: 'out', spi: n === 0 ? SPI_B : SPI_A, source: own, destination: peer }, device.policy);
      return { stack, ipsec0 };
    });
    const [a, b] = ends as [(typeof ends)[0], (typeof ends)[0]];
    assert.equal(stream({ run: (span) => net.run(span), a, b }, '10.2.0.1', 300_000), 300_000, JSON.stringify([dropsOf(a.stack), dropsOf(b.stack)]));
    assert.ok(a.ipsec0.txPackets > 0 && b.ipsec0.rxPackets > 5);
    net.end();
  });

  it('a path MTU learned for the outer packets shrinks the room of the inner ones; ICMP is believed only for an SA that is there', () => {
    const t = new ProtectedNet();
    const { ip, ctx } = t.a.stack;
    const transport = ip.transports[50];
    const quoted = new DataView(new ArrayBuffer(8));
    const error = (spi: number, destination: string): void => {
      quoted.setUint32(0, spi);
      transport?.error({
        family: 4,
        kind: 'too-big',
        code: 4,
        errno: 90,
        hard: false,
        mtu: 1_300,
        from: address('192.0.2.9'),
        inIndex: 0,
        source: address('192.0.2.1'),
        destination: address(destination),
        protocol: 50,
        sourcePort: 0,
        destinationPort: 0,
        view: quoted,
        at: 0,
        end: 8,
      });
    };
    const room = (): number => {
      const path = t.a.stack.ipsec.outbound.pathOf(t.a.outbound);
      return t.a.stack.ipsec.outbound.room(t.a.outbound, path?.mtu ?? 0, 20);
    };
    const before = room();
    assert.equal(before, 1_500 - 20 - 8 - 8 - 16 - 2);
    error(0x7777, '192.0.2.2');
    error(SPI_B, '192.0.2.77');
    assert.equal(room(), before);
    error(SPI_B, '192.0.2.2');
    assert.equal(room(), before - 200);
    assert.equal(ctx.counters.dropped()['IpTooBig'], undefined);
    t.end();
  });
});
