import assert from 'node:assert/strict';
import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AnyStack, createStack } from '#src/index.js';
import { makeNetns, type Netns } from '../support/netns.js';
import { needs } from '../support/requirements.js';
import { problems } from '../support/tshark.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `fact` holds, at most `ms`. */
async function until(what: string, fact: () => boolean, ms = 20_000): Promise<void> {
  for (const end = Date.now() + ms; !fact(); await sleep(100)) assert(Date.now() < end, what);
}

/** Linux (host) – TAP – our router – TAP – Linux (another). */
describe('our IPv6 router and Linux hosts', function () {
  this.timeout(90_000);
  let left: Netns;
  let right: Netns;
  let router: AnyStack;
  const folder = mkdtempSync(join(tmpdir(), 'anystack-router6-'));
  const address = (ns: Netns, dev: string, start: string): string =>
    new RegExp(`inet6 (${start}[0-9a-f:]*)/`).exec(ns.run('ip', '-6', 'addr', 'show', 'dev', dev, '-tentative'))?.[1] ?? '';

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:ping', 'tools:rdisc6', 'tools:traceroute', 'tools:tshark');
    left = makeNetns('r6l');
    right = makeNetns('r6r');
    for (const ns of [left, right])
      ns.run('sysctl', '-qw', 'net.ipv6.conf.default.accept_ra_rt_info_max_plen=64', 'net.ipv6.conf.default.accept_ra=2');
    router = createStack({
      name: 'router',
      sysctl: { 'net.ipv6.conf.all.forwarding': 1 },
      interfaces: {
        left: { device: { type: 'tap', name: 'tapl', netns: left.path }, addresses: ['2001:db8:1::1/64'] },
        right: { device: { type: 'tap', name: 'tapr', netns: right.path }, addresses: ['2001:db8:2::1/64'] },
      },
      router: {
        advertise: {
          left: {
            managed: true,
            dns: ['2001:db8:1::53'],
            search: ['example.org'],
            routes: [{ to: '2001:db8:7::/48', preference: 'high' }],
            mtu: 1_480,
            nat64: '64:ff9b::/96',
          },
          right: true,
        },
        dhcp6: {
          left: {
            pool: { from: '2001:db8:1::1000', to: '2001:db8:1::1fff' },
            delegate: { prefix: '2001:db8:8000::/40', length: 56 },
            dns: ['2001:db8:1::53'],
          },
        },
      },
    });
    left.run('ip', 'link', 'set', 'tapl', 'up');
    right.run('ip', 'link', 'set', 'tapr', 'up');
    await router.ready;
  });

  after(async () => {
    await router?.close();
    left?.remove();
    right?.remove();
    rmSync(folder, { recursive: true });
  });

  it('Linux makes addresses and routes of what we advertise', async () => {
    await until('an address on either side', () => address(left, 'tapl', '2001:db8:1:') !== '' && address(right, 'tapr', '2001:db8:2:') !== '');
    const routes = left.run('ip', '-6', 'route');
    assert.match(routes, /default via fe80::.* proto ra/);
    assert.match(routes, /2001:db8:7::\/48 via fe80::.* proto ra/);
    assert.match(left.run('sysctl', '-n', 'net.ipv6.conf.tapl.mtu'), /1480/);
  });

  it('rdisc6 reads all of it', async () => {
    const out = await left.exec('rdisc6', '-1', 'tapl');
    for (const line of [
      /Hop limit +: +64/,
      /Stateful address conf\. +: +Yes/,
      /Prefix +: 2001:db8:1::\/64/,
      /Recursive DNS server +: 2001:db8:1::53/,
      /MTU +: +1480/,
      /Route +: 2001:db8:7::\/48/,
    ])
      assert.match(out, line);
  });

  it('ping and traceroute pass from one to the other; hop limit 1 is answered by us', async () => {
    const there = address(right, 'tapr', '2001:db8:2:');
    assert.match(await left.exec('ping', '-6', '-c', '3', '-i', '0.1', '-W', '2', there), /3 received/);
    assert.match(await left.exec('tracert6', '-n', '-q', '1', '-w', '2', there), /1 +2001:db8:1::1 .*\n *2 +2001:db8:2:/);
    assert.match(await left.exec('traceroute', '-6', '-n', '-q', '1', '-w', '2', there), /1 +2001:db8:1::1 .*\n *2 +2001:db8:2:/);
    await assert.rejects(left.exec('ping', '-6', '-c', '1', '-t', '1', '-W', '2', there), /2001:db8:1::1.*Time exceeded: Hop limit/s);
  });

  it('RFC 4443 §3.1, §3.2: no route, and a smaller link', async () => {
    await assert.rejects(left.exec('ping', '-6', '-c', '1', '-W', '2', '2001:db8:99::1'), /unreachable: No route/i);
    router.link.set('right', { mtu: 1_300 });
    try {
      const there = address(right, 'tapr', '2001:db8:2:');
      await assert.rejects(left.exec('ping', '-6', '-c', '1', '-M', 'do', '-s', '1400', '-W', '2', there), /mtu.? ?= ?1300/);
      assert.match(await left.exec('ping', '-6', '-c', '1', '-s', '1400', '-W', '2', there), /1 received/);
    } finally {
      router.link.set('right', { mtu: 1_500 });
    }
  });

  it('tshark finds nothing malformed in what we sent', async () => {
    const file = join(folder, 'router6.pcapng');
    const capture = router.capture(createWriteStream(file));
    await left.exec('rdisc6', '-1', 'tapl');
    await left.exec('ping', '-6', '-c', '1', '-W', '2', address(right, 'tapr', '2001:db8:2:'));
    router.core.v6.mld.reports.announce(router.core.interfaces.named('left') as NonNullable<ReturnType<typeof router.core.interfaces.named>>);
    await sleep(1_500);
    capture.stop();
    await capture.done;
    assert.equal(await problems(file), '');
  });

  it('dhcpcd has an address and a prefix of our server', async function () {
    needs(this, 'tools:dhcpcd');
    const config = join(folder, 'dhcpcd.conf');
    writeFileSync(config, 'ipv6only\nnohook resolv.conf,hostname\nscript /bin/true\nia_na 1\nia_pd 2\n');
    const file = join(folder, 'dhcp6.pcapng');
    const capture = router.capture(createWriteStream(file));
    const client = left.start('dhcpcd', '-B', '-6', '-f', config, '--logfile', join(folder, 'dhcpcd.log'), 'tapl');
    let log = '';
    client.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
    client.stdout?.on('data', (chunk: Buffer) => (log += chunk.toString()));
    await until(`a lease: ${log}`, () => router.core.ip.routes.list().some((r) => r.protocol === 'dhcp' && r.length === 56));
    await until(`an address: ${log}`, () => /2001:db8:1::1[0-9a-f]{3}\//.test(left.run('ip', '-6', 'addr', 'show', 'dev', 'tapl')));
    client.kill('SIGTERM');
    capture.stop();
    await capture.done;
    assert.equal(await problems(file), '');
  });

  it('wide-dhcpv6-client has an address and a prefix of our server, and hands a part of it on', async function () {
    needs(this, 'tools:dhcp6c');
    const config = join(folder, 'dhcp6c.conf');
    writeFileSync(
      config,
      'interface tapl { send ia-na 1; send ia-pd 2; };\nid-assoc na 1 { };\nid-assoc pd 2 { prefix-interface lo { sla-id 7; sla-len 8; }; };\n',
    );
    const client = left.start('dhcp6c', '-f', '-D', '-c', config, '-p', join(folder, 'dhcp6c.pid'), 'tapl');
    let log = '';
    for (const stream of [client.stderr, client.stdout]) stream?.on('data', (chunk: Buffer) => (log += chunk.toString()));
    await until(`a part of the prefix: ${log}`, () => /inet6 2001:db8:80[0-9a-f:]+07:/.test(left.run('ip', '-6', 'addr', 'show', 'dev', 'lo')));
    await until(`an address: ${log}`, () => /2001:db8:1::1[0-9a-f]{3}\/128/.test(left.run('ip', '-6', 'addr', 'show', 'dev', 'tapl')));
    client.kill('SIGTERM');
  });
});

