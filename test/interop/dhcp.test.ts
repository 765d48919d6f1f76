import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, createWriteStream, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AnyStack, createStack } from '#src/index.js';
import { makeNetns, type Netns } from '../support/netns.js';
import { needs } from '../support/requirements.js';
import { problems } from '../support/tshark.js';
import { until } from '../support/until.js';

describe('DHCP with dnsmasq', function () {
  this.timeout(60_000);
  let linux: Netns;
  let stack: AnyStack;
  const folder = mkdtempSync(join(tmpdir(), 'anystack-dhcp-'));
  const log = join(folder, 'dnsmasq.log');
  const device = (): object => ({ type: 'tap', name: 'tapdhcp', netns: linux.path, hostAddress: '10.64.0.1/24' });

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:dnsmasq', 'tools:ping', 'tools:tshark');
    linux = makeNetns('dhcp');
    stack = createStack({ interfaces: { eth0: { device: device() as never, addresses: ['dhcp'] } } });
    chmodSync(folder, 0o777);
    // The interface is there as soon as the stack has opened it.
    linux.start(
      'dnsmasq',
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--user=root', '--interface=tapdhcp', '--bind-interfaces'],
      ...[
        '--dhcp-range=10.64.0.100,10.64.0.150,2m',

        '--dhcp-option=option:router,10.64.0.1',
        '--dhcp-option=option:mtu,1400',
      ],
      ...['--dhcp-option=option:dns-server,10.64.0.1', '--domain=interop.test', '--dhcp-option=option:domain-search,interop.test,example.test'],
      ...['--dhcp-option=option:classless-static-route,10.99.0.0/16,10.64.0.7,0.0.0.0/0,10.64.0.1', '--host-record=gw.interop.test,10.64.0.1'],
      ...['--log-dhcp', `--log-facility=${log}`, `--dhcp-leasefile=${join(folder, 'leases')}`, `--pid-file=${join(folder, 'pid')}`],
    );
    await stack.ready;
  });

  after(async () => {
    await stack?.close();
    linux?.remove();
    rmSync(folder, { recursive: true });
  });

  it('our client gets an address, routes, MTU, name servers and search domains, and can be reached', async () => {
    const [client] = stack.dhcp.show().clients;
    assert.equal(client?.state, 'bound');
    assert.match(client?.address ?? '', /^10\.64\.0\.1\d\d\/24$/);
    const routes = stack.route.show().filter((r) => r.protocol === 'dhcp');
    assert.deepEqual(routes.map((r) => `${r.to} ${r.via}`).sort(), ['10.99.0.0/16 10.64.0.7', 'default 10.64.0.1']);
    assert.equal(stack.link.show('eth0')[0]?.mtu, 1_400);
    assert.deepEqual(stack.names.status().servers, ['10.64.0.1']);
    assert.deepEqual(stack.names.status().search, ['interop.test', 'example.test']);
    assert.deepEqual(await stack.dns.promises.lookup('gw'), { address: '10.64.0.1', family: 4 });
    assert.match(await linux.exec('ping', '-c', '1', '-W', '2', (client?.address ?? '').split('/')[0] as string), /1 received/);
  });

  it('the word goes and comes: the address is released, and another lease asked for; tshark finds nothing wrong in what it says', async () => {
    const file = join(folder, 'dhcp.pcapng');
    const stream = createWriteStream(file);
    const capture = stack.capture(stream);
    const { interfaces } = stack.config;
    const said = (): number => readFileSync(log, 'utf8').match(/DHCPACK/g)?.length ?? 0;
    const before = said();
    stack.reload({ interfaces: { eth0: { ...(interfaces?.['eth0'] as object), addresses: [] } as never } });
    assert.deepEqual(
      stack.addr.show('eth0').filter((a) => a.family === 4),
      [],
    );
    stack.reload({ ...(interfaces === undefined ? {} : { interfaces }) });
    await until(() => stack.dhcp.show().clients[0]?.state === 'bound', 'bound');
    assert.ok(said() > before);
    assert.match(readFileSync(log, 'utf8'), /DHCPRELEASE/);
    capture.stop();
    await capture.done;
    stream.end();
    await once(stream, 'close');
    assert.equal(await problems(file), '');
  });
});

