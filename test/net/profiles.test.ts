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

  it('small: with 24 connections that nobody reads, slabs and buffers stay below 8 MB', () => {
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
    const { slab, big, chunks } = small.ctx;
    const octets = [slab, big, chunks].reduce((sum, s) => sum + s.slots * s.slotSize, 0);
    assert(octets < 8 << 20, `${octets} octets`);
    const into = new Uint8Array(1 << 20);
    assert(
      accepted.every((one) => one.read(into, 0, into.length) > 0),
      'none starves',
    );
    for (const stack of stacks) stack.close();
  });
});