/** dnsmasq gives addresses by DHCPv6 and says so in its advertisements; we are the host. */
describe('our DHCPv6 client and dnsmasq', function () {
  this.timeout(60_000);
  let linux: Netns;
  let stack: AnyStack;
  const folder = mkdtempSync(join(tmpdir(), 'anystack-dhcp6-'));

  before(function () {
    needs(this, 'tap', 'netns', 'tools:dnsmasq');
    linux = makeNetns('d6');
    stack = createStack({ interfaces: { eth0: { device: { type: 'tap', name: 'tap6', netns: linux.path }, addresses: ['auto'] } } });
    linux.run('ip', 'link', 'set', 'tap6', 'up');
    linux.run('ip', 'addr', 'add', 'fd61::2/64', 'dev', 'tap6', 'nodad');
  });

  after(async () => {
    await stack?.close();
    linux?.remove();
    rmSync(folder, { recursive: true });
  });

  it('its range, its resolver, its router', async () => {
    await sleep(2_000); // dnsmasq wants the link-local address of its interface
    const server = linux.start(
      'dnsmasq',
      '-d',
      '-p',
      '0',
      '--interface=tap6',
      '--bind-interfaces',
      '--enable-ra',
      '--dhcp-range=fd61::1000,fd61::1fff,64,10m',
      '--dhcp-option=option6:dns-server,[fd61::53]',
      '--dhcp-option=option6:domain-search,example.org',
      `--dhcp-leasefile=${join(folder, 'leases')}`,
      '--user=root',
    );
    let log = '';
    server.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const leased = (): string | undefined =>
      stack.addr.show('eth0').find((a) => /^fd61::1[0-9a-f]{3}$/.test(a.address) && a.state === 'preferred')?.address;
    await until(`an address: ${log}`, () => leased() !== undefined, 30_000);
    assert.match(await linux.exec('ping', '-6', '-c', '1', '-W', '2', leased() as string), /1 received/);
    const client = stack.services.dhcp6.at(stack.core.interfaces.named('eth0') as NonNullable<ReturnType<typeof stack.core.interfaces.named>>);
    assert.deepEqual(client?.told.resolvers.map(String), ['fd61::53']);
    assert.deepEqual(client?.told.domains, ['example.org']);
    assert.equal(stack.core.v6.routers.list().length, 1);
    server.kill();
  });
});
