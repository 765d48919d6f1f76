import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { seconds } from '#src/base/time.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { address } from '../../support/stacks.js';
import { Bench, checksum, concat, hex, toHex, udp } from '../../support/wire.js';
import { Bench6, octets6, udp6 } from '../../support/wire6.js';

const recordNames = ['', 'IS_IN', 'IS_EX', 'TO_IN', 'TO_EX', 'ALLOW', 'BLOCK'];
const dotted = (b: Uint8Array): string => [...b].join('.');
const colons = (b: Uint8Array): string => {
  const v = new DataView(b.buffer, b.byteOffset, 16);
  const a = address('::');
  a.set(v.getInt32(0), v.getInt32(4), v.getInt32(8), v.getInt32(12));
  return a.toString();
};

/** The records of a report whose addresses have `size` octets, as text: TO_EX group {sources}. */
function records(message: Uint8Array, size: 4 | 16): string[] {
  const v = new DataView(message.buffer, message.byteOffset);
  const text = size === 4 ? dotted : colons;
  const all: string[] = [];
  let at = 8;
  for (let n = v.getUint16(6); n > 0; n--) {
    const count = v.getUint16(at + 2);
    const group = text(message.subarray(at + 4, at + 4 + size));
    const sources = Array.from({ length: count }, (_, i) => text(message.subarray(at + 4 + size * (1 + i), at + 4 + size * (2 + i))));
    all.push(`${recordNames[message[at] as number]} ${group} {${sources.join(' ')}}`);
    at += 4 + size * (1 + count);
  }
  return all;
}

/** What a family's tests need: one description runs for both. */
interface Side {
  readonly bench: Bench;
  readonly group: string;
  readonly other: string;
  readonly sources: readonly [string, string, string];
  readonly generalTo: string;
  open(): UdpSocket;
  /** Reports and the like since the last look: destination, and records or the kind. */
  told(): string[];
  query(group: string, sources?: readonly string[], code?: number, to?: string): void;
  oldQuery(version: number): void;
  /** Another member's report of an older version. */
  report(group: string): void;
  /** A datagram to a group. */
  send(from: string, group: string, text: string): void;
}

function side6(): Side {
  const t = new Bench6({ 'net.ipv6.conf.all.addr_gen_mode': 0 });
  t.wait(2);
  t.mld();
  const router = { src: 'fe80::5', hops: 1 };
  const alert = hex('3a00 0502 0000 0100');
  const send = (type: number, rest: number, data: Uint8Array, dst: string, alerted: boolean): void => {
    const message = concat(Uint8Array.from([type, 0, 0, 0, rest >> 8, rest & 255, 0, 0]), data);
    const sum = checksum(concat(octets6(router.src), octets6(dst), Uint8Array.from([0, 0, 0, message.length, 0, 0, 0, 58]), message));
    message.set([sum >> 8, sum & 255], 2);
    const a = address(dst);
    const mac = a.isMulticast ? hex(`3333${(a.w3 >>> 0).toString(16).padStart(8, '0')}`) : t.mac;
    t.ip6({ ...router, dst, next: alerted ? 0 : 58, payload: alerted ? concat(alert, message) : message }, mac);
  };
  return {
    bench: t,
    group: 'ff05::1234',
    other: 'ff05::9',
    sources: ['fd00::a', 'fd00::b', 'fd00::c'],
    generalTo: 'ff02::1',
    open: () => t.stack.udp.openSocket(6),
    told: () =>
      t
        .mld()
        .map((p) => {
          assert.deepEqual([p.hops, p.src.startsWith('fe80') || p.src === '::'], [1, true]);
          const kind = p.payload[0] as number;
          if (kind !== 143) return `${kind === 131 ? 'report' : 'leave'} ${colons(p.payload.subarray(8, 24))} to ${p.dst}`;
          assert.equal(p.dst, 'ff02::16');
          return records(p.payload, 16)
            .filter((r) => !r.includes('ff02::1:ff'))
            .join(', ');
        })
        .filter((x) => x !== '' && !x.includes('ff02::1:ff')),
    query: (group, sources = [], code = 1_000, to = group === '::' ? 'ff02::1' : group) =>
      send(130, code, concat(octets6(group), Uint8Array.from([2, 125, 0, sources.length]), ...sources.map(octets6)), to, true),
    oldQuery: () => send(130, 1_000, octets6('::'), 'ff02::1', true),
    report: (group) => send(131, 0, octets6(group), group, true),
    send: (from, group, text) =>
      t.ip6({ src: from, dst: group, payload: udp6(1, 7, text, from, group) }, hex(`3333${(address(group).w3 >>> 0).toString(16).padStart(8, '0')}`)),
  };
}

