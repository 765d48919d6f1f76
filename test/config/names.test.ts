import assert from 'node:assert/strict';
import { type Config, createStack, memoryLink } from '#src/index.js';
import { a, NameServerForTests, zoneOf } from '../support/dns-server.js';

const [spare] = memoryLink();
const lan = (addresses: readonly string[], rest: Config): Config => ({ interfaces: { lan: { device: spare, addresses } }, ...rest });
const serving = (server: object): Config => lan(['10.0.0.1/24'], { dhcp: { servers: { lan: server as never } } });

const wrong: readonly (readonly [what: string, config: Config, message: RegExp])[] = [
  ["'dhcp' twice", lan(['dhcp', 'dhcp'], {}), /addresses\[1\].*twice/],
  ['an interface that is none', lan([], { dhcp: { servers: { wan: { pool: '10.0.0.2-10.0.0.3' } } } }), /dhcp\.servers\.wan.*no interface/],
  ['no address to serve from', lan(['dhcp'], { dhcp: { servers: { lan: { pool: '10.0.0.2-10.0.0.3' } } } }), /needs an IPv4 address/],
  ['a pool of another network', serving({ pool: '10.0.1.2-10.0.1.3' }), /dhcp\.servers\.lan\.pool.*no network/],
  ['a pool that ends before it begins', serving({ pool: '10.0.0.9-10.0.0.3' }), /pool.*ends before/],
  ['a pool that is none', serving({ pool: '10.0.0.2' }), /pool.*such as/],
  ['an impossible address', serving({ pool: '10.0.0.2-10.0.0.300' }), /pool.*no IPv4 address/],
  ['a router that is none', serving({ pool: '10.0.0.2-10.0.0.3', router: 'there' }), /router.*no IPv4 address/],
  [
    'a reservation for two',
    serving({ pool: '10.0.0.2-10.0.0.3', reservations: [{ mac: '02:00:00:00:00:01', clientId: '01', address: '10.0.0.9' }] }),
    /reservations\[0\].*exactly one/,
  ],
  [
    'a reservation for no station',
    serving({ pool: '10.0.0.2-10.0.0.3', reservations: [{ mac: 'x', address: '10.0.0.9' }] }),
    /reservations\[0\]\.mac/,
  ],
  [
    'a reserved address of another network',
    serving({ pool: '10.0.0.2-10.0.0.3', reservations: [{ mac: '02:00:00:00:00:01', address: '10.9.0.9' }] }),
    /reservations\[0\]\.address/,
  ],
  ['a domain that is none', serving({ pool: '10.0.0.2-10.0.0.3', domain: 'a..b' }), /domain.*no domain name/],
  ['a lease too short', serving({ pool: '10.0.0.2-10.0.0.3', leaseTime: 5 }), /leaseTime/],
  ['dns: an unknown key', lan([], { dns: { server: [] } as never }), /servers/],
];

