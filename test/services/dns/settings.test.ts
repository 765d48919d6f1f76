import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { DnsSettings, formatServer, parseServer } from '#src/services/dns/settings.js';
import { address, type Host, Net } from '../../support/stacks.js';

describe('DNS settings', () => {
  let net: Net;
  let settings: DnsSettings;
  const host = (): Host => net.hosts[0] as Host;
  const server = (text: string) => ({ address: address(text), port: 53, zone: 0 });
  const shown = (): string[] => settings.servers.map((one) => formatServer(host().stack, one));

  beforeEach(() => {
    net = new Net([['10.0.0.1/24']]);
    settings = new DnsSettings(host().stack);
  });
  afterEach(() => net.end());

  it('the program wins over the configuration, that over DHCP, that over router advertisements (RFC 8106)', () => {
    const { eth0, stack } = host();
    stack.v6.names.resolver(eth0, address('fe80::53'), seconds(600));
    stack.v6.names.domain(eth0, 'ra.test', seconds(600));
    assert.deepEqual([shown(), settings.search], [['fe80::53%eth0'], ['ra.test']]);
    settings.learn('dhcp eth0', { servers: [server('10.0.0.53')], search: ['dhcp.test', 'ra.test'] });
    assert.deepEqual(
      [shown(), settings.search],
      [
        ['10.0.0.53', 'fe80::53%eth0'],
        ['dhcp.test', 'ra.test'],
      ],
    );
    settings.configure({ servers: [server('192.0.2.1')], search: [] });
    assert.deepEqual([shown(), settings.search], [['192.0.2.1'], ['dhcp.test', 'ra.test']]);
    settings.override = [];
    assert.deepEqual(shown(), []);
    settings.override = null;
    settings.configure({ servers: [], search: ['file.test'] });
    settings.learn('dhcp eth0', null);
    assert.deepEqual([shown(), settings.search], [['fe80::53%eth0'], ['file.test']]);
    stack.v6.names.resolver(eth0, address('fe80::53'), 0);
    stack.v6.names.domain(eth0, 'ra.test', 0);
  });

  it('servers are bounded, and read as node:dns writes them', () => {
    settings.learn('dhcp eth0', { servers: Array.from({ length: 20 }, (_, i) => server(`10.0.0.${i + 1}`)), search: [] });
    assert.equal(settings.servers.length, 8);
    for (const text of ['192.0.2.1', '192.0.2.1:5353', '2001:db8::1', '[2001:db8::1]:5353', 'fe80::1%eth0', '[fe80::1%eth0]:5353']) {
      const parsed = parseServer(host().stack, text);
      assert.ok(parsed !== null, text);
      assert.equal(formatServer(host().stack, parsed), text);
    }
    for (const text of ['', 'name', '192.0.2.1:0', '192.0.2.1:65536', '192.0.2', 'fe80::1%eth9', '[192.0.2.1', '2001:db8::1]:53'])
      assert.equal(parseServer(host().stack, text), null, text);
  });
});
