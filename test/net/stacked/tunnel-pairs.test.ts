import assert from 'node:assert/strict';
import type { TunnelConfig } from '#src/config/tunnels.js';
import { type AnyStack, createStack, memoryLink } from '#src/index.js';

describe('tunnels between two stacks, by configuration', () => {
  const kinds: readonly [string, object, string][] = [
    ['4in4 and 6in4', { type: 'ip' }, '4'],
    ['4in6 and 6in6', { type: 'ip' }, '6'],
    ['6in6 without encapsulation limit', { type: 'ip', encapsulationLimit: -1 }, '6'],
    ['GRE with everything', { type: 'gre', key: 99, checksum: true, sequence: true, ttl: 9 }, '4'],
    ['GRE over IPv6 (RFC 7676)', { type: 'gre' }, '6'],
    ['VXLAN', { type: 'vxlan', id: 77 }, '4'],
    ['VXLAN over IPv6, with checksums', { type: 'vxlan', id: 77 }, '6'],
  ];
  for (const [what, tunnel, outer] of kinds) {
    it(`${what}: TCP of both families, and datagrams longer than the tunnel's MTU`, async () => {
      const [a, b] = memoryLink();
      const made = [a, b].map((device, i) => {
        const [mine, theirs] = i === 0 ? [1, 2] : [2, 1];
        const ends = outer === '4' ? { local: `10.0.0.${mine}`, remote: `10.0.0.${theirs}` } : { local: `fd00::${mine}`, remote: `fd00::${theirs}` };
        return createStack({
          name: `stack${mine}`,
          interfaces: {
            eth0: { device, addresses: [`10.0.0.${mine}/24`, `fd00::${mine}/64`] },
            tun0: { tunnel: { ...tunnel, ...ends } as TunnelConfig, addresses: [`10.8.0.${mine}/24`, `fd08::${mine}/64`] },
          },
          services: { discard: true, echo: true },
        });
      }) as [AnyStack, AnyStack];
      const [one, two] = made;
      await Promise.all(made.map((s) => s.ready));
      for (const host of ['10.8.0.1', 'fd08::1']) {
        const socket = two.net.connect({ host, port: 9 });
        socket.end(Buffer.alloc(200_000, 0x61));
        await new Promise((resolve, reject) => socket.once('close', resolve).once('error', reject));
        assert.equal(socket.bytesWritten, 200_000);
      }
      const long = two.dgram.createSocket('udp4');
      long.send(Buffer.alloc(4_000, 0x62), 7, '10.8.0.1');
      const [echoed] = await new Promise<[Buffer]>((resolve) => long.once('message', (m) => resolve([m])));
      assert.equal(echoed.length, 4_000);
      long.close();
      for (const stack of made) {
        const { drops } = stack.nstat();
        for (const name of Object.keys(drops))
          assert.ok(!/^(Tunnel|Gre|Vxlan|IpTooBig|IpBad|Segment|TcpBad)/.test(name), `${name} ${JSON.stringify(drops)}`);
      }
      assert.ok((one.link.show('tun0')[0]?.rxPackets ?? 0) > 100);
      await Promise.all(made.map((s) => s.close()));
      for (const stack of made) assert.deepEqual(stack.nstat().held, { packets: 0, slots: 0, chunks: 0 });
    });
  }

  it('a configuration with impossible ends is refused', () => {
    const config =
      (tunnel: object): (() => AnyStack) =>
      () =>
        createStack({ interfaces: { t: { tunnel: tunnel as never } } });
    assert.throws(
      config({ type: 'gre', local: '10.0.0.1', remote: 'nowhere' }),
      /interfaces\.t\.tunnel\.remote 'nowhere' is to be an address of one host/,
    );
    assert.throws(config({ type: 'gre', local: '10.0.0.1', remote: 'fd00::1' }), /interfaces\.t\.tunnel has ends of two families/);
    assert.throws(config({ type: 'vxlan', local: '10.0.0.1', remote: '10.0.0.2' }), /interfaces\.t\.tunnel has no 'id'/);
  });
});
