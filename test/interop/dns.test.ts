import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type AnyStack, createStack } from '#src/index.js';
import { makeNetns, type Netns } from '../support/netns.js';
import { needs } from '../support/requirements.js';
import { problems } from '../support/tshark.js';

/** Our stack 10.63.0.2 – TAP – Linux 10.63.0.1 with dnsmasq. */
describe('DNS with dnsmasq and dig', function () {
  this.timeout(60_000);
  let linux: Netns;
  let stack: AnyStack;
  const folder = mkdtempSync(join(tmpdir(), 'anystack-dns-'));
  const dig = async (...words: string[]): Promise<string> => (await linux.exec('dig', '+time=3', '+tries=1', '@10.63.0.2', ...words)).trim();

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:dnsmasq', 'tools:dig', 'tools:python3', 'tools:tshark');
    linux = makeNetns('dns');
    stack = createStack({
      interfaces: { eth0: { device: { type: 'tap', name: 'tapdns', netns: linux.path, hostAddress: '10.63.0.1/24' }, addresses: ['10.63.0.2/24'] } },
      dns: { servers: ['10.63.0.1'], search: ['interop.test'], forwarder: { interfaces: ['eth0'] } },
    });
    await stack.ready;
    const records = [
      '--host-record=gw.interop.test,10.63.0.1,fd63::1',
      '--cname=alias.interop.test,gw.interop.test',
      '--mx-host=interop.test,mail.interop.test,10',
      '--txt-record=interop.test,one,two',
      '--srv-host=_sip._udp.interop.test,gw.interop.test,5060,1,2',
      '--ptr-record=1.0.63.10.in-addr.arpa,gw.interop.test',
      ...Array.from({ length: 12 }, (_, i) => `--txt-record=big.interop.test,${String(i).padStart(200, 'x')}`),
    ];
    linux.start(
      'dnsmasq',
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--user=root', '--interface=tapdns', '--bind-interfaces'],
      ...['--auth-ttl=60', '--local-ttl=60', '--local=/interop.test/', `--pid-file=${join(folder, 'dnsmasq.pid')}`, ...records],
    );
    for (let i = 0; i < 50; i++) {
      const found = await stack.dns.promises.resolve4('gw.interop.test').catch(() => null);
      if (found !== null) break;
      await new Promise((done) => setTimeout(done, 100));
    }
  });

  after(async () => {
    await stack?.close();
    linux?.remove();
    rmSync(folder, { recursive: true });
  });

  it('our resolver: every type, aliases, the search list, what is not there', async () => {
    const { promises: dns } = stack.dns;
    assert.deepEqual(await dns.resolve4('gw.interop.test'), ['10.63.0.1']);
    assert.deepEqual(await dns.resolve6('gw.interop.test'), ['fd63::1']);
    assert.deepEqual(await dns.resolve4('alias.interop.test'), ['10.63.0.1']);
    assert.deepEqual(await dns.resolveCname('alias.interop.test'), ['gw.interop.test']);
    assert.deepEqual(await dns.resolveMx('interop.test'), [{ exchange: 'mail.interop.test', priority: 10 }]);
    assert.deepEqual(await dns.resolveTxt('interop.test'), [['one', 'two']]);
    assert.deepEqual(await dns.resolveSrv('_sip._udp.interop.test'), [{ name: 'gw.interop.test', port: 5_060, priority: 1, weight: 2 }]);
    assert.deepEqual(await dns.reverse('10.63.0.1'), ['gw.interop.test']);
    assert.deepEqual(await dns.lookup('gw', 4), { address: '10.63.0.1', family: 4 });
    await assert.rejects(dns.resolve4('none.interop.test'), { code: 'ENOTFOUND' });
    await assert.rejects(dns.resolveMx('gw.interop.test'), { code: 'ENODATA' });
  });

  it('our resolver: an answer too long for a datagram comes over TCP', async () => {
    assert.equal((await stack.dns.promises.resolveTxt('big.interop.test')).length, 12);
    assert.ok((stack.nstat().counters['TcpActiveOpens'] ?? 0) > 0);
  });

  it('letters in random case: dnsmasq repeats them', async () => {
    stack.reload({ ...stack.config, dns: { ...stack.config.dns, mixedCase: true } });
    assert.deepEqual(await stack.dns.promises.resolve4('gw.interop.test'), ['10.63.0.1']);
    stack.reload({ ...stack.config, dns: { ...stack.config.dns, mixedCase: false } });
  });

  it('dig and our forwarder: UDP, TCP, with and without EDNS, truncation, refusal; tshark finds nothing wrong', async () => {
    const file = join(folder, 'dns.pcapng');
    const stream = createWriteStream(file);
    const capture = stack.capture(stream);
    assert.equal(await dig('+short', 'gw.interop.test'), '10.63.0.1');
    assert.equal(await dig('+short', '+noedns', 'alias.interop.test'), 'gw.interop.test.\n10.63.0.1');
    assert.equal(await dig('+short', '+tcp', 'gw.interop.test', 'AAAA'), 'fd63::1');
    assert.equal(await dig('+short', 'interop.test', 'MX'), '10 mail.interop.test.');
    assert.equal(await dig('+short', '-x', '10.63.0.1'), 'gw.interop.test.');
    assert.match(await dig('+ignore', '+bufsize=512', 'big.interop.test', 'TXT'), /flags: qr tc rd/);
    assert.match(await dig('big.interop.test', 'TXT'), /ANSWER: 12/);
    assert.match(await dig('none.interop.test'), /status: NXDOMAIN/);
    assert.match(await dig('+edns=1', '+noednsneg', 'gw.interop.test'), /status: BADVERS/);
    assert.match(await dig('+opcode=2', 'gw.interop.test'), /status: NOTIMP/);
    assert.match(await dig('CH', 'TXT', 'version.bind'), /status: REFUSED/);
    capture.stop();
    await capture.done;
    stream.end();
    await once(stream, 'close');
    assert.equal(await problems(file), '');
  });

  it('an unmodified program asks by node:dns, and by names it dials', async () => {
    const program = `
import dns from 'node:dns';
import { once } from 'node:events';
import net from 'node:net';
console.log(await dns.promises.resolve4('gw.interop.test'), await dns.promises.lookup('gw.interop.test', 4));
dns.resolveMx('interop.test', (error, found) => console.log(error, found));
const resolver = new dns.Resolver();
resolver.setServers(['10.63.0.1']);
resolver.resolve6('gw.interop.test', (error, found) => console.log(error, found));
console.log((await once(net.connect(53, 'gw.interop.test'), 'connect')).length);
await dns.promises.resolve4('none.interop.test').catch((error) => console.log(error.message));
process.exit();`;
    writeFileSync(join(folder, 'app.mjs'), program);
    const device = { type: 'tap', name: 'tapapp', hostAddress: '10.63.1.1/24' };
    const config = {
      interfaces: { eth0: { device, addresses: ['10.63.1.2/24'] } },
      routes: [{ to: 'default', via: '10.63.1.1' }],
      dns: { servers: ['10.63.0.1'] },
    };
    writeFileSync(join(folder, 'app.json'), JSON.stringify(config));
    const main = resolve('dist/cli/main.js');
    const said = await linux.exec(process.execPath, main, 'run', join(folder, 'app.json'), '--', process.execPath, join(folder, 'app.mjs'));
    for (const line of [
      "[ '10.63.0.1' ] { address: '10.63.0.1', family: 4 }",
      "null [ { exchange: 'mail.interop.test', priority: 10 } ]",
      "null [ 'fd63::1' ]",
      'queryA ENOTFOUND none.interop.test',
    ])
      assert.ok(said.includes(line), `${line}: ${said}`);
  });

  it('a forged answer from another address changes nothing for a client of the forwarder', async () => {
    linux.run('ip', 'addr', 'add', '10.63.0.66/24', 'dev', 'tapdns');
    const forger = linux.start(
      'python3',
      '-c',
      `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('10.63.0.66', 53))
m = b'\\x00\\x01\\x81\\x80\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x00\\x02gw\\x07interop\\x04test\\x00\\x00\\x01\\x00\\x01\\xc0\\x0c\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x3c\\x00\\x04\\x06\\x06\\x06\\x06'
for p in range(1024, 65536): s.sendto(m, ('10.63.0.2', p))`,
    );
    stack.names.dns.setServers(['10.63.0.1']);
    const ended = once(forger, 'exit');
    for (let i = 0; i < 5; i++) assert.deepEqual(await stack.dns.promises.resolve4('gw.interop.test'), ['10.63.0.1']);
    await ended;
    assert.equal(await dig('+short', 'gw.interop.test'), '10.63.0.1');
  });
});
