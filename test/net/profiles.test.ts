import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock, VirtualHost } from '#src/hyper/virtual-host.js';
import { type ProfileName, profiles } from '#src/net/profiles.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import { address, prefix } from '../support/stacks.js';

describe('profiles', () => {
  for (const name of Object.keys(profiles) as ProfileName[]) {
    it(`${name}: its values are tunables in range, and a file's values win over them`, () => {
      const sysctl = new Sysctl(name, { 'net.ipv4.ip_default_ttl': 77 });
      for (const [key, value] of Object.entries(profiles[name])) assert.deepEqual(sysctl.get(key), value);
      assert.equal(sysctl.get('net.ipv4.ip_default_ttl'), 77);
    });
  }

  /** A stack of profile small with a listener on port 9, and a peer. */
  function smallAndPeer(): { clock: VirtualClock; small: Stack; peer: Stack; listener: TcpSocket } {
    const clock = new VirtualClock();
    const stacks = memoryLink().map((device, n) => {
      const sysctl = new Sysctl(n === 0 ? 'small' : 'linux', { 'net.ipv6.conf.all.disable_ipv6': 1 });
      const stack = new Stack(`s${n}`, new VirtualHost({ clock, seed: n + 1 }), sysctl, {
        failed: assert.ifError,
        conflict: () => {},
        link: () => {},
      });
      stack.addAddress(stack.addInterface('eth0', device), prefix(`10.0.0.${n + 1}/24`));
      return stack;
    }) as [Stack, Stack];
    const [small, peer] = stacks;
    const listener = small.tcp.openSocket(4);
    listener.bind(null, 9);
    listener.listen(64);
    return { clock, small, peer, listener };
  }

  /** Octets of slabs and socket buffers made so far. */
  const memory = ({ ctx: { slab, big, chunks } }: Stack): number => [slab, big, chunks].reduce((sum, s) => sum + s.slots * s.slotSize, 0);

  it('small: with 24 connections that nobody reads, slabs and buffers stay below 8 MB', () => {
    const { clock, small, peer, listener } = smallAndPeer();
    const data = new Uint8Array(1 << 20);
    const accepted: TcpSocket[] = [];
    for (let i = 0; i < 24; i++) {
      const client = peer.tcp.openSocket(4);
      client.connect(address('10.0.0.1'), 9);
      client.onReady = () => client.write(data, 0, data.length);
      clock.advance(seconds(0.1));
      const one = listener.accept();
      if (one === null) continue;
      one.write(data, 0, data.length);
      accepted.push(one);
    }
    clock.advance(seconds(30));
    assert.equal(accepted.length, 24);
    assert(memory(small) < 8 << 20, `${memory(small)} octets`);
    const into = new Uint8Array(1 << 20);
    assert(
      accepted.every((one) => one.read(into, 0, into.length) > 0),
      'none starves',
    );
    for (const stack of [small, peer]) stack.close();
  });

  it('small: 120 connections with 10,000 octets unread and as many unsent each, and all of it arrives', () => {
    const { clock, small, peer, listener } = smallAndPeer();
    const data = Uint8Array.from({ length: 10_000 }, (_, i) => i * 7);
    const pairs: [TcpSocket, TcpSocket][] = [];
    for (let i = 0; i < 120; i++) {
      const client = peer.tcp.openSocket(4);
      // The client's window: what the small end writes stays in its buffer.
      client.setOption('SO_RCVBUF', 4_096);
      client.connect(address('10.0.0.1'), 9);
      clock.advance(seconds(0.1));
      const server = listener.accept() as TcpSocket;
      assert.equal(client.write(data), data.length);
      assert.equal(server.write(data), data.length);
      pairs.push([client, server]);
    }
    clock.advance(seconds(5));
    assert(memory(small) < 8 << 20, `${memory(small)} octets`);
    const into = new Uint8Array(20_000);
    for (const [client, server] of pairs) {
      assert.equal(server.read(into, 0, into.length), data.length);
      assert.deepEqual(into.subarray(0, data.length), data);
      let got = 0;
      for (let turns = 0; got < data.length && turns < 100; turns++) {
        const n = client.read(into, got, into.length - got);
        if (n > 0) got += n;
        clock.advance(seconds(1));
      }
      assert.deepEqual(into.subarray(0, got), data);
    }
    assert.equal(small.ctx.chunks.held, 0);
    for (const stack of [small, peer]) stack.close();
  });
});
