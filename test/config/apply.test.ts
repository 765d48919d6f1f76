import assert from 'node:assert/strict';
import type { Config } from '#src/config/config.js';
import { type AnyStack, createStack, memoryLink } from '#src/index.js';

describe('configuration: apply', () => {
  const open: AnyStack[] = [];
  const made = (config: Config): AnyStack => {
    const stack = createStack(config);
    open.push(stack);
    return stack;
  };
  afterEach(async () => {
    for (const stack of open.splice(0)) {
      await stack.close();
      assert.deepEqual(stack.nstat().held, { packets: 0, slots: 0, chunks: 0 });
    }
  });

  const [device, far] = memoryLink();
  const config: Config = {
    interfaces: { eth0: { device, addresses: ['10.0.0.1/24'] } },
    routes: [{ to: 'default', via: '10.0.0.254' }],
    sysctl: { 'net.ipv4.ip_default_ttl': 32 },
    services: { echo: true },
  };

  it('builds everything, in an order in which it can be built', () => {
    const stack = made(config);
    assert.deepEqual(
      stack.route.show().map((r) => [r.to, r.via]),
      [
        ['10.0.0.0/24', undefined],
        ['default', '10.0.0.254'],
      ],
    );
    assert.equal(stack.sysctl.get('net.ipv4.ip_default_ttl'), 32);
    assert.deepEqual(stack.services.names, ['echo']);
    assert.deepEqual(
      stack.addr.show('eth0').map((a) => `${a.address}/${a.length}`),
      ['10.0.0.1/24'],
    );
  });

  it('a changed file applies its difference, and the connection that was open stays open', async () => {
    const server = made({ ...config, name: 'server' });
    const client = made({ name: 'client', interfaces: { eth0: { device: far, addresses: ['10.0.0.2/24'] } } });
    const socket = client.net.connect({ host: '10.0.0.1', port: 7 });
    await new Promise((resolve) => socket.once('connect', resolve));
    const before = server.core.interfaces.named('eth0');

    server.reload({
      interfaces: { eth0: { device, addresses: ['10.0.0.1/24', '10.7.0.1/16'], mtu: 1_400, rate: { bits: 1e9 } } },
      routes: [{ to: '10.99.0.0/16', via: '10.7.0.9' }],
      services: { echo: true, discard: true },
    });
    assert.equal(server.core.interfaces.named('eth0'), before, 'the interface is the same one');
    assert.equal(server.link.show('eth0')[0]?.mtu, 1_400);
    assert.deepEqual(before?.rate, { bits: 1e9 });
    assert.deepEqual(
      server.route
        .show()
        .filter((r) => r.protocol === 'static')
        .map((r) => r.to),
      ['10.99.0.0/16'],
    );
    assert.equal(server.sysctl.get('net.ipv4.ip_default_ttl'), 64, 'what is left out has its default again');
    assert.deepEqual(server.services.names.sort(), ['discard', 'echo']);

    const echoed = new Promise((resolve) => socket.once('data', resolve));
    socket.write('still here');
    assert.equal(String(await echoed), 'still here');
    socket.destroy();
  });

  it('what cannot be applied changes nothing', () => {
    const stack = made(config);
    const taken = stack.core.tcp.openSocket(4);
    assert.equal(taken.bind(null, 9) || taken.listen(1), 0);
    const routes = stack.route.show();
    const wanted: Config = {
      ...config,
      interfaces: { eth0: { device, addresses: ['10.5.0.1/24'], mtu: 1_300 } },
      routes: [{ to: '10.6.0.0/16', via: '10.5.0.2' }],
      services: { echo: { rate: 1 }, discard: true },
    };
    assert.throws(() => stack.reload(wanted), { code: 'EADDRINUSE', message: /^services.discard: / });
    assert.deepEqual(stack.route.show(), routes);
    assert.deepEqual(
      stack.addr.show('eth0').map((a) => a.address),
      ['10.0.0.1'],
    );
    assert.equal(stack.link.show('eth0')[0]?.mtu, 1_500);
    assert.deepEqual(stack.services.names, ['echo']);
    assert.equal(stack.config.services?.discard, undefined);
    taken.close();
  });

  it('another device is another interface, and what hangs from it comes with it', () => {
    const stack = made(config);
    const [other] = memoryLink();
    const index = stack.link.show('eth0')[0]?.index;
    stack.reload({
      ...config,
      interfaces: { eth0: { device: other, addresses: ['10.0.0.1/24'] } },
      neighbors: [{ to: '10.0.0.7', lladdr: '02:00:00:00:00:07', dev: 'eth0' }],
    });
    assert.notEqual(stack.link.show('eth0')[0]?.index, index);
    assert.deepEqual(
      stack.route.show().map((r) => r.to),
      ['10.0.0.0/24', 'default'],
    );
    assert.deepEqual(
      stack.neigh.show('eth0').map((n) => [n.to, n.state]),
      [['10.0.0.7', 'PERMANENT']],
    );
  });

  it('live changes stay where the file has nothing to say of them', () => {
    const stack = made(config);
    stack.addr.add('10.8.0.1/24', { dev: 'eth0' });
    stack.route.add('10.44.0.0/16', { via: '10.8.0.2' });
    stack.reload({ ...config, routes: [] });
    assert.deepEqual(
      stack.route
        .show()
        .filter((r) => r.protocol === 'static')
        .map((r) => r.to),
      ['10.44.0.0/16'],
    );
    assert.equal(stack.addr.show('eth0').length, 2);
  });

  it('a wrong configuration makes no stack, and leaves no service behind', () => {
    assert.throws(() => createStack({ interfaces: { eth0: { device, addresses: ['10.0.0.1'] } } }), { code: 'ERR_INVALID_CONFIG' });
    assert.throws(() => createStack({ ...config, profile: 'fast' as 'linux' }), /profile "fast" is unknown/);
  });
});
