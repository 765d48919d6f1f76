import assert from 'node:assert/strict';
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AnyStack, createStack } from '#src/index.js';
import type { Interface } from '#src/net/interface.js';
import { makeNetns, type Netns } from '../support/netns.js';
import { needs } from '../support/requirements.js';
import { problems } from '../support/tshark.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `fact` holds, at most `ms`. */
async function until(what: string, fact: () => boolean, ms = 8_000): Promise<void> {
  for (const end = Date.now() + ms; !fact(); await sleep(50)) assert(Date.now() < end, what);
}

/** Our stack fd61::1 – TAP – Linux fd61::2 in a namespace. */
describe('IPv6 and a Linux kernel on the link', function () {
  this.timeout(60_000);
  let linux: Netns;
  let stack: AnyStack;
  const folder = mkdtempSync(join(tmpdir(), 'anystack-ipv6-'));
  const linkLocal = (): string => stack.addr.show('eth0').find((a) => a.origin === 'link-local')?.address ?? '';

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:ping', 'tools:curl', 'tools:ndisc6', 'tools:radvd', 'tools:rdisc6', 'tools:tshark');
    linux = makeNetns('v6');
    stack = createStack({
      interfaces: { eth0: { device: { type: 'tap', name: 'tap6', netns: linux.path }, addresses: ['fd61::1/64', 'auto'] } },
      services: { http: true, echo: true },
    });
    linux.run('sysctl', '-qw', 'net.ipv6.conf.tap6.accept_dad=0');
    linux.run('ip', 'link', 'set', 'tap6', 'up');
    linux.run('ip', 'addr', 'add', 'fd61::2/64', 'dev', 'tap6', 'nodad');
    await stack.ready;
  });

  after(async () => {
    await stack?.close();
    linux?.remove();
    rmSync(folder, { recursive: true });
  });

  it('ready means that duplicate detection is over', () => {
    assert.deepEqual(
      stack.addr
        .show('eth0')
        .filter((a) => a.address === 'fd61::1')
        .map((a) => a.state),
      ['preferred'],
    );
  });

  it('ping finds the global, the link-local and the all-nodes address; big ones in fragments', async () => {
    for (const to of ['fd61::1', `${linkLocal()}%tap6`, 'ff02::1%tap6'])
      assert.match(await linux.exec('ping', '-6', '-c', '2', '-i', '0.1', '-W', '2', to), /2 received/);
    assert.match(await linux.exec('ping', '-6', '-c', '1', '-s', '20000', '-W', '2', 'fd61::1'), /1 received/);
  });

  it('ndisc6 has our link address', async () => {
    assert.match(await linux.exec('ndisc6', '-1', 'fd61::1', 'tap6'), /Target link-layer address: [0-9A-F:]{17}/);
  });

  it('curl has the status page over TCP, by global and by scoped address', async () => {
    for (const host of ['fd61::1', `${linkLocal()}%25tap6`]) {
      const page = await linux.exec('curl', '-6', '-sS', '-m', '5', '-o', '/dev/null', '-w', '%{http_code}', `http://[${host}]/`);
      assert.equal(page, '200', host);
    }
  });

  it('we ping Linux, and connect to it', async () => {
    const server = linux.start('python3', '-m', 'http.server', '--bind', '::', '8080');
    await until('the server listens', () => linux.run('ss', '-6ltn').includes(':8080'));
    const body = await new Promise<string>((resolve, reject) => {
      const socket = stack.net.connect({ host: 'fd61::2', port: 8_080 });
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('end', () => resolve(text));
      socket.on('error', reject);
      socket.write('GET / HTTP/1.0\r\n\r\n');
    });
    assert.match(body, /200 OK/);
    server.kill();
  });

  it("Linux's duplicate detection is answered", () => {
    linux.run('sysctl', '-qw', 'net.ipv6.conf.tap6.accept_dad=1');
    linux.run('ip', 'addr', 'add', 'fd61::1/64', 'dev', 'tap6');
    return until('the kernel finds the duplicate', () => /dadfailed/.test(linux.run('ip', 'addr', 'show', 'dev', 'tap6'))).finally(() =>
      linux.run('ip', 'addr', 'del', 'fd61::1/64', 'dev', 'tap6'),
    );
  });

  it('radvd: prefix, router, MTU, resolver, route; its going is noticed', async () => {
    linux.run('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1');
    const config = join(folder, 'radvd.conf');
    writeFileSync(
      config,
      `interface tap6 {
        AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvLinkMTU 1400; AdvDefaultPreference high; AdvCurHopLimit 61;
        prefix fd62::/64 { AdvOnLink on; AdvAutonomous on; AdvValidLifetime 600; AdvPreferredLifetime 300; };
        route fd63::/48 { AdvRouteLifetime 600; };
        RDNSS fd61::53 { AdvRDNSSLifetime 100; };
        DNSSL example.org { AdvDNSSLLifetime 100; };
      };`,
    );
    const radvd = linux.start('radvd', '-n', '-C', config, '-p', join(folder, 'radvd.pid'), '-m', 'stderr');
    const { core } = stack;
    await until(
      'an address of the prefix',
      () => stack.addr.show('eth0').some((a) => a.address.startsWith('fd62:') && a.state === 'preferred'),
      15_000,
    );
    const eth0 = core.interfaces.named('eth0');
    assert.deepEqual([eth0?.mtu6, eth0?.hopLimit], [1_400, 61]);
    assert.deepEqual(
      core.v6.names.resolvers.map((r) => r.value.toString()),
      ['fd61::53'],
    );
    assert.deepEqual(
      core.v6.names.domains.map((r) => r.value),
      ['example.org'],
    );
    assert.deepEqual(
      core.v6.routers.list().map((r) => r.preference),
      [1],
    );
    assert(core.ip.routes.list().some((r) => r.protocol === 'ra' && r.length === 48));
    const ours = stack.addr.show('eth0').find((a) => a.address.startsWith('fd62:'))?.address as string;
    linux.run('ip', 'addr', 'add', 'fd62::2/64', 'dev', 'tap6', 'nodad');
    assert.match(await linux.exec('ping', '-6', '-c', '1', '-W', '2', ours), /1 received/);
    linux.run('ip', 'addr', 'add', 'fd99::1/128', 'dev', 'lo');
    assert.match(await linux.exec('ping', '-6', '-c', '1', '-W', '2', '-I', 'fd99::1', ours), /1 received/);
    radvd.kill('SIGTERM'); // says goodbye with lifetime 0
    await until('no router', () => core.v6.routers.list().length === 0);
  });

  it('nmap -6 by TCP, by UDP and for the system: open and closed as they are; after it the stack answers and keeps nothing', async function () {
    needs(this, 'tools:nmap');
    const nmap = (...args: string[]): Promise<string> =>
      linux.exec('timeout', '30', 'nmap', '-6', '-n', '-Pn', '--max-retries', '1', ...args, 'fd61::1');
    const tcp = await nmap('-sS', '-p', '1-200');
    assert.match(tcp, /^7\/tcp +open/m);
    assert.match(tcp, /^80\/tcp +open/m);
    assert.match(tcp, /Not shown: 198 closed/);
    assert.match(await nmap('-sU', '-p', '7,5000'), /^7\/udp +open .*\n5000\/udp +closed/m);
    assert.match(await nmap('-O', '-p', '7,80,1', '--max-os-tries', '1'), /OS detection performed|No OS matches/);
    assert.match(await linux.exec('ping', '-6', '-c', '1', '-W', '2', 'fd61::1'), /1 received/);
    const { core } = stack;
    assert.ok(((core.interfaces.named('eth0') as Interface).neighbors?.size ?? 0) <= core.ctx.sysctl.v['anystack.neighbors_max']);
    await until('no connection is half open', () => stack.ss().every(({ state }) => state !== 'SYN_RECV' && state !== 'SYN-RECEIVED'));
    await until('no packet is held', () => core.ctx.pool.held === 0);
  });

  it('tshark finds nothing malformed in what we sent', async () => {
    const file = join(folder, 'ipv6.pcapng');
    const capture = stack.capture(createWriteStream(file));
    stack.core.v6.solicitations.begin(stack.core.interfaces.named('eth0') as Interface);
    await linux.exec('ping', '-6', '-c', '1', '-s', '4000', '-W', '2', 'fd61::1');
    await linux.exec('curl', '-6', '-sS', '-m', '5', '-o', '/dev/null', 'http://[fd61::1]/');
    await linux.exec('ping', '-6', '-c', '1', '-W', '2', 'ff02::1%tap6');
    await assert.rejects(linux.exec('curl', '-6', '-sS', '-m', '5', 'http://[fd61::1]:81/'));
    capture.stop();
    await capture.done;
    assert(readFileSync(file).length > 5_000);
    assert.equal(await problems(file), '');
  });
});