function side4(): Side {
  const t = new Bench();
  const send = (message: Uint8Array, dst: string, alerted = true): void => {
    const sum = checksum(message);
    message.set([sum >> 8, sum & 255], 2);
    const word = address(dst).w3;
    const mac = address(dst).isMulticast ? hex(`01005e${(word & 0x7fffff).toString(16).padStart(6, '0')}`) : t.mac;
    t.ip({ src: '10.0.0.5', dst, ttl: 1, protocol: 2, ...(alerted ? { options: '94040000' } : {}), payload: message }, mac);
  };
  const octets = (text: string): number[] => text.split('.').map(Number);
  return {
    bench: t,
    group: '239.1.2.3',
    other: '239.1.2.9',
    sources: ['10.0.0.10', '10.0.0.11', '10.0.0.12'],
    generalTo: '224.0.0.1',
    open: () => t.stack.udp.openSocket(4),
    told: () =>
      t.packets().map((p) => {
        assert.deepEqual([p[0], p[1], p[8], p[9], toHex(p.subarray(20, 24))], [0x46, 0xc0, 1, 2, '94040000']);
        assert.equal(checksum(p.subarray(0, 24)), 0);
        const message = p.slice(24);
        assert.equal(checksum(message), 0);
        const to = dotted(p.subarray(16, 20));
        if (message[0] !== 0x22) return `${message[0] === 0x17 ? 'leave' : 'report'} ${dotted(message.subarray(4, 8))} to ${to}`;
        assert.equal(to, '224.0.0.22');
        return records(message, 4).join(', ');
      }),
    query: (group, sources = [], code = 10, to = group === '0.0.0.0' ? '224.0.0.1' : group) =>
      send(Uint8Array.from([0x11, code > 255 ? 10 : code, 0, 0, ...octets(group), 2, 125, 0, sources.length, ...sources.flatMap(octets)]), to),
    oldQuery: (version) => send(Uint8Array.from([0x11, version === 1 ? 0 : 10, 0, 0, 0, 0, 0, 0]), '224.0.0.1'),
    report: (group) => send(Uint8Array.from([0x16, 0, 0, 0, ...octets(group)]), group),
    send: (from, group, text) =>
      t.ip({ src: from, dst: group, payload: udp(1, 7, text) }, hex(`01005e${(address(group).w3 & 0x7fffff).toString(16).padStart(6, '0')}`)),
  };
}

