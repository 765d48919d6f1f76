import assert from 'node:assert/strict';
import { Bench } from '../support/command.js';

describe('command: names and leases', function () {
  this.timeout(60_000);
  let bench: Bench;

  before(async () => {
    bench = new Bench();
    const config = {
      interfaces: { lan: { device: { type: 'udp' }, addresses: ['10.0.0.1/24'] } },
      dns: { search: ['example.org'], forwarder: { interfaces: ['lan'] } },
      dhcp: { servers: { lan: { pool: '10.0.0.100-10.0.0.109' } } },
    };
    await bench.up(bench.file('a.json', config));
  });
  after(() => bench.close());

  it('dns shows where names are asked for, and asks', async () => {
    assert.equal((await bench.run(['dns'])).out, 'servers none\nsearch example.org\ncached 0 pending 0 forwarder\n');
    assert.match((await bench.run(['dns', 'localhost'])).out, /^127\.0\.0\.1\n/);
    const refused = await bench.run(['dns', 'example.org', 'mx']);
    assert.deepEqual([refused.code, refused.err], [1, 'anystack: queryMx ECONNREFUSED example.org\n']);
    assert.equal((await bench.run(['dns', 'a', 'b', 'c'])).code, 2);
  });

  it('dhcp shows leases', async () => {
    assert.equal((await bench.run(['dhcp'])).out, 'lan server leases 0 free 10\n');
    const { servers } = JSON.parse((await bench.run(['dhcp', '--json'])).out) as { servers: unknown };
    assert.deepEqual(servers, [{ dev: 'lan', free: 10, leases: [] }]);
  });
});