describe('configuration: names and leases', () => {
  for (const [what, config, message] of wrong) {
    it(`refuses ${what}, in one sentence with the place`, () => {
      assert.throws(() => createStack(config), message);
    });
  }

  it("'dhcp' among the addresses: ready waits for the lease; names are asked of the server it names; both ends follow a reload", async () => {
    const [x, y] = memoryLink();
    const [up, down] = memoryLink();
    const server = { pool: '10.0.0.100-10.0.0.109', dns: ['10.0.0.1'], domain: 'example.org' };
    const routed: Config = {
      name: 'router',
      interfaces: { lan: { device: x, addresses: ['10.0.0.1/24'] }, wan: { device: up, addresses: ['10.1.0.1/24'] } },
      dhcp: { servers: { lan: server } },
      dns: { servers: ['10.1.0.2'], forwarder: { interfaces: ['lan'] } },
    };
    const router = createStack(routed);
    const upstream = createStack({ name: 'upstream', interfaces: { eth0: { device: down, addresses: ['10.1.0.2/24'] } } });
    new NameServerForTests(upstream.core, zoneOf([a('www.example.org', '192.0.2.80')]));
    const asking: Config = { name: 'host', interfaces: { eth0: { device: y, addresses: ['dhcp'] } } };
    const host = createStack(asking);
    try {
      await host.ready;
      assert.deepEqual(
        host.addr
          .show('eth0')
          .filter((one) => one.family === 4)
          .map((one) => [one.address, one.origin]),
        [['10.0.0.100', 'dhcp']],
      );
      assert.deepEqual(await host.dns.promises.lookup('www', 4), { address: '192.0.2.80', family: 4 });
      assert.equal(router.dhcp.show().servers[0]?.leases.length, 1);
      router.reload({ ...routed, dhcp: {} });
      assert.deepEqual(router.dhcp.show().servers, []);
      host.reload({ ...asking, interfaces: { eth0: { device: y, addresses: ['10.0.0.7/24'] } } });
      assert.deepEqual(host.dhcp.show().clients, []);
      assert.deepEqual(host.names.status().servers, []);
      host.reload(asking);
      assert.equal(host.dhcp.show().clients[0]?.address, null);
    } finally {
      await Promise.all([host.close(), router.close(), upstream.close()]);
    }
    for (const stack of [host, router, upstream]) assert.deepEqual(stack.nstat().held, { packets: 0, slots: 0, chunks: 0 });
  });

  for (const [what, above] of [
    ['a VLAN', { vlan: { parent: 'eth0', id: 5 } }],
    ['a bridge', { bridge: { ports: ['eth0'] } }],
  ] as const) {
    it(`a lease over ${what}`, async () => {
      const [x, y] = memoryLink();
      const server = createStack({
        interfaces: { eth0: { device: x }, lan: { ...above, addresses: ['10.0.0.1/24'] } },
        dhcp: { servers: { lan: { pool: '10.0.0.100-10.0.0.101' } } },
      });
      const client = createStack({ interfaces: { eth0: { device: y }, lan: { ...above, addresses: ['dhcp'] } } });
      await client.ready;
      assert.equal(client.dhcp.show().clients[0]?.address, '10.0.0.100/24');
      await Promise.all([client.close(), server.close()]);
    });
  }

  it('a lease in a network of its own (vrf)', async () => {
    const [x, y] = memoryLink();
    const server = createStack({
      interfaces: { lan: { device: x, vrf: 7, addresses: ['10.0.0.1/24'] } },
      dhcp: { servers: { lan: { pool: '10.0.0.100-10.0.0.101' } } },
    });
    const client = createStack({ interfaces: { lan: { device: y, vrf: 9, addresses: ['dhcp'] } } });
    await client.ready;
    assert.equal(client.dhcp.show().clients[0]?.address, '10.0.0.100/24');
    assert.deepEqual(
      client.route
        .show()
        .filter((r) => r.vrf === 9 && r.family === 4 && r.protocol === 'kernel')
        .map((r) => r.to),
      ['10.0.0.0/24'],
    );
    await Promise.all([client.close(), server.close()]);
  });

  it('a port that is taken fails the whole reload, and what was there stays', async () => {
    const [x] = memoryLink();
    const base: Config = { interfaces: { lan: { device: x, addresses: ['10.0.0.1/24'] } } };
    const stack = createStack(base);
    const socket = stack.dgram.createSocket('udp4');
    await new Promise<void>((bound) => void socket.bind(67, () => bound()));
    const change = { ...base, dhcp: { servers: { lan: { pool: '10.0.0.2-10.0.0.3' } } }, dns: { servers: ['10.0.0.9'] } };
    assert.throws(() => stack.reload(change), { code: 'EADDRINUSE', message: /^dhcp\.servers\.lan/ });
    assert.deepEqual([stack.names.status().servers, stack.dhcp.show().servers], [[], []]);
    socket.close();
    stack.reload(change);
    assert.deepEqual(stack.names.status().servers, ['10.0.0.9']);
    await stack.close();
  });
});
