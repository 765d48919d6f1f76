import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { seconds } from '#src/base/time.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { address } from '../support/stacks.js';
import { Bench, checksum, concat, hex, type Ipv4Fields, icmp, ipv4, toHex, udp } from '../support/wire.js';

describe('IPv4', () => {
  let t: Bench;
  let socket: UdpSocket;
  const received = (): number => {
    let n = 0;
    while (socket.receive(new Uint8Array(65_536), 0, 65_536, new DatagramInfo()) >= 0) n++;
    return n;
  };
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

  describe('input', () => {
    const bad: [string, Record<string, number>, Ipv4Fields][] = [
      ['another version', { IpBadVersion: 1 }, { version: 5 }],
      ['a header length below 20', { IpBadHeaderLength: 1 }, { ihl: 4 }],
      ['a total length past the frame', { IpBadLength: 1 }, { length: 600, payload: udp(1, 7) }],
      ['a wrong header checksum', { IpBadChecksum: 1 }, { checksum: 0x1234, payload: udp(1, 7) }],
      ['a source route', { IpSourceRoute: 1 }, { options: '83 07 04 0a000005 01', payload: udp(1, 7) }],
      ['a multicast source', { IpBadSource: 1 }, { src: '224.0.0.5', payload: udp(1, 7) }],
      ['our own source', { IpBadSource: 1 }, { src: '10.0.0.1', payload: udp(1, 7) }],
      ["the subnet's broadcast as source", { IpBadSource: 1 }, { src: '10.0.0.255', payload: udp(1, 7) }],
      ['a loopback source', { IpMartian: 1 }, { src: '127.0.0.1', payload: udp(1, 7) }],
      ['a loopback destination', { IpMartian: 1 }, { dst: '127.0.0.1', payload: udp(1, 7) }],
      ['source zero to a host', { IpMartian: 1 }, { src: '0.0.0.0', payload: udp(1, 7) }],
      ['a destination that is not ours', { IpNotForUs: 1 }, { dst: '10.0.0.77', payload: udp(1, 7) }],
      ['a group nobody joined', { IpGroupNotJoined: 1 }, { dst: '239.1.2.3', payload: udp(1, 7) }],
      ['a fragment of no octets', { FragmentMalformed: 1 }, { fragment: 0x2000 }],
      ['a fragment past 65,535', { FragmentTooLong: 1 }, { fragment: 0x1fff, payload: new Uint8Array(100) }],
      ['a fragment that is no multiple of 8', { FragmentMalformed: 1 }, { fragment: 0x2000, payload: new Uint8Array(9) }],
      ['a UDP length past the packet', { UdpBadLength: 1 }, { payload: udp(1, 7, 'x', 99) }],
      ['a UDP header cut short', { UdpTruncated: 1 }, { payload: new Uint8Array(7) }],
      ['a wrong UDP checksum', { UdpBadChecksum: 1 }, { payload: concat(hex('0001 0007 0009 1234'), hex('78')) }],
      ['an ICMP cut short', { IcmpTruncated: 1 }, { protocol: 1, payload: new Uint8Array(7) }],
      ['an ICMP with a wrong checksum', { IcmpBadChecksum: 1 }, { protocol: 1, payload: hex('08001234 00010001') }],
      ['an ICMP of a type nobody takes', { IcmpUnknownType: 1 }, { protocol: 1, payload: icmp(42, 0, 0) }],
    ];
    for (const [what, drops, fields] of bad) {
      it(`RFC 1122 §3.2.1: ${what} is dropped without an answer`, () => {
        t.ip(fields);
        t.dropped(drops);
        t.quiet();
        assert.equal(received(), 0);
      });
    }

    it('a runt frame and a frame for others are counted', () => {
      t.frame(hex('020000000001'));
      t.ether(0x0800, ipv4({ payload: udp(1, 7) }), hex('020000000077'));
      t.ether(0x0800, ipv4({ payload: udp(1, 7) }), t.mac, hex('030000000009'));
      t.ether(0x88cc, new Uint8Array(60));
      t.ether(0x8100, hex('0005 0800'));
      t.ether(0x8100, hex('00'));
      t.dropped({ EthernetTruncated: 1, EthernetOtherHost: 1, EthernetBadSource: 1, EthernetUnknownType: 1, VlanUnknown: 1, VlanTruncated: 1 });
      t.quiet();
    });

    it('a priority-tagged frame is like an untagged one (IEEE 802.1Q §6.9.1)', () => {
      t.ether(0x8100, concat(hex('e000 0800'), ipv4({ payload: udp(1, 7) })));
      assert.equal(received(), 1);
    });

    it('RFC 1122 §3.2.1.8: options that are sound are skipped, broken ones draw a parameter problem at the octet', () => {
      t.ip({ options: '01 07 07 04 00000000', payload: udp(1, 7) });
      assert.equal(received(), 1);
      t.ip({ options: '07 27 04 00', payload: udp(1, 7) });
      const [problem] = t.packets() as [Uint8Array];
      assert.equal(problem[20], 12);
      assert.equal(problem[24], 20);
      t.dropped({ IpBadOptions: 1 });
    });

    it('RFC 1122 §3.3.6: a unicast packet in a broadcast frame is dropped', () => {
      t.broadcast({ payload: udp(1, 7) });
      t.dropped({ IpMartian: 1 });
    });

    it('RFC 1122 §3.2.2.1: an unknown protocol draws protocol unreachable, one for a group or broadcast nothing', () => {
      t.ip({ protocol: 250, payload: new Uint8Array(8) });
      const [error] = t.packets() as [Uint8Array];
      assert.deepEqual([error[20], error[21]], [3, 2]);
      t.broadcast({ dst: '10.0.0.255', protocol: 250, payload: new Uint8Array(8) });
      t.quiet();
      t.dropped({ IpUnknownProtocol: 2 });
    });

    it('the strong host model: the address of another interface is not ours here (RFC 1122 §3.3.4.2)', () => {
      t.stack.addAddress(t.stack.ip.loopback, { address: address('192.0.2.1'), length: 32 });
      t.ip({ dst: '192.0.2.1', payload: udp(1, 7) });
      t.dropped({ IpNotForUs: 1 });
      t.stack.ctx.sysctl.set('anystack.strong_host', 0);
      t.ip({ dst: '192.0.2.1', payload: udp(1, 7) });
      assert.equal(received(), 1);
    });
  });

  describe('reassembly', () => {
    const whole = udp(1, 7, new Uint8Array(40).fill(65));
    const piece = (from: number, to: number, more = to < whole.length, id = 5): void =>
      t.ip({ id, fragment: (more ? 0x2000 : 0) | (from >> 3), payload: whole.subarray(from, to) });

    it('RFC 791 §3.2: fragments in any order make one datagram', () => {
      piece(32, 48);
      piece(0, 16);
      piece(16, 32);
      assert.equal(received(), 1);
      t.dropped({});
    });

    it('a whole that its own header makes longer than 65,535 is none, though each fragment fits', () => {
      const all = new Uint8Array(65_515); // with 20 octets of header as much as fits; the first one comes with 60
      for (let from = 0; from < all.length; from += 1_440) {
        const to = Math.min(from + 1_440, all.length);
        const more = to < all.length ? 0x2000 : 0;
        t.ip({ id: 6, fragment: more | (from >> 3), options: from === 0 ? '01'.repeat(40) : '', payload: all.subarray(from, to) });
      }
      t.dropped({ FragmentTooLong: 46 });
      assert.equal(t.stack.reassembly4.size, 0);
    });

    it('exact duplicates are ignored', () => {
      piece(0, 16);
      piece(0, 16);
      piece(16, 48);
      assert.equal(received(), 1);
      t.dropped({ FragmentDuplicate: 1 });
    });

    it('RFC 5722 §4: an overlap ends the datagram and what still comes of it', () => {
      piece(0, 24);
      piece(16, 32);
      piece(24, 48);
      assert.equal(received(), 0);
      t.dropped({ FragmentOverlap: 3 });
      t.run(seconds(31));
      assert.equal(t.stack.reassembly4.size, 0);
      t.quiet();
    });

    it('a second end of the datagram is an overlap', () => {
      piece(16, 32, false);
      piece(32, 48, false);
      t.dropped({ FragmentOverlap: 2 });
    });

    it('RFC 1122 §3.3.2: time exceeded is told when the first fragment had come, and only then', () => {
      piece(0, 16);
      piece(16, 32, true, 6);
      t.run(seconds(31));
      const packets = t.packets();
      assert.equal(packets.length, 1);
      assert.deepEqual([packets[0]?.[20], packets[0]?.[21]], [11, 1]);
      t.dropped({ FragmentTimeout: 2 });
    });

    it('memory is bounded: the oldest datagram goes', () => {
      t.stack.ctx.sysctl.set('net.ipv4.ipfrag_high_thresh', 10 * 2_048);
      for (let id = 0; id < 15; id++) piece(0, 16, true, id);
      t.dropped({ FragmentMemory: 5 });
      assert.equal(t.stack.reassembly4.size, 10);
    });

    it('one datagram has a bounded number of fragments', () => {
      t.stack.ctx.sysctl.set('anystack.fragments_max', 2);
      for (let n = 0; n < 4; n++) t.ip({ id: 1, fragment: 0x2000 | n, payload: new Uint8Array(8) });
      t.dropped({ FragmentTooMany: 3 });
      assert.equal(t.stack.reassembly4.size, 1);
    });
  });

  describe('ICMP', () => {
    it('RFC 1122 §3.2.2.6: an echo is answered with its data from the address it was for', () => {
      t.ip({ protocol: 1, tos: 0x20, payload: icmp(8, 0, 0x12340001, hex('0102030405')) });
      const [reply] = t.packets() as [Uint8Array];
      assert.equal(toHex(reply.subarray(12, 20)), '0a0000010a000009');
      assert.equal(toHex(reply.subarray(20)), toHex(icmp(0, 0, 0x12340001, hex('0102030405'))));
      assert.equal(checksum(reply.subarray(0, 20)), 0);
      assert.equal(reply[8], 64);
    });

    it('echo to a broadcast is ignored by default, and echo can be switched off', () => {
      t.broadcast({ dst: '10.0.0.255', protocol: 1, payload: icmp(8, 0, 1) });
      t.dropped({ IcmpEchoIgnored: 1 });
      t.stack.ctx.sysctl.set('net.ipv4.icmp_echo_ignore_broadcasts', 0);
      t.broadcast({ dst: '10.0.0.255', protocol: 1, payload: icmp(8, 0, 1) });
      assert.equal(toHex((t.packets()[0] as Uint8Array).subarray(12, 16)), '0a000001');
      t.stack.ctx.sysctl.set('net.ipv4.icmp_echo_ignore_all', 1);
      t.ip({ protocol: 1, payload: icmp(8, 0, 1) });
      t.dropped({ IcmpEchoIgnored: 1 });
      t.quiet();
    });

    it('RFC 1812 §4.3.2.8: errors are rate-limited', () => {
      t.stack.ctx.sysctl.set('net.ipv4.icmp_msgs_per_sec', 10);
      for (let i = 0; i < 60; i++) t.ip({ payload: udp(1, 99) });
      assert.equal(t.packets().length, 50);
      t.dropped({ UdpNoPort: 60, IcmpRateLimited: 10 });
    });

    it('RFC 1122 §3.2.2: no error about an error, a broadcast, or a later fragment', () => {
      t.ip({ protocol: 1, payload: icmp(3, 3, 0, ipv4({ src: '10.0.0.5', payload: udp(1, 2) })) });
      t.dropped({ IcmpErrorUnmatched: 1 });
      t.broadcast({ dst: '255.255.255.255', payload: udp(1, 99) });
      t.dropped({ UdpNoPort: 1 });
      t.quiet();
    });

    it('RFC 1191: fragmentation needed lowers the path MTU; what is too long then is fragmented, and the MTU is believed for ten minutes', () => {
      socket.connect(address('10.0.0.9'), 9);
      const send = (): number[] => {
        socket.sendTo(new Uint8Array(1_200), 0, 1_200, null, 0);
        return t.packets().map((p) => p.length);
      };
      assert.deepEqual(send(), [1_228]);
      t.ip({
        src: '10.0.0.9',
        protocol: 1,
        payload: icmp(3, 4, 1_000, ipv4({ src: '10.0.0.1', dst: '10.0.0.9', length: 1_228, payload: udp(7, 9, 'x', 1_208) })),
      });
      assert.equal(socket.takeError(), Errno.EMSGSIZE);
      assert.deepEqual(send(), [996, 252]);
      t.run(seconds(601));
      t.introduce();
      assert.deepEqual(send(), [1_228]);
    });

    it('RFC 5927: an error about a packet we did not send changes nothing', () => {
      socket.connect(address('10.0.0.9'), 9);
      t.ip({ protocol: 1, payload: icmp(3, 3, 0, ipv4({ src: '10.0.0.1', dst: '10.0.0.9', payload: udp(8, 9) })) });
      t.ip({ protocol: 1, payload: icmp(3, 3, 0, ipv4({ src: '10.0.0.1', dst: '10.0.0.8', payload: udp(7, 9) })) });
      assert.equal(socket.takeError(), 0);
      t.ip({ protocol: 1, payload: icmp(3, 3, 0, ipv4({ src: '10.0.0.1', dst: '10.0.0.9', payload: udp(7, 9) })) });
      assert.equal(socket.takeError(), Errno.ECONNREFUSED);
    });

    it('RFC 1122 §3.2.2.2: a redirect is believed from the gateway in use, to one on the link, and from nobody else', () => {
      t.stack.ip.routes.add({
        family: 4,
        prefix: address('0.0.0.0'),
        length: 0,
        type: 'unicast',
        index: t.eth0.index,
        gateway: address('10.0.0.9'),
        source: null,
        metric: 0,
        mtu: 0,
        table: 254,
        vrf: 0,
        protocol: 'static',
      });
      const about = ipv4({ src: '10.0.0.1', dst: '192.0.2.7', payload: udp(7, 9) });
      const learned = (): string[] =>
        t.stack.ip.routes
          .list()
          .filter((r) => r.protocol === 'redirect')
          .map((r) => `${r.prefix} via ${r.gateway}`);
      t.ip({ src: '10.0.0.8', protocol: 1, payload: icmp(5, 1, 0x0a000005, about) });
      assert.deepEqual(learned(), [], 'not from a stranger');
      t.ip({ protocol: 1, payload: icmp(5, 1, 0xc0000205 | 0, about) });
      assert.deepEqual(learned(), [], 'not to a gateway off the link');
      t.ip({ protocol: 1, payload: icmp(5, 1, 0x0a000005, about) });
      assert.deepEqual(learned(), ['192.0.2.7 via 10.0.0.5']);
      t.stack.ctx.sysctl.set('net.ipv4.conf.all.accept_redirects', 0);
      t.ip({ protocol: 1, payload: icmp(5, 1, 0x0a000006, about) });
      assert.deepEqual(learned(), ['192.0.2.7 via 10.0.0.5']);
    });

    it('a raw socket receives what its protocol does, header included, and errors about what it sent', () => {
      const raw = t.stack.raw.openSocket(4, 1);
      const echo = icmp(8, 0, 0x00070001, hex('aa'));
      assert.equal(raw.sendTo(echo, 0, echo.length, address('10.0.0.9')), echo.length);
      assert.equal(toHex((t.packets()[0] as Uint8Array).subarray(20)), toHex(echo));
      t.ip({ protocol: 1, payload: icmp(0, 0, 0x00070001, hex('aa')) });
      const into = new Uint8Array(100);
      assert.equal(raw.receive(into, 0, 100, new DatagramInfo()), 29);
      t.ip({ src: '10.0.0.254', protocol: 1, payload: icmp(11, 0, 0, ipv4({ src: '10.0.0.1', dst: '10.0.0.9', protocol: 1, payload: echo })) });
      assert.equal(raw.errors.length, 1);
      assert.equal(raw.errors[0]?.from, '10.0.0.254');
      raw.close();
    });
  });

  describe('output', () => {
    it('RFC 6864 §4: a packet that may not be fragmented has identification 0, others differ', () => {
      socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.0.9'), 9);
      socket.setOption('IP_MTU_DISCOVER', 0);
      socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.0.9'), 9);
      socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.0.9'), 9);
      const ids = t.packets().map((p) => ((p[4] as number) << 8) | (p[5] as number));
      assert.equal(ids[0], 0);
      assert.equal(ids[2], ((ids[1] as number) + 1) & 0xffff);
    });

    it('checksums are right on a device without offloads, and TTL and TOS are what the socket says', () => {
      socket.setOption('IP_TTL', 3);
      socket.setOption('IP_TOS', 0xb8);
      socket.sendTo(hex('414243'), 0, 3, address('10.0.0.9'), 9);
      const [p] = t.packets() as [Uint8Array];
      assert.deepEqual([p[1], p[8]], [0xb8, 3]);
      assert.equal(checksum(p.subarray(0, 20)), 0);
      const pseudo = concat(p.subarray(12, 20), hex('0011'), p.subarray(24, 26), p.subarray(20), hex('00'));
      assert.equal(checksum(pseudo), 0);
    });

    it('no route and no address are errors of the call', () => {
      assert.equal(socket.sendTo(new Uint8Array(1), 0, 1, address('192.0.2.1'), 9), -Errno.ENETUNREACH);
      const other = t.stack.udp.openSocket(4);
      assert.equal(other.bind(address('10.0.0.3'), 0), -Errno.EADDRNOTAVAIL);
      other.close();
    });

    it('a device without carrier is a route that is not there; it comes back', () => {
      (t.eth0.device as unknown as { setCarrier(up: boolean): void }).setCarrier(false);
      assert.equal(socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.0.9'), 9), -Errno.ENETUNREACH);
      (t.eth0.device as unknown as { setCarrier(up: boolean): void }).setCarrier(true);
      assert.equal(socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.0.9'), 9), 1);
      assert.deepEqual(t.events, ['link: eth0 down', 'link: eth0 up']);
      t.frames();
    });
  });
});
