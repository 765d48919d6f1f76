import assert from 'node:assert/strict';
import type { Config } from '#src/config/config.js';
import { checkConfig } from '#src/config/config.js';
import { type AnyStack, createStack, memoryLink } from '#src/index.js';

describe('configuration: ipsec', () => {
  const [left, right] = memoryLink();
  const secrets = [{ secret: 'a shared secret' }];
  const config = (own: 1 | 2, device: typeof left, remoteTs: string): Config => {
    const peer = 3 - own;
    const connection = {
      localAddr: `192.0.2.${own}`,
      remoteAddr: `192.0.2.${peer}`,
      children: { net: { localTs: [`10.${own}.0.0/24`], remoteTs: [remoteTs], startAction: own === 1 ? ('trap' as const) : ('none' as const) } },
    };
    return {
      name: `c${own}`,
      interfaces: { eth0: { device, addresses: [`192.0.2.${own}/24`, `10.${own}.0.1/32`] } },
      routes: [{ to: `10.${peer}.0.0/24`, via: `192.0.2.${peer}`, src: `10.${own}.0.1` }],
      ipsec: { secrets, connections: { peer: connection } },
    };
  };

  it('two stacks from configuration alone: TCP goes through the tunnel; a reload without it takes it down', async () => {
    const a: AnyStack = createStack(config(1, left, '10.2.0.0/24'));
    const b: AnyStack = createStack(config(2, right, '10.1.0.0/24'));
    const server = b.net.createServer((socket) => socket.end('through the tunnel'));
    await new Promise<void>((resolve) => server.listen(7, '10.2.0.1', resolve));
    const socket = a.net.connect({ host: '10.2.0.1', port: 7 });
    const text = await new Promise((resolve) => socket.once('data', (data) => resolve(String(data))));
    assert.equal(text, 'through the tunnel');
    assert.equal(a.core.ipsec.sas().length, 2);
    assert.deepEqual(
      a.ipsec.status().map((ike) => [ike.connection, ike.state, ike.role, ike.local, ike.remote, ike.children]),
      [['peer', 'established', 'initiator', '192.0.2.1', '192.0.2.2', ['net']]],
    );
    assert.deepEqual(
      a.ipsec
        .sad()
        .map((sa) => [sa.direction, sa.protocol, sa.mode, sa.badIcv])
        .sort(),
      [
        ['in', 'esp', 'tunnel', 0],
        ['out', 'esp', 'tunnel', 0],
      ],
    );
    assert(a.ipsec.spd().some((policy) => policy.action === 'protect' && policy.selectors.includes('10.1.0.0/24 <> 10.2.0.0/24')));
    assert.equal(a.ipsec.down('peer'), 1);
    a.ipsec.up('peer');
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(a.ipsec.status().filter((ike) => ike.state === 'established').length, 1, 'taken down and up again');
    assert.throws(() => a.ipsec.up('none'), { code: 'ENOENT' });
    socket.destroy();
    server.close();
    const { ipsec: _gone, ...rest } = config(1, left, '10.2.0.0/24');
    a.reload(rest);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(a.core.ipsec.sas().length, 0);
    assert.equal(b.core.ipsec.driver?.ike.list().length, 0, 'the peer was told');
    for (const stack of [a, b]) {
      await stack.close();
      assert.deepEqual(stack.nstat().held, { packets: 0, slots: 0, chunks: 0 });
    }
  });

  it('refuses what makes no sense, naming the place', () => {
    const with_ = (change: object): Config => ({
      ipsec: { secrets, connections: { x: { remoteAddr: '192.0.2.2', local: { id: 'a' }, children: { c: {} }, ...change } } },
    });
    for (const [change, message] of [
      [{ proposals: ['aes128-x25519'] }, /ipsec\.connections\.x.*without integrity/],
      [{ proposals: ['aes128gcm16-prfsha256-modp1024'] }, /allowWeak/],
      [{ proposals: ['3des-sha1-modp2048'] }, /Triple DES is SHOULD NOT/],
      [{ remoteAddr: 'nowhere' }, /remoteAddr: 'nowhere' is no address/],
      [{ children: { c: { localTs: ['10.0.0.0/33'] } } }, /localTs/],
      [{ remote: { auth: 'pubkey' } }, /cacerts/],
      [{ local: {} }, /local\.id/],
    ] as const) {
      assert.throws(
        () => checkConfig(with_(change)),
        (error: Error) => error.name === 'ConfigError' && message.test(error.message),
        JSON.stringify(change),
      );
    }
    assert.throws(() => checkConfig({ ipsec: { connections: { x: { remoteAddr: '192.0.2.2', local: { id: 'a' }, children: {} } } } }), /no secret/);
  });
});
