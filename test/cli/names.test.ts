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
      services: { mdns: { host: 'plant', interfaces: ['lan'], services: [{ name: 'Boiler', type: '_http._tcp', port: 80 }] } },
      proxy: { socks5: 'stack:10.0.0.1:1080' },
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

  it('mdns asks the link, ourselves among it', async () => {
    assert.match((await bench.run(['mdns', 'plant'])).out, /^10\.0\.0\.1$/m);
    assert.match((await bench.run(['mdns', '_http._tcp', '-w', '2'])).out, /^Boiler {2}plant\.local:80 {2}10\.0\.0\.1.* dev lan$/m);
  });

  it('forward shows, adds and ends', async () => {
    assert.equal((await bench.run(['forward', 'add', 'stack:10.0.0.1:80', 'host:127.0.0.1:8080', 'max', '9'])).code, 0);
    assert.equal((await bench.run(['forward', 'add', 'stack:10.0.0.1:53', 'host:localhost:53', '-u'])).code, 0);
    assert.equal(
      (await bench.run(['forward'])).out,
      // The forwarder has port 53.
      'socks5  stack:10.0.0.1:1080  as asked             listening                    0 of 256, 0 in all\n' +
        'tcp     stack:10.0.0.1:80    host:127.0.0.1:8080  listening                    0 of 9, 0 in all\n' +
        'udp     stack:10.0.0.1:53    host:localhost:53    bind EADDRINUSE 10.0.0.1:53  0 of 256, 0 in all\n',
    );
    assert.equal((await bench.run(['forward', 'del', 'stack:10.0.0.1:80'])).code, 0);
    const gone = await bench.run(['forward', 'del', 'stack:10.0.0.1:80']);
    assert.deepEqual([gone.code, gone.err], [1, 'anystack: forward del ENOENT: nothing listens at tcp stack:10.0.0.1:80\n']);
    const wrong = await bench.run(['forward', 'add', 'there:1', 'host:localhost:53']);
    assert.deepEqual([wrong.code, /no place such as/.test(wrong.err)], [1, true]);
  });

  it('dhcp shows leases', async () => {
    assert.equal((await bench.run(['dhcp'])).out, 'lan server leases 0 free 10\n');
    const { servers } = JSON.parse((await bench.run(['dhcp', '--json'])).out) as { servers: unknown };
    assert.deepEqual(servers, [{ dev: 'lan', free: 10, leases: [] }]);
  });
});
