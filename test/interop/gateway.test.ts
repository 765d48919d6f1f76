import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AnyStack, createStack, memoryLink } from '#src/index.js';
import { makeNetns, type Netns } from '../support/netns.js';
import { needs } from '../support/requirements.js';

/** A web server that answers with the address it sees. Says when it listens. */
const WEB = `
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
  def answer(self):
    n = int(self.headers.get('content-length', 0))
    self.rfile.read(n)
    body = (self.client_address[0] + ' ' + str(n)).encode()
    self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers(); self.wfile.write(body)
  do_GET = do_PUT = answer
  def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), H)
print('listening', flush=True)
s.serve_forever()
`;
const web = async (ns: Netns, address: string, port: number): Promise<void> => {
  const server = ns.start('python3', '-c', WEB, address, `${port}`);
  await once(server.stdout as NonNullable<typeof server.stdout>, 'data');
};
const get = (ns: Netns, url: string, ...more: string[]): Promise<string> => ns.exec('curl', '-sS', '-m', '10', ...more, url);

/** Linux 10.66.0.2 and .3 – TAP – our gateway, 203.0.113.1 – TAP – a provider 203.0.113.2 with web and name server on 198.51.100.1. */
describe('our gateway between a Linux site and a Linux provider', function () {
  this.timeout(60_000);
  let site: Netns;
  let provider: Netns;
  let gateway: AnyStack;
  const folder = mkdtempSync(join(tmpdir(), 'anystack-gateway-'));

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:curl', 'tools:python3', 'tools:dnsmasq', 'tools:dig', 'tools:ping');
    [site, provider] = [makeNetns('gws'), makeNetns('gwp')];
    gateway = createStack({
      name: 'gateway',
      sysctl: { 'net.ipv4.ip_forward': 1 },
      interfaces: {
        lan: { device: { type: 'tap', name: 'lan', netns: site.path, hostAddress: '10.66.0.2/24' }, addresses: ['10.66.0.1/24'] },
        wan: { device: { type: 'tap', name: 'wan', netns: provider.path, hostAddress: '203.0.113.2/24' }, addresses: ['203.0.113.1/24'] },
      },
      routes: [{ to: 'default', via: '203.0.113.2' }],
      dns: { servers: ['198.51.100.1'], forwarder: { interfaces: ['lan'] } },
      filter: {
        chains: [
          {
            name: 'in',
            hook: 'prerouting',
            rules: [
              { daddr: '203.0.113.1/32', protocol: 'tcp', dport: 8_080, dnat: '10.66.0.2:80' },
              { daddr: '203.0.113.7/32', dnat: '10.66.0.3' },
            ],
          },
          {
            name: 'pass',
            hook: 'forward',
            policy: 'drop',
            rules: [
              { state: ['established', 'related'], verdict: 'accept' },
              { iif: 'lan', verdict: 'accept' },
              { iif: 'wan', daddr: '10.66.0.2/32', protocol: 'tcp', dport: 80, verdict: 'accept' },
              { iif: 'wan', daddr: '10.66.0.3/32', protocol: 'icmp', verdict: 'accept' },
            ],
          },
          {
            name: 'own',
            hook: 'input',
            policy: 'drop',
            rules: [
              { state: ['established', 'related'], verdict: 'accept' },
              { iif: 'lan', verdict: 'accept' },
              { protocol: 'icmp', icmpType: 8, limit: { perSecond: 10, burst: 10 }, verdict: 'accept' },
            ],
          },
          {
            name: 'out',
            hook: 'postrouting',
            rules: [
              { oif: 'wan', saddr: '10.66.0.3/32', snat: '203.0.113.7' },
              { oif: 'wan', verdict: 'masquerade' },
              { oif: 'lan', saddr: '10.66.0.0/24', verdict: 'masquerade', comment: 'hairpins of the port forward' },
            ],
          },
        ],
      },
    });
    await gateway.ready;
    site.run('ip', 'addr', 'add', '10.66.0.3/24', 'dev', 'lan');
    site.run('ip', 'route', 'add', 'default', 'via', '10.66.0.1');
    provider.run('ip', 'addr', 'add', '198.51.100.1/32', 'dev', 'lo');
    provider.run('ip', 'route', 'add', '203.0.113.7/32', 'via', '203.0.113.1');
    provider.start(
      'dnsmasq',
      ...[
        '-k',
        '-C',
        '/dev/null',
        '-R',
        '-h',
        '--user=root',
        '--listen-address=198.51.100.1',
        '--bind-interfaces',
        `--pid-file=${join(folder, 'pid')}`,
      ],
      '--host-record=www.provider.test,198.51.100.1',
      '--local=/provider.test/',
    );
    await Promise.all([web(provider, '198.51.100.1', 80), web(site, '10.66.0.2', 80)]);
  });

  after(async () => {
    await gateway?.close();
    site?.remove();
    provider?.remove();
    rmSync(folder, { recursive: true });
  });

  it('out through NAT: a name from the provider, a page from his server, who sees the gateway', async () => {
    let name = '';
    for (let i = 0; i < 50 && name === ''; i++)
      name = (await site.exec('dig', '+short', '+time=2', '+tries=1', '@10.66.0.1', 'www.provider.test').catch(() => '')).trim();
    assert.equal(name, '198.51.100.1');
    assert.match(await get(site, `http://${name}/`), /^203\.0\.113\.1 /);
  });

  it('a port forward, from outside and from inside by the outer address (hairpin)', async () => {
    assert.match(await get(provider, 'http://203.0.113.1:8080/'), /^203\.0\.113\.2 /);
    assert.match(await get(site, 'http://203.0.113.1:8080/'), /^10\.66\.0\.1 /);
    await assert.rejects(get(provider, 'http://203.0.113.1:8081/', '--connect-timeout', '1'), /28|timed out/i);
  });

  it('one to one: 203.0.113.7 is 10.66.0.3, both ways', async () => {
    assert.match(await provider.exec('ping', '-c', '1', '-W', '2', '203.0.113.7'), /1 received/);
    assert.match(await get(site, 'http://198.51.100.1/', '--interface', '10.66.0.3'), /^203\.0\.113\.7 /);
  });

  it('a link of 1,280 octets: the sender inside learns it through NAT, and an upload passes', async () => {
    gateway.link.set('wan', { mtu: 1_280 });
    try {
      await assert.rejects(site.exec('ping', '-c', '1', '-M', 'do', '-s', '1400', '-W', '2', '198.51.100.1'), /mtu.? ?= ?1280/);
      const file = join(folder, 'upload');
      writeFileSync(file, 'x'.repeat(200_000));
      assert.match(await get(site, 'http://198.51.100.1/', '-T', file), / 200000$/);
    } finally {
      gateway.link.set('wan', { mtu: 1_500 });
    }
  });

  it('nmap from outside finds the one port that is forwarded', async function () {
    needs(this, 'tools:nmap');
    const scan = await provider.exec(
      'nmap',
      '-n',
      '-Pn',
      '-sS',
      '-p',
      '1-100,8000-8100',
      '-T5',
      '--max-retries',
      '1',
      '--host-timeout',
      '20s',
      '203.0.113.1',
    );
    assert.match(scan, /8080\/tcp open/);
    assert.equal(scan.match(/\/tcp +open/g)?.length, 1, scan);
    const odd = await provider.exec('nmap', '-n', '-Pn', '-sF', '-p', '80,8080', '-T5', '--max-retries', '1', '203.0.113.7');
    assert.doesNotMatch(odd, /\/tcp +open /);
  });

  it('hping3: floods, forged answers, fragments that never end; the gateway stays as it was', async function () {
    needs(this, 'tools:hping3');
    gateway.sysctl.set('net.netfilter.nf_conntrack_max', 256);
    const hping = (...words: string[]): Promise<string> => provider.exec('hping3', '-q', '-n', ...words).catch((error: Error) => error.message);
    try {
      await hping('-S', '-p', '8080', '-i', 'u300', '-c', '1500', '--rand-source', '203.0.113.1');
      assert(gateway.core.filter.conntrack.size <= 256);
      assert.match(await get(provider, 'http://203.0.113.1:8080/'), /^203\.0\.113\.2 /, 'the longest idle one makes room');
      await Promise.all([
        hping('-A', '-p', '8080', '-i', 'u500', '-c', '200', '203.0.113.1'),
        hping('-1', '-C', '3', '-K', '1', '-i', 'u500', '-c', '200', '203.0.113.1'),
        hping('-2', '-p', '53', '-x', '-d', '600', '-i', 'u300', '-c', '2000', '--rand-source', '203.0.113.1'),
        hping('-2', '-p', '53', '-f', '-d', '100', '-i', 'u500', '-c', '200', '203.0.113.1'),
        hping('-2', '-p', '53', '-g', '8', '-x', '-d', '64', '-N', '7', '-i', 'u500', '-c', '200', '203.0.113.1'),
      ]);
      const { ctx } = gateway.core;
      assert(ctx.big.held + ctx.slab.held < 8_192);
      assert.equal(gateway.core.state, 'running');
      assert.match(await get(site, 'http://198.51.100.1/'), /^203\.0\.113\.1 /);
    } finally {
      gateway.sysctl.set('net.netfilter.nf_conntrack_max', 65_536);
    }
  });
});

