import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { openNat64 } from '#src/config/nat64.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import type { Interface } from '#src/net/interface.js';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import type { Stack } from '#src/net/stack.js';
import { address, assertEmpty, lone, prefix } from '../../support/stacks.js';

const SYSCTL = { 'net.ipv6.conf.all.disable_ipv6': 0, 'net.ipv6.conf.all.dad_transmits': 0, 'net.ipv4.conf.all.arp_probe': 0 };

/** IPv6 host – gateway with NAT64 – IPv4 host, over links that carry big frames with unfinished checksums. */
describe('NAT64 and big frames', () => {
  const clock = new VirtualClock();
  const [six, gateway, four] = ['six', 'gateway', 'four'].map((name, n) => lone(clock, name, { sysctl: SYSCTL }, n + 1).stack) as [
    Stack,
    Stack,
    Stack,
  ];
  const up = (stack: Stack, name: string, device: ReturnType<typeof memoryLink>[0], text: string): Interface => {
    const iface = stack.addInterface(name, device);
    stack.addAddress(iface, prefix(text));
    return iface;
  };
  const byDefault = (stack: Stack, iface: Interface, gatewayAddress: string): void => {
    const via = address(gatewayAddress);
    const hop = { type: 'unicast', index: iface.index, gateway: via, source: null, metric: 0, mtu: 0, protocol: 'static' } as const;
    stack.ip.routes.add({ ...hop, family: via.isV4 ? 4 : 6, prefix: address(via.isV4 ? '0.0.0.0' : '::'), length: 0, table: MAIN_TABLE, vrf: 0 });
  };

  it('a transfer each way arrives as it was sent, in frames longer than any segment', () => {
    const [s0, g0] = memoryLink();
    const [g1, f0] = memoryLink();
    gateway.ctx.sysctl.set('net.ipv4.ip_forward', 1);
    gateway.ctx.sysctl.set('net.ipv6.conf.all.forwarding', 1);
    byDefault(six, up(six, 'eth0', s0, '2001:db8::2/64'), '2001:db8::1');
    up(gateway, 'lan', g0, '2001:db8::1/64');
    up(gateway, 'wan', g1, '203.0.113.1/24');
    byDefault(four, up(four, 'eth0', f0, '203.0.113.9/24'), '203.0.113.1');
    openNat64(gateway, 'xlat', { pool: ['192.0.2.64'] }, 0);
    clock.advance(seconds(8)); // what hosts ask when they come up
    gateway.ctx.counters.drops.fill(0);
    let longest = 0;
    gateway.ctx.observer.tx = (_iface, packet) => {
      longest = Math.max(longest, packet.length);
    };
    const listener = four.tcp.openSocket(4);
    listener.bind(null, 80);
    listener.listen(1);
    const client = six.tcp.openSocket(6);
    client.connect(address('64:ff9b::203.0.113.9'), 80);
    clock.advance(seconds(1));
    const server = listener.accept() as TcpSocket;
    assert.equal(`${server.remoteAddress}`, '192.0.2.64');
    const sent = new Uint8Array(150_000).map((_, i) => i * 7);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      const got = new Uint8Array(sent.length);
      for (let out = 0, into = 0, rounds = 0; into < sent.length; rounds++) {
        assert(rounds < 500, `${into} octets of ${sent.length}`);
        if (out < sent.length) out += Math.max(0, from.write(sent, out, sent.length - out));
        clock.advance(seconds(0.01));
        into += Math.max(0, to.read(got, into, got.length - into));
      }
      assert.deepEqual(got, sent);
    }
    assert(longest > 10_000, `frames of ${longest} octets`);
    assert.deepEqual(gateway.ctx.counters.dropped(), {});
    for (const socket of [client, server, listener]) socket.close();
    clock.advance(seconds(5));
    for (const stack of [six, gateway, four]) stack.close();
    clock.advance(seconds(1));
    for (const stack of [six, gateway, four]) assertEmpty(stack);
  });
});
