import assert from 'node:assert/strict';
import { type Config, checkConfig } from '#src/config/config.js';
import { type AnyStack, createStack, memoryLink } from '#src/index.js';

describe('configuration: router and autoconfiguration', () => {
  const open: AnyStack[] = [];
  const made = (config: Config): AnyStack => {
    const stack = createStack(config);
    open.push(stack);
    return stack;
  };
  afterEach(async () => {
    for (const stack of open.splice(0)) await stack.close();
  });

  const device = { type: 'memory' };
  const wrong: [string, unknown, RegExp][] = [
    ['an interface that is none', { advertise: { eth7: true } }, /router\.advertise\.eth7 'eth7' is no interface; did you mean 'eth0'/],
    ['an unknown key', { advertise: { eth0: { prefix: [] } } }, /router\.advertise\.eth0\.prefix is unknown; did you mean 'prefixes'/],
    ['a prefix of IPv4', { advertise: { eth0: { prefixes: ['10.0.0.0/8'] } } }, /'10\.0\.0\.0\/8' is no IPv6 prefix/],
    ['the link-local prefix', { advertise: { eth0: { prefixes: ['fe80::/64'] } } }, /is not to be advertised/],
    [
      'preferred longer than valid',
      { advertise: { eth0: { prefixes: [{ prefix: 'fd00::/64', valid: 5, preferred: 6 }] } } },
      /preferred longer than valid/,
    ],
    ['intervals that cannot be', { advertise: { eth0: { minInterval: 10, maxInterval: 12 } } }, /three quarters/],
    ['a lifetime below the interval', { advertise: { eth0: { lifetime: 30 } } }, /less than maxInterval/],
    ['a resolver of IPv4', { advertise: { eth0: { dns: ['10.0.0.53'] } } }, /no IPv6 address of a resolver/],
    ['a search domain that is none', { advertise: { eth0: { search: ['a..b'] } } }, /no domain name/],
    ['a NAT64 prefix of 60 bits', { advertise: { eth0: { nat64: '64:ff9b::/60' } } }, /RFC 8781/],
    ['a pool that runs backwards', { dhcp6: { eth0: { pool: { from: 'fd00::9', to: 'fd00::1' } } } }, /the first not behind the last/],
    ['a delegated length out of reach', { dhcp6: { eth0: { delegate: { prefix: '2001:db8::/32', length: 64 } } } }, /from 32 to 56/],
    ['a prefix handed back where it came from', { delegation: { from: 'eth0', to: { eth0: 1 } } }, /where the prefix comes from/],
    ['one subnet for two', { delegation: { from: 'eth0', to: { eth1: 1, eth2: 1 } } }, /1 is another's/],
  ];
  for (const [what, router, message] of wrong) {
    it(`refuses ${what}`, () =>
      assert.throws(
        () => checkConfig({ interfaces: { eth0: { device }, eth1: { device }, eth2: { device } }, router }, { anyDevice: true }),
        message,
      ));
  }

  it("a host with 'auto' learns from a router of the same configuration, and unlearns when the word goes", async () => {
    const [near, far] = memoryLink();
    made({
      name: 'router',
      sysctl: { 'net.ipv6.conf.all.forwarding': 1, 'net.ipv6.conf.all.dad_transmits': 0 },
      interfaces: { lan: { device: near, addresses: ['fd77::1/64'] } },
      router: { advertise: { lan: { dns: ['fd77::53'], search: ['example.org'] } } },
    });
    const config: Config = {
      name: 'host',
      sysctl: { 'net.ipv6.conf.all.dad_transmits': 0 },
      interfaces: { eth0: { device: far, addresses: ['10.0.0.1/24', 'auto'] } },
    };
    const host = made(config);
    const addresses = (): string[] =>
      host.addr
        .show('eth0')
        .map((a) => a.address)
        .filter((a) => a.startsWith('fd77:'));
    for (const end = Date.now() + 5_000; addresses().length === 0; await new Promise((resolve) => setTimeout(resolve, 20)))
      assert.ok(Date.now() < end);
    assert.deepEqual(
      host.core.v6.names.domains.map((d) => d.value),
      ['example.org'],
    );
    assert.ok(host.route.show().some((r) => r.to === 'default' && r.protocol === 'ra'));
    host.reload({ ...config, interfaces: { eth0: { device: far, addresses: ['10.0.0.1/24'] } } });
    assert.deepEqual(addresses(), []);
    assert.deepEqual(host.core.v6.names.domains, []);
    assert.ok(!host.route.show().some((r) => r.protocol === 'ra'));
  });

  it('a provider delegates, our router hands on and advertises, a host has an address of it', async () => {
    const [wan, provider] = memoryLink();
    const [lan, host] = memoryLink();
    const fast = { 'net.ipv6.conf.all.dad_transmits': 0 };
    made({
      name: 'provider',
      sysctl: { ...fast, 'net.ipv6.conf.all.forwarding': 1 },
      interfaces: { down: { device: provider, addresses: ['fd00::1/64'] } },
      router: {
        advertise: { down: { managed: true } },
        dhcp6: { down: { pool: { from: 'fd00::100', to: 'fd00::1ff' }, delegate: { prefix: '2001:db8:8000::/40', length: 56 }, dns: ['fd00::53'] } },
      },
    });
    const middle = made({
      name: 'middle',
      sysctl: { ...fast, 'net.ipv6.conf.all.forwarding': 1, 'net.ipv6.conf.all.accept_ra': 2 },
      interfaces: { wan: { device: wan, addresses: ['auto'] }, lan: { device: lan } },
      router: { delegation: { from: 'wan', to: { lan: 2 } }, advertise: { lan: true } },
    });
    const end = made({ name: 'end', sysctl: fast, interfaces: { eth0: { device: host, addresses: ['auto'] } } });
    const delegated = (stack: AnyStack, dev: string): string | undefined =>
      stack.addr.show(dev).find((a) => a.address.startsWith('2001:db8:80'))?.address;
    const leased = (): boolean => middle.addr.show('wan').some((a) => /^fd00::1[0-9a-f]{2}$/.test(a.address) && a.origin === 'dhcp');
    for (
      const limit = Date.now() + 15_000;
      delegated(end, 'eth0') === undefined || !leased();
      await new Promise((resolve) => setTimeout(resolve, 20))
    ) {
      assert.ok(Date.now() < limit, JSON.stringify(middle.addr.show()));
    }
    assert.match(delegated(middle, 'lan') as string, /02::1$/);
    assert.ok(end.route.show().some((r) => r.to === 'default'));
  });

  it('a route through a link-local router needs its interface', () => {
    const [near] = memoryLink();
    const stack = made({ interfaces: { eth0: { device: near } }, routes: [{ to: '2001:db8::/32', via: 'fe80::1', dev: 'eth0' }] });
    assert.ok(stack.route.show().some((r) => r.to === '2001:db8::/32' && r.via === 'fe80::1'));
    assert.throws(
      () => checkConfig({ interfaces: { eth0: { device } }, routes: [{ to: '2001:db8::/32', via: 'fe80::1' }] }, { anyDevice: true }),
      /on the link of no interface/,
    );
  });
});
