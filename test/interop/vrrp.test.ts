import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AnyStack, createStack } from '#src/index.js';
import { makeNetns, type Netns } from '../support/netns.js';
import { needs } from '../support/requirements.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** keepalived 10.64.0.1 – Linux bridge – our router 10.64.0.2; a Linux host 10.64.0.9 with the virtual 10.64.0.254 as its gateway, and fe80::254. */
describe('VRRP with keepalived', function () {
  this.timeout(60_000);
  let lan: Netns;
  let linux: Netns;
  let host: Netns;
  let router: AnyStack;
  let keepalived: ChildProcess | null = null;
  const folder = mkdtempSync(join(tmpdir(), 'anystack-vrrp-'));

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:keepalived', 'tools:ping');
    [lan, linux, host] = [makeNetns('vrl'), makeNetns('vrk'), makeNetns('vrh')];
    lan.run('ip', 'link', 'add', 'br0', 'type', 'bridge');
    lan.run('ip', 'link', 'set', 'br0', 'up');
    for (const [ns, port] of [
      [linux, 'pk'],
      [host, 'ph'],
    ] as const) {
      lan.run('ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ns.name);
      lan.run('ip', 'link', 'set', port, 'master', 'br0', 'up');
      ns.run('ip', 'link', 'set', 'eth0', 'up');
    }
    linux.run('ip', 'addr', 'add', '10.64.0.1/24', 'dev', 'eth0');
    linux.run('ip', 'addr', 'add', '192.0.2.1/32', 'dev', 'lo');
    linux.run('sysctl', '-qw', 'net.ipv4.ip_forward=1');
    host.run('ip', 'addr', 'add', '10.64.0.9/24', 'dev', 'eth0');
    host.run('ip', 'route', 'add', 'default', 'via', '10.64.0.254');
    writeFileSync(
      join(folder, 'keepalived.conf'),
      `global_defs { vrrp_version 3
 script_user root }
${[4, 6]
  .map(
    (family) => `vrrp_instance V${family} { state BACKUP
 interface eth0
 use_vmac vrrp${family}
 virtual_router_id 5${family}
 priority 150
 advert_int 0.2
 virtual_ipaddress { ${family === 4 ? '10.64.0.254/24' : 'fe80::254'} } }`,
  )
  .join('\n')}
`,
    );
    router = createStack({
      name: 'router',
      sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 },
      interfaces: {
        // The last one is what is behind the gateway: it is behind the other too.
        eth0: { device: { type: 'tap', name: 'pt', netns: lan.path }, addresses: ['10.64.0.2/24', '192.0.2.1/32'] },
      },
      vrrp: [
        { interface: 'eth0', id: 54, addresses: ['10.64.0.254'], priority: 100, interval: 0.2, accept: true, pseudoHeader: true },
        { interface: 'eth0', id: 56, addresses: ['fe80::254'], priority: 100, interval: 0.2, accept: true },
      ],
    });
    lan.run('ip', 'link', 'set', 'pt', 'master', 'br0', 'up');
    await router.ready;
  });

  after(async () => {
    keepalived?.kill();
    await router?.close();
    for (const ns of [lan, linux, host]) ns?.remove();
    rmSync(folder, { recursive: true });
  });

  const start = (): void => {
    const files = ['-p', 'ka.pid', '-r', 'vrrp.pid', '-c', 'checkers.pid'].map((word, i) => (i % 2 === 0 ? word : join(folder, word)));
    keepalived = linux.start('keepalived', '-n', '-l', '-P', '-f', join(folder, 'keepalived.conf'), ...files);
    keepalived.stdout?.resume();
    keepalived.stderr?.resume();
  };
  const states = (): string =>
    router.vrrp
      .show()
      .map(({ state }) => state)
      .join(' ');
  const until = async (what: string): Promise<void> => {
    for (const end = Date.now() + 20_000; states() !== what; await sleep(50)) assert(Date.now() < end, `${states()}, and not ${what}`);
  };
  /** The station at which the host finds the virtual address, and whose it is. */
  const reach = async (): Promise<string> => {
    for (let i = 0; i < 20; i++) if (/1 received/.test(await host.exec('ping', '-c', '1', '-W', '1', '192.0.2.1').catch(() => ''))) break;
    return /lladdr (\S+)/.exec(host.run('ip', 'neigh', 'show', '10.64.0.254'))?.[1] ?? '';
  };

  it('we are active alone, keepalived of higher priority takes over, and hands back when it dies; the host never notices more than a pause', async () => {
    await until('active active');
    assert.equal(await reach(), '00:00:5e:00:01:36');
    start();
    await until('backup backup');
    assert.deepEqual(
      router.vrrp.show().map(({ active }) => active?.startsWith('fe80::') || active),
      ['10.64.0.1', true],
    );
    assert.equal(await reach(), '00:00:5e:00:01:36', 'the same station, elsewhere');
    assert.match(linux.run('ip', '-br', 'addr', 'show', 'vrrp4'), /10\.64\.0\.254/);
    // As it dies it says nothing: three intervals and the skew.
    linux.run('sh', '-c', `kill -9 $(cat ${join(folder, 'ka.pid')} ${join(folder, 'vrrp.pid')})`);
    await until('active active');
    assert.equal(await reach(), '00:00:5e:00:01:36');
    assert.deepEqual(
      router.vrrp.show().map(({ takeovers }) => takeovers),
      [2, 2],
    );
    assert.match(await host.exec('ping', '-6', '-c', '1', '-W', '2', 'fe80::254%eth0'), /1 received/);
  });
});