/** Linux 10.0.0.2 – gateway, shown as 10.1.0.0/24 – gateway, shown as 10.2.0.0/24 – Linux 10.0.0.2. */
describe('two sites with the same addresses behind two NETMAPs', function () {
  this.timeout(30_000);
  const sites: Netns[] = [];
  const gateways: AnyStack[] = [];

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:ping', 'tools:curl', 'tools:python3', 'tools:traceroute');
    const link = memoryLink();
    for (const [i, device] of link.entries()) {
      const [own, other] = [`10.${i + 1}.0.0/24`, `10.${2 - i}.0.0/24`];
      const site = makeNetns('nm');
      sites.push(site);
      const gateway = createStack({
        name: `gateway${i}`,
        sysctl: { 'net.ipv4.ip_forward': 1 },
        interfaces: {
          lan: { device: { type: 'tap', name: 'lan', netns: site.path, hostAddress: '10.0.0.2/24' }, addresses: ['10.0.0.1/24'] },
          wan: { device, addresses: [`192.0.2.${i + 1}/30`] },
        },
        routes: [{ to: other, via: `192.0.2.${2 - i}` }],
        filter: {
          chains: [
            { name: 'in', hook: 'prerouting', rules: [{ iif: 'wan', daddr: own, netmap: { side: 'destination', to: '10.0.0.0/24' } }] },
            { name: 'out', hook: 'postrouting', rules: [{ oif: 'wan', saddr: '10.0.0.0/24', netmap: { side: 'source', to: own } }] },
          ],
        },
      });
      gateways.push(gateway);
    }
    for (const [i, site] of sites.entries()) {
      await gateways[i]?.ready;
      site.run('ip', 'route', 'add', 'default', 'via', '10.0.0.1');
      await web(site, '10.0.0.2', 80);
    }
  });

  after(async () => {
    for (const gateway of gateways) await gateway.close();
    for (const site of sites) site.remove();
  });

  it('each sees the other under its outer address: ping, TCP, traceroute', async () => {
    const [a, b] = sites as [Netns, Netns];
    assert.match(await a.exec('ping', '-c', '2', '-i', '0.1', '-W', '2', '10.2.0.2'), /2 received/);
    assert.match(await get(a, 'http://10.2.0.2/'), /^10\.1\.0\.2 /);
    assert.match(await get(b, 'http://10.1.0.2/'), /^10\.2\.0\.2 /);
    assert.match(await a.exec('traceroute', '-n', '-q', '1', '-w', '2', '10.2.0.2'), /1 +10\.0\.0\.1 .*\n *2 +192\.0\.2\.2 .*\n *3 +10\.2\.0\.2 /);
  });
});
