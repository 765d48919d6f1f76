import assert from 'node:assert/strict';
import type { Config } from '#src/config/config.js';
import { checkConfig } from '#src/config/config.js';
import type { SaSpec } from '#src/config/ipsec-manual.js';
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

  it('RFC 7296 §1.4.1: close tells the peer, whose SAs go; a peer that is gone holds it up for a bounded time', async () => {
    const [a, b] = two((own, peer) => ({
      ipsec: {
        secrets,
        connections: {
          peer: {
            localAddr: `192.0.2.${own}`,
            remoteAddr: `192.0.2.${peer}`,
            children: { net: { startAction: own === 2 ? ('start' as const) : ('none' as const) } },
          },
        },
      },
    }));
    while (b.ipsec.sad().length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
    await a.close();
    assert.deepEqual([b.ipsec.sad(), b.ipsec.status()], [[], []]);
    b.ipsec.up('peer');
    await b.close();
    assert.deepEqual(b.nstat().held, { packets: 0, slots: 0, chunks: 0 });
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

  /** Two stacks whose configurations differ in `ipsec` and more; each gets its number. */
  const two = (of: (own: 1 | 2, peer: 1 | 2) => Config): [AnyStack, AnyStack] => {
    const devices = memoryLink();
    return [1, 2].map((n) => {
      const [own, peer] = n === 1 ? ([1, 2] as const) : ([2, 1] as const);
      const { interfaces, ...rest } = of(own, peer);
      const eth0 = { device: devices[own - 1] as typeof left, addresses: [`192.0.2.${own}/24`, `10.${own}.0.1/32`, `10.${own}.0.2/32`] };
      return createStack({ name: `c${own}`, interfaces: { eth0, ...interfaces }, ...rest });
    }) as [AnyStack, AnyStack];
  };

  const ask = (a: AnyStack, b: AnyStack, host = '10.2.0.1'): Promise<string> =>
    new Promise((resolve, reject) => {
      const server = b.net.createServer((socket) => socket.end(String(socket.remoteAddress)));
      server.listen(7, host, () => {
        const socket = a.net.connect({ host, port: 7 });
        socket.once('data', (data) => {
          resolve(String(data));
          socket.destroy();
          server.close();
        });
        socket.once('error', reject);
      });
    });

  const manual = (own: number, peer: number): Record<'to' | 'from', SaSpec> => {
    const common = { suite: 'aes128-sha256', key: '07'.repeat(48) } as const;
    return {
      to: { ...common, direction: 'out', src: `192.0.2.${own}`, dst: `192.0.2.${peer}`, spi: `0x100${peer}`, policy: 'office' },
      from: { ...common, direction: 'in', src: `192.0.2.${peer}`, dst: `192.0.2.${own}`, spi: 0x1000 + own },
    };
  };

  it('manual SAs and policies: protected, discarded and bypassed as they say; a changed policy keeps the sequence numbers of its SA', async () => {
    const of = (own: 1 | 2, peer: 1 | 2, priority = 100): Config => ({
      routes: [{ to: `10.${peer}.0.0/24`, via: `192.0.2.${peer}`, src: `10.${own}.0.1` }],
      ipsec: {
        policies: {
          office: { action: 'protect', localTs: [`10.${own}.0.0/24`], remoteTs: [`10.${peer}.0.0/24`], priority },
          web: { action: 'bypass', localTs: ['192.0.2.0/24[tcp/80]'], remoteTs: ['192.0.2.0/24'] },
          back: { action: 'bypass', localTs: ['192.0.2.0/24'], remoteTs: ['192.0.2.0/24[tcp/80]'] },
        },
        sas: manual(own, peer),
      },
    });
    const [a, b] = two(of);
    assert.equal(await ask(a, b), '10.1.0.1');
    const sent = a.ipsec.sad().find((sa) => sa.direction === 'out')?.packets as number;
    assert(sent > 3);
    const { config } = a;
    a.reload({ ...config, ipsec: { ...config.ipsec, ...(of(1, 2, 50).ipsec as object) } });
    assert.equal(a.ipsec.spd().find((policy) => policy.name === 'office')?.priority, 50);
    assert.equal(await ask(a, b), '10.1.0.1');
    assert((a.ipsec.sad().find((sa) => sa.direction === 'out')?.packets as number) > sent, 'the same SA');
    // RFC 4301 §5.1.1: what no policy names does not leave.
    const socket = a.dgram.createSocket('udp4');
    await new Promise<void>((resolve) => socket.send('x', 9, '192.0.2.2', () => resolve()));
    assert((a.nstat().drops['IpsecDiscard'] ?? 0) > 0);
    socket.close();
    a.reload({ ...a.config, ipsec: {} });
    assert.deepEqual([a.ipsec.sad(), a.ipsec.spd()], [[], []]);
    for (const stack of [a, b]) await stack.close();
  });

  it('ipsec0: routes into it are the policy; SAs by hand, a filter and a capture as on any interface', async () => {
    const [a, b] = two((own, peer) => {
      const { to, from } = manual(own, peer);
      const { policy: _none, ...out } = to;
      return {
        interfaces: { ipsec0: { ipsec: {}, addresses: [`10.9.0.${own}/30`] } },
        filter: {
          chains: [
            {
              name: 'in',
              hook: 'input',
              rules: [
                { iif: 'ipsec0', protocol: 'tcp', dport: 23, verdict: 'drop' },
                { iif: 'ipsec0', mark: 1 },
              ],
            },
          ],
        },
        ipsec: { sas: { to: { ...out, interface: 'ipsec0' }, from: { ...from, interface: 'ipsec0' } } },
      } as Config;
    });
    let captured = 0;
    const capture = b.capture(
      {
        write: (octets, done) => {
          captured += octets.length;
          done();
        },
      },
      { iface: 'ipsec0' },
    );
    assert.equal(await ask(a, b, '10.9.0.2'), '10.9.0.1');
    await capture.stop();
    assert(captured > 400, `${captured}`);
    const shown = b.link.show().find((link) => link.name === 'ipsec0');
    assert(shown !== undefined && shown.mtu === 1_400);
    assert((b.core.interfaces.named('ipsec0')?.rxPackets ?? 0) > 1);
    const silent = a.net.connect({ host: '10.9.0.2', port: 23 });
    silent.on('error', () => {});
    while ((b.nstat().drops['FilterDrop'] ?? 0) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    silent.destroy();
    assert.equal(await ask(a, b, '192.0.2.2'), '192.0.2.1', 'the rest goes in clear: nothing but the routes says what is protected');
    for (const stack of [a, b]) await stack.close();
  });

  it('ipsec0 by IKE: policies are implied', async () => {
    const [a, b] = two((own, peer) => ({
      interfaces: { ipsec0: { ipsec: { mtu: 1_300 }, addresses: [`10.9.0.${own}/30`] } },
      ipsec: {
        secrets,
        connections: {
          peer: {
            localAddr: `192.0.2.${own}`,
            remoteAddr: `192.0.2.${peer}`,
            children: { net: { interface: 'ipsec0', startAction: own === 2 ? ('start' as const) : ('trap' as const) } },
          },
        },
      },
    }));
    while (a.ipsec.sad().length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
    assert.equal(await ask(a, b, '10.9.0.2'), '10.9.0.1');
    for (const stack of [a, b]) await stack.close();
  });

  it('group 2 needs a word of its own, and is warned of', async () => {
    const proposals = ['aes256-sha256-modp1024'];
    const connection = { remoteAddr: '192.0.2.2', local: { id: 'a' }, children: { c: {} }, proposals };
    assert.throws(() => checkConfig({ ipsec: { secrets, connections: { x: connection } } }), /SHOULD NOT \(RFC 8247 §2.4\); "allowWeak" permits it/);
    for (const group of ['modp768', 'modp1024s160'])
      assert.throws(
        () => checkConfig({ ipsec: { secrets, connections: { x: { ...connection, allowWeak: true, proposals: [`aes256-sha256-${group}`] } } } }),
        /MUST NOT \(RFC 8247 §2.4\)/,
      );
    const a = createStack({ name: 'weak' });
    const told: string[] = [];
    a.events.on('log', (level, message) => told.push(`${level}: ${message}`));
    a.reload({ name: 'weak', ipsec: { secrets, connections: { x: { ...connection, allowWeak: true } } } });
    assert.match(told.join(), /warn: .*group 2/);
    await a.close();
  });

  it('refuses SAs and policies that make no sense, naming the place', () => {
    const { to, from } = manual(1, 2);
    const policies = { office: { action: 'protect' as const } };
    for (const [ipsec, message] of [
      [{ sas: { to } }, /ipsec\.sas\.to\.policy 'office' is no policy that protects/],
      [{ policies: { office: { action: 'discard' as const } }, sas: { to } }, /no policy that protects/],
      [{ policies, sas: { to: { ...to, suite: 'aes128gcm16', key: '00'.repeat(20) } } }, /MUST NOT have a fixed key \(RFC 8221 §3\)/],
      [{ policies, sas: { to: { ...to, key: '00' } } }, /takes 48 octets of keys, not 1/],
      [{ policies, sas: { to: { ...to, key: 'xyz' } } }, /key/],
      [{ policies, sas: { to: { ...to, spi: 255 } } }, /spi/],
      [{ policies, sas: { to: { ...to, spi: '1001' } } }, /spi/],
      [{ policies, sas: { to: { ...to, src: 'nowhere' } } }, /src: 'nowhere' is no address/],
      [{ policies, sas: { to: { ...to, src: 'fd00::1' } } }, /two families/],
      [{ policies, sas: { from: { ...from, policy: 'office' } } }, /what comes in is not sent/],
      [{ sas: { from: { ...from, esn: true, replayWindow: 0 } } }, /need a replay window/],
      [{ sas: { from, twin: from } }, /that of another inbound SA/],
      [{ sas: { from: { ...from, interface: 'eth0' } } }, /'eth0' is no interface/],
      [{ policies: { office: { action: 'protect' as const, localTs: ['x'] } } }, /localTs: 'x' is neither/],
      [{ policies: { office: { action: 'protect' as const, interface: 'eth9' } } }, /'eth9' is no interface/],
    ] as const) {
      assert.throws(
        () => checkConfig({ ipsec }),
        (error: Error) => error.name === 'ConfigError' && message.test(error.message),
        JSON.stringify(ipsec),
      );
    }
    const weak = { ...to, suite: 'aes128gcm16', key: '00'.repeat(20), allowWeak: true };
    checkConfig({ ipsec: { policies, sas: { to: weak } } });
  });
});
