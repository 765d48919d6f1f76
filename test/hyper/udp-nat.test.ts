import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createNodeHost } from '#src/hyper/node-host.js';
import type { UdpNatDevice } from '#src/hyper/udp-nat.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import { bound, receive } from '../support/ipsec.js';
import { address, assertEmpty, prefix } from '../support/stacks.js';
import { until } from '../support/until.js';

describe('udp-nat: a stack behind UDP sockets of the host', () => {
  it('UDP passes both ways by mapped addresses; what is not UDP is lost and counted', async () => {
    const peer = createSocket('udp4');
    peer.bind(0, '127.0.0.1');
    await once(peer, 'listening');
    const host = createNodeHost();
    const spec = { type: 'udp-nat', address: '192.0.2.2', map: { '192.0.2.1:500': `127.0.0.1:${peer.address().port}` } };
    const device = host.open(spec) as UdpNatDevice;
    const stack = new Stack('n', host, new Sysctl('linux', { 'net.ipv6.conf.all.disable_ipv6': 1 }), {
      failed: () => {},
      conflict: () => {},
      link: () => {},
    });
    const wan = stack.addInterface('wan', device);
    stack.addAddress(wan, prefix('192.0.2.2/24'));
    const socket = bound(stack, 500);
    socket.sendTo(new TextEncoder().encode('hello'), 0, 5, address('192.0.2.1'), 500);
    const [data, from] = (await once(peer, 'message')) as [Buffer, { port: number }];
    assert.equal(String(data), 'hello');
    peer.send('and back', from.port, '127.0.0.1');
    await until(() => socket.nextSize >= 0, 'the answer is there');
    const got = receive(socket);
    assert.equal(new TextDecoder().decode(got?.data), 'and back');
    assert.equal(`${got?.info.address}:${got?.info.port}`, '192.0.2.1:500');
    const tcp = stack.tcp.openSocket(4);
    tcp.connect(address('192.0.2.1'), 80);
    await until(() => device.statistics().txDropped > 0, 'the SYN is lost');
    tcp.fail(5);
    socket.close();
    stack.close();
    peer.close();
    assertEmpty(stack);
  });

  it('refuses addresses that are none', () => {
    const open = (more: object): unknown => createNodeHost().open({ type: 'udp-nat', address: '192.0.2.2', ...more });
    assert.throws(() => open({ address: 'here' }), /'here' is no IPv4 address/);
    assert.throws(() => open({ map: { '192.0.2.1': '127.0.0.1:1' } }), /no IPv4 address with a port/);
    assert.throws(() => open({ loopbackAs: 'x' }), /loopbackAs 'x'/);
    assert.throws(() => open({ publihs: {} }), /publish/);
  });
});
