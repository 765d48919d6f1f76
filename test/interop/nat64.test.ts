import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AnyStack, createStack } from '#src/index.js';
import { makeNetns, type Netns } from '../support/netns.js';
import { needs } from '../support/requirements.js';
import { problems } from '../support/tshark.js';

/**
 * An IPv6-only Linux – TAP – our gateway with NAT64 and DNS64 – TAP – an IPv4 router – veth, 1,280 octets – an IPv4-only server.
 * 2001:db8:1::2 …::1 | 203.0.113.1 … .2 | 198.51.100.1 … .9
 */
describe('NAT64 and DNS64 between an IPv6-only and an IPv4-only Linux', function () {
  this.timeout(60_000);
  let host: Netns;
  let router: Netns;
  let server: Netns;
  let gateway: AnyStack;
  const folder = mkdtempSync(join(tmpdir(), 'anystack-nat64-'));
  let resolvers = '';

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:ping', 'tools:curl', 'tools:traceroute', 'tools:dnsmasq', 'tools:python3', 'tools:tshark');
    [host, router, server] = [makeNetns('n64h'), makeNetns('n64r'), makeNetns('n64s')];
    resolvers = `/etc/netns/${host.name}`;
    mkdirSync(resolvers, { recursive: true });
    writeFileSync(join(resolvers, 'resolv.conf'), 'nameserver 2001:db8:1::1\n');
    for (const ns of [router, server]) ns.run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv4.icmp_ratelimit=0');
    router.run('ip', 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', server.name);
    router.run('sysctl', '-qw', 'net.ipv4.ip_forward=1');
    router.run('ip', 'addr', 'add', '198.51.100.1/24', 'dev', 'veth0');
    router.run('ip', 'link', 'set', 'veth0', 'mtu', '1280', 'up');
    server.run('ip', 'addr', 'add', '198.51.100.9/24', 'dev', 'eth0');
    server.run('ip', 'link', 'set', 'eth0', 'mtu', '1280', 'up');
    server.run('ip', 'route', 'add', 'default', 'via', '198.51.100.1');
    gateway = createStack({
      name: 'gateway',
      sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 },
      interfaces: {
        lan: { device: { type: 'tap', name: 'lan', netns: host.path, hostAddress: '2001:db8:1::2/64' }, addresses: ['2001:db8:1::1/64'] },
        wan: { device: { type: 'tap', name: 'wan', netns: router.path, hostAddress: '203.0.113.2/24' }, addresses: ['203.0.113.1/24'] },
        xlat: { nat64: { pool: ['192.0.2.64/30'] } },
      },
      routes: [{ to: 'default', via: '203.0.113.2' }],
      dns: { servers: ['198.51.100.9'], forwarder: { interfaces: ['lan'], dns64: true } },
    });
    await gateway.ready;
    host.run('ip', '-6', 'route', 'add', 'default', 'via', '2001:db8:1::1');
    router.run('ip', 'route', 'add', '192.0.2.64/30', 'via', '203.0.113.1');
    writeFileSync(join(folder, 'big'), 'x'.repeat(300_000));
    const daemon = server.start(
      'dnsmasq',
      '-k',
      '-p',
      '53',
      '-C',
      '/dev/null',
      '-R',
      '-h',
      '-i',
      'eth0',
      '--host-record=www.test,198.51.100.9',
      '--local=/test/',
    );
    const web = server.start('python3', '-u', '-m', 'http.server', '--directory', folder, '--bind', '198.51.100.9', '80');
    await once(web.stdout as NonNullable<typeof web.stdout>, 'data');
    assert.equal(daemon.exitCode, null, 'dnsmasq runs');
    // The address is to be past duplicate detection before anybody asks from it.
    for (let i = 0; i < 100 && /tentative/.test(host.run('ip', '-6', 'addr', 'show', 'dev', 'lan')); i++)
      await new Promise((resolve) => setTimeout(resolve, 50));
  });

  after(async () => {
    await gateway?.close();
    for (const ns of [host, router, server]) ns?.remove();
    if (resolvers !== '') rmSync(resolvers, { recursive: true });
    rmSync(folder, { recursive: true });
  });

  it('curl fetches by name, over a path of 1,280 octets; ping and traceroute go there and show every hop', async () => {
    const file = join(folder, 'nat64.pcapng');
    const stream = createWriteStream(file);
    const capture = gateway.capture(stream);
    const got = await host.exec('curl', '-sS', '-m', '10', '-w', '%{remote_ip} %{size_download}', '-o', '/dev/null', 'http://www.test/big');
    assert.equal(got, '64:ff9b::c633:6409 300000');
    assert.match(await host.exec('ping', '-6', '-c', '2', '-i', '0.1', '-W', '2', 'www.test'), /2 received/);
    capture.stop();
    stream.end();
    await once(stream, 'close');
    assert.equal(await problems(file), '');
    // Not captured: the kernel quotes checksums that its own links have left unfinished.
    const trace = await host.exec('traceroute', '-6', '-n', '-q', '1', '-w', '2', 'www.test');
    assert.match(trace, /1 +2001:db8:1::1 .*\n *2 +64:ff9b::cb00:7102 .*\n *3 +64:ff9b::c633:6409 /);
  });

  it('fragments pass both ways', async () => {
    assert.match(await host.exec('ping', '-6', '-c', '1', '-s', '3000', '-W', '2', 'www.test'), /1 received/);
  });

  it('RFC 7915 §4.2: a link too small for the packet is told to its sender, 20 octets more', async () => {
    const probe = host.exec('ping', '-6', '-c', '2', '-i', '0.2', '-M', 'do', '-s', '1400', '-W', '2', 'www.test');
    await assert.rejects(probe, /mtu.? ?= ?1300/);
  });

  it('nobody outside gets in, and what goes to nobody is told', async () => {
    const stranger = server.exec('ping', '-c', '1', '-W', '1', '192.0.2.64');
    await assert.rejects(stranger, /0 received/);
    await assert.rejects(host.exec('curl', '-sS', '-m', '5', 'http://www.test:81/'), /connect/);
  });
});
