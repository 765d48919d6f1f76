import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { seconds } from '#src/base/time.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import { Flow } from '#src/net/ip/path.js';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { address, lone, prefix } from '../../support/stacks.js';
import { Bench, icmp, ipv4, udp } from '../../support/wire.js';

describe('tunables of IP', () => {
  let t: Bench;
  let socket: UdpSocket;
  const set = (name: string, value: unknown): void => t.stack.ctx.sysctl.set(name, value);
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
  const received = (): number => socket.receive(new Uint8Array(2_048), 0, 2_048, new DatagramInfo());
  const send = (octets = 1, to = '10.0.0.9'): number => socket.sendTo(new Uint8Array(octets), 0, octets, address(to), 9);
  const lengths = (): number[] => t.packets().map((p) => p.length);
  const types = (): string[] => t.packets().map((p) => (p[9] === 1 ? `icmp ${p[20]}` : `protocol ${p[9]}`));
  const route = (to: string, via: string): void => {
    const { address: at, length } = prefix(to);
    const kind = { family: 4, type: 'unicast', source: null, metric: 0, mtu: 0, table: MAIN_TABLE, vrf: 0, protocol: 'static' } as const;
    t.stack.ip.routes.add({ ...kind, prefix: at, length, index: t.eth0.index, gateway: address(via) });
  };
  const tooBig = (mtu: number): void =>
    t.ip({ protocol: 1, payload: icmp(3, 4, mtu, ipv4({ src: '10.0.0.1', dst: '10.0.0.9', length: 1_228, payload: udp(7, 9, 'x', 1_208) })) });

  it('net.ipv4.ip_forward, net.ipv4.conf.all.send_redirects: what is for others goes on, with a redirect where that helps', () => {
    route('192.0.2.0/24', '10.0.0.9');
    const pass = (): string[] => {
      t.ip({ src: '10.0.0.9', dst: '192.0.2.7', payload: udp(1, 7) });
      return types();
    };
    assert.deepEqual(pass(), []);
    set('net.ipv4.ip_forward', 1);
    assert.deepEqual(pass(), ['icmp 5', 'protocol 17']);
    set('net.ipv4.conf.all.send_redirects', 0);
    assert.deepEqual(pass(), ['protocol 17']);
    t.dropped({ IpNotForUs: 1 });
  });

  it('anystack.fib_wide: a table of many routes is looked up by 24 bits first, and takes the memory for it', () => {
    const octets = (wide: 0 | 1): number => {
      const { stack } = lone(new VirtualClock(), 'router', { sysctl: { 'anystack.fib_wide': wide } });
      const kind = { family: 4, type: 'blackhole', source: null, metric: 0, mtu: 0, table: MAIN_TABLE, vrf: 0, protocol: 'static' } as const;
      for (let n = 0; n < 20; n++) stack.ip.routes.add({ ...kind, prefix: address(`20.0.${n}.0`), length: 24, index: 0, gateway: null });
      const flow = new Flow();
      flow.destination.copy(address('20.0.7.9'));
      assert.equal(stack.ip.routes.lookup(flow)?.type, 'blackhole');
      const sum = stack.ip.routes.statistics().reduce((n, table) => n + table.octets, 0);
      stack.close();
      return sum;
    };
    assert(octets(0) < 2 ** 20);
    assert(octets(1) > 2 ** 26);
  });

  it('net.ipv4.ip_default_ttl: the TTL of what we originate', () => {
    set('net.ipv4.ip_default_ttl', 7);
    send();
    assert.equal(t.packets()[0]?.[8], 7);
  });

  it('net.ipv4.ip_local_port_range_low, net.ipv4.ip_local_port_range_high: ephemeral ports lie between them', () => {
    set('net.ipv4.ip_local_port_range_low', 5_000);
    set('net.ipv4.ip_local_port_range_high', 5_001);
    const sockets = [1, 2, 3].map(() => t.stack.udp.openSocket(4));
    assert.deepEqual(
      sockets.map((s) => s.bind(null, 0)),
      [0, 0, -Errno.EADDRINUSE],
    );
    assert.deepEqual(sockets.map((s) => s.localPort).sort(), [0, 5_000, 5_001]);
    for (const s of sockets) s.close();
  });

  it('net.ipv4.ip_no_pmtu_disc: no DF, and no belief in fragmentation needed', () => {
    const fragmentable = (): boolean => ((t.packets()[0] as Uint8Array)[6] as number) === 0;
    send();
    assert.equal(fragmentable(), false);
    set('net.ipv4.ip_no_pmtu_disc', 1);
    socket.close();
    socket = t.stack.udp.openSocket(4);
    socket.bind(null, 7);
    send();
    assert.equal(fragmentable(), true);
    tooBig(1_000);
    send(1_200);
    assert.deepEqual(lengths(), [1_228]);
  });

  it('net.ipv4.route.min_pmtu, net.ipv4.route.mtu_expires: the least that is believed, and for how long', () => {
    set('net.ipv4.route.min_pmtu', 700);
    set('net.ipv4.route.mtu_expires', 3);
    tooBig(100);
    send(1_200);
    assert.deepEqual(lengths(), [700, 548]);
    t.run(seconds(3.1));
    send(1_200);
    assert.deepEqual(lengths(), [1_228]);
  });

  it('net.ipv4.ipfrag_high_thresh, net.ipv4.ipfrag_time, anystack.fragments_max: what waits to be complete', () => {
    const first = (id: number, at = 0): void => t.ip({ id, fragment: 0x2000 | at, payload: udp(1, 7, new Uint8Array(8)) });
    set('net.ipv4.ipfrag_high_thresh', 2 * 2_048);
    for (let id = 0; id < 5; id++) first(id);
    assert.equal(t.stack.reassembly4.size, 2);
    t.dropped({ FragmentMemory: 3 });
    set('net.ipv4.ipfrag_high_thresh', 1 << 20);
    set('anystack.fragments_max', 2);
    for (let at = 0; at < 6; at += 2) first(9, at);
    t.dropped({ FragmentTooMany: 3 });
    t.run(seconds(31));
    t.dropped({ FragmentTimeout: 2 });
    set('net.ipv4.ipfrag_time', 2);
    first(20);
    t.frames();
    t.run(seconds(2.1));
    t.dropped({ FragmentTimeout: 1 });
    t.frames();
  });

  it('net.ipv4.icmp_echo_ignore_all, net.ipv4.icmp_echo_ignore_broadcasts: who is answered', () => {
    const ping = (all: boolean): number => {
      if (all) t.broadcast({ dst: '10.0.0.255', protocol: 1, payload: icmp(8, 0, 1) });
      else t.ip({ protocol: 1, payload: icmp(8, 0, 1) });
      return lengths().length;
    };
    assert.deepEqual([ping(false), ping(true)], [1, 0]);
    set('net.ipv4.icmp_echo_ignore_broadcasts', 0);
    assert.deepEqual([ping(false), ping(true)], [1, 1]);
    set('net.ipv4.icmp_echo_ignore_all', 1);
    assert.deepEqual([ping(false), ping(true)], [0, 0]);
  });

  it('net.ipv4.icmp_msgs_per_sec, net.ipv4.icmp_msgs_burst: errors at once and by the second', () => {
    set('net.ipv4.icmp_msgs_burst', 3);
    set('net.ipv4.icmp_msgs_per_sec', 2);
    const errors = (): number => {
      for (let i = 0; i < 10; i++) t.ip({ payload: udp(1, 99) });
      return t.packets().length;
    };
    assert.equal(errors(), 3);
    t.run(seconds(1));
    assert.equal(errors(), 2);
  });

  it('anystack.icmp_echo_per_sec: echo replies by the second', () => {
    set('anystack.icmp_echo_per_sec', 5);
    for (let i = 0; i < 10; i++) t.ip({ protocol: 1, payload: icmp(8, 0, i) });
    assert.equal(t.packets().length, 5);
    t.dropped({ IcmpRateLimited: 5 });
  });

  it('net.ipv4.conf.all.accept_redirects: believed or not', () => {
    route('0.0.0.0/0', '10.0.0.9');
    const redirect = (to: string): number => {
      t.ip({ protocol: 1, payload: icmp(5, 1, 0x0a000005, ipv4({ src: '10.0.0.1', dst: to, payload: udp(7, 9) })) });
      return t.stack.ip.routes.list().filter((r) => r.protocol === 'redirect').length;
    };
    set('net.ipv4.conf.all.accept_redirects', 0);
    assert.equal(redirect('192.0.2.7'), 0);
    set('net.ipv4.conf.all.accept_redirects', 1);
    assert.equal(redirect('192.0.2.7'), 1);
  });

  it('net.ipv4.conf.all.accept_source_route: refused unless set', () => {
    const routed = { options: '83 07 08 0a000005 01', payload: udp(1, 7) };
    t.ip(routed);
    t.dropped({ IpSourceRoute: 1 });
    set('net.ipv4.conf.all.accept_source_route', 1);
    t.ip(routed);
    assert.equal(received(), 1);
  });

  it('net.ipv4.conf.all.rp_filter: a source without a way back here is dropped by 1, one without any by 2', () => {
    set('net.ipv4.ip_forward', 1);
    set('net.ipv4.conf.all.send_redirects', 0);
    route('192.0.2.0/24', '10.0.0.9');
    const pass = (mode: number): number => {
      set('net.ipv4.conf.all.rp_filter', mode);
      t.ip({ src: '198.51.100.1', dst: '192.0.2.7', payload: udp(1, 7) });
      return t.packets().length;
    };
    assert.deepEqual([pass(0), pass(1), pass(2)], [1, 0, 0]);
    route('198.51.100.0/24', '10.0.0.9');
    assert.deepEqual([pass(1), pass(2)], [1, 1]);
    t.dropped({ IpReversePath: 2 });
  });

  it('net.ipv4.conf.all.bc_forwarding: directed broadcasts of another link pass', () => {
    const [near, far] = memoryLink();
    far.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
    t.stack.addAddress(t.stack.addInterface('eth1', near), prefix('10.0.1.1/24'));
    set('net.ipv4.ip_forward', 1);
    t.ip({ dst: '10.0.1.255', payload: udp(1, 7) });
    t.dropped({ IpBroadcastForward: 1 });
    set('net.ipv4.conf.all.bc_forwarding', 1);
    t.ip({ dst: '10.0.1.255', payload: udp(1, 7) });
    t.dropped({});
    assert.equal(t.stack.ctx.counters.get('IpForwDatagrams'), 1);
  });

  it('anystack.strong_host: the address of another interface is ours here too when off', () => {
    t.stack.addAddress(t.stack.ip.loopback, prefix('192.0.2.1/32'));
    const arrives = (): number => {
      t.ip({ dst: '192.0.2.1', payload: udp(1, 7) });
      return received();
    };
    assert.equal(arrives(), -Errno.EAGAIN);
    set('anystack.strong_host', 0);
    assert.equal(arrives(), 1);
  });

  it('net.ipv4.igmp_max_memberships, net.ipv4.igmp_max_msf, anystack.groups_max: groups and sources are bounded', () => {
    set('net.ipv4.igmp_max_memberships', 2);
    set('net.ipv4.igmp_max_msf', 1);
    const join = (group: string, source: string | null = null): number =>
      socket.join(address(group), t.eth0.index, source === null ? null : address(source));
    assert.deepEqual([join('239.0.0.1'), join('232.0.0.2', '10.0.0.9'), join('239.0.0.3')], [0, 0, -Errno.ENOBUFS]);
    assert.equal(join('232.0.0.2', '10.0.0.8'), -Errno.ENOBUFS);
    set('net.ipv4.igmp_max_memberships', 100);
    set('anystack.groups_max', 16);
    let joined = 2;
    while (joined < 50 && join(`239.0.1.${joined}`) === 0) joined++;
    assert(joined <= 16, `${joined} groups`);
  });

  it('net.ipv4.conf.all.force_igmp_version: the version that is spoken', () => {
    const reports = (): number[] => {
      t.run(seconds(2));
      return [...new Set(t.packets().map((p) => p[((p[0] as number) & 15) * 4] as number))];
    };
    socket.join(address('239.0.0.1'), t.eth0.index, null);
    assert.deepEqual(reports(), [0x22]);
    for (const [version, type] of [
      [2, 0x16],
      [1, 0x12],
    ] as const) {
      set('net.ipv4.conf.all.force_igmp_version', version);
      socket.join(address(`239.0.0.${10 + version}`), t.eth0.index, null);
      assert.deepEqual(reports(), [type]);
    }
  });

  it('values out of range and unknown names are refused', () => {
    assert.throws(() => set('net.ipv4.ip_default_ttl', 0), /outside \[1, 255\]/);
    assert.throws(() => set('net.ipv4.ip_forwarding', 1), /nearest is net.ipv4.ip_forward/);
  });
});