describe('DHCP with udhcpc and dhclient', function () {
  this.timeout(60_000);
  let linux: Netns;
  let stack: AnyStack;
  const folder = mkdtempSync(join(tmpdir(), 'anystack-dhcpd-'));

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:busybox', 'tools:dhclient', 'tools:tshark');
    linux = makeNetns('dhcpd');
    stack = createStack({
      interfaces: { eth0: { device: { type: 'tap', name: 'tapsrv', netns: linux.path }, addresses: ['10.65.0.1/24'] } },
      dhcp: {
        servers: {
          eth0: { pool: '10.65.0.100-10.65.0.101', leaseTime: 600, router: '10.65.0.1', dns: ['10.65.0.1'], domain: 'interop.test', mtu: 1_400 },
        },
      },
    });
    linux.run('ip', 'link', 'set', 'tapsrv', 'up');
    await stack.ready;
  });

  after(async () => {
    await stack?.close();
    linux?.remove();
    rmSync(folder, { recursive: true });
  });

  it('udhcpc gets a lease with its options, and gives it back', async () => {
    const script = join(folder, 'udhcpc.sh');
    writeFileSync(
      script,
      '#!/bin/sh\necho "$1 ip=$ip mask=$mask router=$router dns=$dns domain=$domain mtu=$mtu lease=$lease" >> "$0.out"\n[ "$1" != bound ] || ip addr replace $ip/$mask dev $interface\n',
      { mode: 0o755 },
    );
    const said = (): string => (existsSync(`${script}.out`) ? readFileSync(`${script}.out`, 'utf8') : '');
    const udhcpc = linux.start('busybox', 'udhcpc', '-i', 'tapsrv', '-f', '-t', '5', '-x', 'hostname:client-of-busybox', '-s', script);
    await until(() => said().includes('bound'), 'bound');
    assert.match(said(), /bound ip=10\.65\.0\.100 mask=24 router=10\.65\.0\.1 dns=10\.65\.0\.1 domain=interop\.test mtu=1400 lease=600/);
    assert.deepEqual(
      stack.dhcp.show().servers[0]?.leases.map((l) => l.hostname),
      ['client-of-busybox'],
    );
    udhcpc.kill('SIGUSR1');
    await until(() => /^renew ip=10\.65\.0\.100 /m.test(said()), 'renewed');
    udhcpc.kill('SIGUSR2');
    await until(() => stack.dhcp.show().servers[0]?.leases.length === 0, 'released');
    udhcpc.kill();
    linux.run('ip', 'addr', 'flush', 'dev', 'tapsrv');
  });

  it('dhclient gets a lease, and keeps it; a full pool gives none and says why; tshark finds nothing wrong', async () => {
    const file = join(folder, 'server.pcapng');
    const stream = createWriteStream(file);
    const capture = stack.capture(stream);
    const paths = ['-lf', join(folder, 'leases'), '-pf', join(folder, 'pid'), '-sf', '/bin/true'];
    await linux.exec('dhclient', '-4', '-1', '-v', ...paths, 'tapsrv');
    assert.match(readFileSync(join(folder, 'leases'), 'utf8'), /fixed-address 10\.65\.0\.10[01];[^}]*option domain-name "interop\.test"/);
    await linux.exec('dhclient', '-4', '-x', ...paths, 'tapsrv').catch(() => '');
    await linux.exec('dhclient', '-4', '-1', '-v', ...paths, 'tapsrv'); // INIT-REBOOT
    assert.equal(stack.dhcp.show().servers[0]?.leases.length, 1);
    capture.stop();
    await capture.done;
    stream.end();
    await once(stream, 'close');
    assert.equal(await problems(file), '');
    const said: string[] = [];
    stack.events.on('log', (_level, message) => said.push(message));
    const take = (id: string): Promise<string> =>
      linux.exec('busybox', 'udhcpc', '-i', 'tapsrv', '-n', '-q', '-f', '-t', '2', '-T', '1', '-x', `0x3d:${id}`, '-s', '/bin/true');
    await take('0102030405');
    await assert.rejects(take('0102030406'));
    assert.ok(
      said.some((line) => /no address is free in 10\.65\.0\.100-10\.65\.0\.101, 2 of 2 are leased/.test(line)),
      said.join(),
    );
  });
});

describe('DHCP with udhcpd', function () {
  this.timeout(60_000);
  let linux: Netns;
  let stack: AnyStack;
  const folder = mkdtempSync(join(tmpdir(), 'anystack-udhcpd-'));

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:busybox');
    linux = makeNetns('udhcpd');
    const device = { type: 'tap', name: 'tapudh', netns: linux.path, hostAddress: '10.66.0.1/24' };
    stack = createStack({ interfaces: { eth0: { device, addresses: ['dhcp'] } } });
    const lines = [
      ...[
        'interface tapudh',
        'start 10.66.0.100',
        'end 10.66.0.110',
        'max_leases 10',
        'opt subnet 255.255.255.0',
        'opt router 10.66.0.1',
        'opt lease 12',
      ],
      ...[`lease_file ${join(folder, 'leases')}`, `pidfile ${join(folder, 'pid')}`],
    ];
    writeFileSync(join(folder, 'conf'), `${lines.join('\n')}\n`);
    writeFileSync(join(folder, 'leases'), '');
    linux.start('busybox', 'udhcpd', '-f', join(folder, 'conf'));
    await stack.ready;
  });

  after(async () => {
    await stack?.close();
    linux?.remove();
    rmSync(folder, { recursive: true });
  });

  it('our client renews by unicast when half of its time is over', async () => {
    const [before] = stack.dhcp.show().clients;
    assert.match(before?.address ?? '', /^10\.66\.0\.1\d\d\/24$/);
    const sent = (): number => stack.nstat({ zeros: true }).counters['UdpOutDatagrams'] as number;
    const first = sent();
    await until(() => sent() > first && stack.dhcp.show().clients[0]?.state === 'bound', 'a renewal');
    const [after] = stack.dhcp.show().clients;
    assert.equal(after?.address, before?.address);
    assert.ok((after?.expires ?? 0) >= 9, `expires in ${after?.expires} s`);
    assert.equal(sent() - first, 1);
  });
});
