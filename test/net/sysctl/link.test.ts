import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { neighborStateNames } from '#src/net/link/neighbor.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { address, prefix } from '../../support/stacks.js';
import { Bench, hex, toHex } from '../../support/wire.js';

describe('tunables of neighbours and links', () => {
  let t: Bench;
  let socket: UdpSocket;
  const begin = (sysctl: Record<string, unknown>): void => {
    t = new Bench(['10.0.0.1/24'], { sysctl });
    socket = t.stack.udp.openSocket(4);
  };
  afterEach(() => {
    socket.close();
    t.end();
  });
  const send = (): number => socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.0.9'), 9);
  const answer = (): void => t.ether(0x0806, hex('0001 0800 06 04 0002 020000000009 0a000009 020000000001 0a000001'));
  const state = (): string => {
    const n = t.eth0.neighbors?.find(address('10.0.0.9'));
    return n ? (neighborStateNames[n.state] as string) : 'none';
  };
  /** Frames in `span`, by their destination station. */
  const asked = (span: number): string[] => {
    t.run(seconds(span));
    return t.frames().map((f) => toHex(f.subarray(0, 6)));
  };

  it('net.ipv4.neigh.default.base_reachable_time_ms: confirmed for 0.5 to 1.5 of it', () => {
    begin({ 'net.ipv4.neigh.default.base_reachable_time_ms': 2_000 });
    send();
    answer();
    t.run(seconds(0.9));
    assert.equal(state(), 'REACHABLE');
    t.run(seconds(2.2));
    assert.equal(state(), 'STALE');
    t.frames();
  });

  it('net.ipv4.neigh.default.retrans_time_ms, net.ipv4.neigh.default.mcast_solicit: how often and how many times a stranger is asked for', () => {
    begin({ 'net.ipv4.neigh.default.retrans_time_ms': 100, 'net.ipv4.neigh.default.mcast_solicit': 5 });
    send();
    assert.equal(asked(2).length, 5);
    assert.equal(state(), 'FAILED');
    t.dropped({ NeighborFailed: 1 });
  });

  it('net.ipv4.neigh.default.delay_first_probe_time, net.ipv4.neigh.default.ucast_solicit: when a stale neighbour in use is probed, and how many times', () => {
    begin({ 'net.ipv4.neigh.default.delay_first_probe_time': 2, 'net.ipv4.neigh.default.ucast_solicit': 1 });
    t.introduce();
    send();
    assert.equal(asked(1.9).length, 1, 'the datagram');
    assert.equal(state(), 'DELAY');
    assert.deepEqual(asked(0.2), ['020000000009'], 'the probe');
    assert.deepEqual(asked(3), []);
    assert.equal(state(), 'FAILED');
  });

  it('net.ipv4.neigh.default.gc_stale_time: unused for so long it is forgotten', () => {
    begin({ 'net.ipv4.neigh.default.gc_stale_time': 3 });
    t.introduce();
    t.run(seconds(2.9));
    assert.equal(state(), 'STALE');
    t.run(seconds(0.2));
    assert.equal(state(), 'none');
  });

  it('anystack.neighbors_max: entries of one interface', () => {
    begin({ 'anystack.neighbors_max': 2 });
    for (const host of ['0a000010', '0a000011', '0a000012', '0a000013']) t.introduce(host);
    assert.equal(t.eth0.neighbors?.size, 2);
  });

  it('net.ipv4.conf.all.arp_announce_count: so many announcements of a new address', () => {
    for (const count of [0, 1, 3]) {
      begin({ 'net.ipv4.conf.all.arp_announce_count': count });
      t.stack.addAddress(t.eth0, prefix('10.0.0.2/24'));
      assert.equal(asked(20).length, count + Math.max(0, count - 1), 'those of the first address too');
      if (count < 3) {
        socket.close();
        t.end();
      }
    }
  });

  const request = (from: string, target: string): void =>
    t.ether(0x0806, hex(`0001 0800 06 04 0001 020000000009 ${from} 000000000000 ${target}`), hex('ffffffffffff'));

  it('net.ipv4.conf.all.arp_ignore: 2 answers nobody of another subnet', () => {
    begin({});
    request('c0a80009', '0a000001');
    assert.equal(t.frames().length, 1);
    t.stack.ctx.sysctl.set('net.ipv4.conf.eth0.arp_ignore', 2);
    request('c0a80009', '0a000001');
    assert.equal(t.frames().length, 0);
    request('0a000009', '0a000001');
    assert.equal(t.frames().length, 1);
  });

  it('net.ipv4.conf.all.arp_announce: whose address a question comes from', () => {
    for (const [mode, from] of [
      [0, 'c0a80001'],
      [1, '0a000001'],
      [2, '0a000001'],
    ] as const) {
      begin({ 'net.ipv4.conf.all.arp_announce': mode });
      t.stack.addAddress(t.eth0, prefix('192.168.0.1/24'));
      t.frames();
      socket.bind(address('192.168.0.1'), 0);
      send();
      assert.deepEqual(
        t.frames().map((f) => toHex(f.subarray(28, 32))),
        [from],
      );
      if (mode < 2) {
        socket.close();
        t.end();
      }
    }
  });

  it('net.ipv4.conf.all.arp_accept: who announces himself is remembered', () => {
    begin({});
    request('0a000009', '0a000009');
    assert.equal(state(), 'none');
    t.stack.ctx.sysctl.set('net.ipv4.conf.all.arp_accept', 1);
    request('0a000009', '0a000009');
    assert.equal(state(), 'STALE');
  });

  it('net.ipv4.conf.all.arp_probe: an address is asked for before its use', () => {
    begin({ 'net.ipv4.conf.all.arp_probe': 1 });
    assert.equal(t.stack.addAddress(t.eth0, prefix('10.0.0.2/24')).state, 'tentative');
    assert.notEqual(asked(8).length, 0);
  });
});