for (const [name, rfc, make] of [
  ['MLD', 'RFC 9777', side6],
  ['IGMP', 'RFC 9776', side4],
] as const) {
  describe(`groups: ${name}`, () => {
    let s: Side;
    let socket: UdpSocket;
    const all = name === 'MLD' ? '::' : '0.0.0.0';
    const g = (): string => s.group;
    const join = (group = s.group, source: string | null = null, of = socket): number =>
      of.join(address(group), s.bench.eth0.index, source === null ? null : address(source));
    const leave = (group = s.group, source: string | null = null, of = socket): number =>
      of.leave(address(group), s.bench.eth0.index, source === null ? null : address(source));
    const received = (of = socket): string[] => {
      const texts: string[] = [];
      const into = new Uint8Array(100);
      for (let n = of.receive(into, 0, 100, new DatagramInfo()); n >= 0; n = of.receive(into, 0, 100, new DatagramInfo()))
        texts.push(new TextDecoder().decode(into.subarray(0, n)));
      return texts;
    };
    const wait = (n: number): void => s.bench.run(seconds(n));
    const settle = (): void => {
      wait(3);
      s.told();
    };
    beforeEach(() => {
      s = make();
      socket = s.open();
      socket.reuse = true;
      socket.bind(null, 7);
    });
    afterEach(() => {
      socket.close();
      s.bench.end();
    });

    it(`${rfc} §5.1/§6.1: joining is told at once and again within a second, leaving too`, () => {
      assert.equal(join(), 0);
      assert.deepEqual(s.told(), [`TO_EX ${g()} {}`]);
      wait(1);
      assert.deepEqual(s.told(), [`TO_EX ${g()} {}`]);
      wait(5);
      assert.deepEqual(s.told(), []);
      assert.equal(leave(), 0);
      wait(2);
      assert.deepEqual(s.told(), [`TO_IN ${g()} {}`, `TO_IN ${g()} {}`]);
    });

    it('joins of one turn share a report', () => {
      join();
      join(s.other);
      assert.deepEqual(s.told(), [`TO_EX ${g()} {}, TO_EX ${s.other} {}`]);
    });

    it('sources come and go as ALLOW and BLOCK; the socket has what it asked for', () => {
      const [a, b, c] = s.sources;
      assert.equal(join(g(), a), 0);
      assert.deepEqual(s.told(), [`ALLOW ${g()} {${a}}`]);
      settle();
      assert.equal(join(g(), b), 0);
      assert.deepEqual(s.told(), [`ALLOW ${g()} {${b}}`]);
      settle();
      s.send(a, g(), 'a');
      s.send(b, g(), 'b');
      s.send(c, g(), 'c');
      assert.deepEqual(received(), ['a', 'b']);
      assert.equal(s.bench.stack.ctx.counters.dropped()['IpGroupNotJoined'], 1);
      assert.equal(leave(g(), a), 0);
      assert.deepEqual(s.told(), [`BLOCK ${g()} {${a}}`]);
      settle();
      assert.equal(leave(g(), b), 0);
      assert.deepEqual(s.told(), [`BLOCK ${g()} {${b}}`]);
      assert.equal(leave(g(), b), -Errno.EADDRNOTAVAIL);
    });

    it(`${rfc}: what several sockets want is merged per interface: RFC 9776 §3.2`, () => {
      const [a, b, c] = s.sources;
      const second = s.open();
      second.reuse = true;
      second.bind(null, 7);
      join(g(), a);
      settle();
      assert.equal(second.setSourceFilter(address(g()), s.bench.eth0.index, 'exclude', [address(a), address(b)]), 0);
      assert.deepEqual(s.told(), [`TO_EX ${g()} {${b}}`]);
      settle();
      for (const from of s.sources) s.send(from, g(), from);
      assert.deepEqual(received(), [a]);
      assert.deepEqual(received(second), [c]);
      second.close();
      wait(2);
      assert.deepEqual(s.told(), [`TO_IN ${g()} {${a}}`, `TO_IN ${g()} {${a}}`]);
    });

    it('IP_MULTICAST_ALL: who joined nothing receives what others joined, unless it says no', () => {
      const bystander = s.open();
      bystander.reuse = true;
      bystander.bind(null, 7);
      join();
      s.send(s.sources[0], g(), 'one');
      assert.deepEqual([received(), received(bystander)], [['one'], ['one']]);
      bystander.setOption('IP_MULTICAST_ALL', 0);
      s.send(s.sources[0], g(), 'two');
      assert.deepEqual([received(), received(bystander)], [['two'], []]);
      bystander.close();
    });

    it('errors of the calls are those of Linux', () => {
      const [a] = s.sources;
      const index = s.bench.eth0.index;
      assert.equal(join(), 0);
      assert.equal(join(), -Errno.EADDRINUSE);
      assert.equal(join(g(), a), -Errno.EINVAL);
      assert.equal(leave(g(), a), -Errno.EINVAL);
      assert.equal(leave(s.other), -Errno.EADDRNOTAVAIL);
      assert.equal(join(s.other, a), 0);
      assert.equal(join(s.other, a), -Errno.EADDRNOTAVAIL);
      assert.equal(socket.join(address(a), index, null), -Errno.EINVAL);
      assert.equal(socket.join(address(g()), 99, null), -Errno.ENODEV);
      assert.equal(socket.join(address(name === 'MLD' ? '239.1.1.1' : 'ff05::1'), index, null), -Errno.EAFNOSUPPORT);
      assert.equal(s.open().leave(address(g()), index, null), -Errno.EADDRNOTAVAIL);
    });

    it('memberships and sources are bounded', () => {
      const v = s.bench.stack.ctx.sysctl;
      v.set('net.ipv4.igmp_max_memberships', 2);
      v.set('net.ipv4.igmp_max_msf', 2);
      v.set('net.ipv6.mld_max_msf', 2);
      const third = name === 'MLD' ? 'ff05::77' : '239.7.7.7';
      assert.deepEqual([join(), join(s.other), join(third)], [0, 0, -Errno.ENOBUFS]);
      assert.equal(socket.setSourceFilter(address(g()), s.bench.eth0.index, 'exclude', s.sources.map(address)), -Errno.ENOBUFS);
      v.set('anystack.groups_max', 16);
      v.set('net.ipv4.igmp_max_memberships', 100);
      for (let i = 1; i < 30; i++) join(name === 'MLD' ? `ff05::${i}` : `239.0.0.${i}`);
      assert.equal([...s.bench.stack.multicast.of(s.bench.eth0)].length, 16);
    });

    describe('queries', () => {
      it(`${rfc}: a general one is answered within its time with all groups`, () => {
        join();
        join(s.other, s.sources[0]);
        settle();
        s.query(all);
        wait(1.1);
        const [told] = s.told();
        assert.ok(told?.includes(`IS_EX ${g()} {}`) && told.includes(`IS_IN ${s.other} {${s.sources[0]}}`), told);
        wait(5);
        assert.deepEqual(s.told(), []);
      });

      it(`${rfc}: one about a group by its members alone`, () => {
        join();
        settle();
        s.query(g());
        s.query(s.other);
        wait(1.1);
        assert.deepEqual(s.told(), [`IS_EX ${g()} {}`]);
      });

      it(`${rfc}: one about sources with those that are wanted; two before the answer are one`, () => {
        const [a, b, c] = s.sources;
        join(g(), a);
        join(g(), b);
        settle();
        s.query(g(), [a, c]);
        s.query(g(), [b]);
        wait(1.1);
        const [told, more] = s.told();
        assert.deepEqual([told, more], [`IS_IN ${g()} {${a} ${b}}`, undefined]);
        s.query(g(), [c]);
        wait(1.1);
        assert.deepEqual(s.told(), []);
      });

      it('a group joined by all answers with the sources it does not exclude', () => {
        const [a, b] = s.sources;
        socket.setSourceFilter(address(g()), s.bench.eth0.index, 'exclude', [address(a)]);
        settle();
        s.query(g(), [a, b]);
        wait(1.1);
        assert.deepEqual(s.told(), [`IS_IN ${g()} {${b}}`]);
      });
    });

    it(`an older querier is answered in its version, and forgotten after 260 s (${rfc} §7/§8)`, () => {
      s.oldQuery(2);
      settle();
      join();
      assert.deepEqual(s.told(), [`report ${g()} to ${g()}`]);
      wait(11);
      assert.deepEqual(s.told(), [`report ${g()} to ${g()}`]);
      s.oldQuery(2);
      s.report(g());
      wait(11);
      assert.deepEqual(s.told(), [], 'another member has told');
      assert.equal(leave(), 0);
      assert.deepEqual(s.told(), [], 'nor do we leave: the other reported last');
      join();
      wait(11);
      s.told();
      leave();
      assert.deepEqual(s.told(), [`leave ${g()} to ${name === 'MLD' ? 'ff02::2' : '224.0.0.2'}`]);
      wait(261);
      join();
      assert.deepEqual(s.told(), [`TO_EX ${g()} {}`]);
    });

    it('a packet we send to a group we are in comes back, unless IP_MULTICAST_LOOP is off', () => {
      join();
      s.bench.frames();
      socket.setOption('IP_MULTICAST_IF', s.bench.eth0.index);
      socket.sendTo(new TextEncoder().encode('me'), 0, 2, address(g()), 7);
      s.bench.run();
      assert.deepEqual(received(), ['me']);
      socket.setOption('IP_MULTICAST_LOOP', 0);
      socket.sendTo(new TextEncoder().encode('me'), 0, 2, address(g()), 7);
      s.bench.run();
      assert.deepEqual(received(), []);
      assert.ok(s.bench.frames().length >= 2);
    });

    it('a link that comes back has all groups told of anew', () => {
      join();
      settle();
      s.bench.cable(false);
      s.bench.cable(true);
      wait(0.1);
      assert.ok(s.told().some((x) => x.includes(`TO_EX ${g()} {}`)));
    });

    it('more groups than fit a packet go in several', () => {
      s.bench.stack.ctx.sysctl.set('net.ipv4.igmp_max_memberships', 1_000);
      for (let i = 0; i < 200; i++) join(name === 'MLD' ? `ff05::1:${i + 1}` : `239.5.0.${i + 1}`);
      wait(0.01);
      const told = s.told();
      assert.ok(told.length >= (name === 'MLD' ? 3 : 2));
      assert.equal(told.join(', ').split('TO_EX').length - 1, 200);
    });
  });
}
