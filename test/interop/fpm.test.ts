import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Bench } from '../support/command.js';
import { type Counterparts, counterparts } from '../support/interop.js';
import { sleep } from '../support/until.js';

/** FRR R tells our stack by FPM what it learns from FRR S by BGP and OSPF. The stack runs in R's namespace, where zebra connects. */
describe('FPM with FRRouting', function () {
  this.timeout(120_000);
  let peers: Counterparts;
  let bench: Bench;
  let stack: ChildProcess;
  before(async function () {
    peers = counterparts(this);
    peers.scriptSync('frr/net.sh', ['up']);
    bench = new Bench();
    const file = bench.file('fpm.json', {
      interfaces: { eth0: { device: { type: 'udp' }, addresses: ['10.0.12.77/24', '2001:db8:12::77/64'] } },
      services: { fpm: { grace: 1 } },
    });
    const words = ['netns', 'exec', `${peers.prefix}R`, process.execPath, resolve('dist/cli/main.js'), 'up', file, '--json'];
    stack = spawn('ip', words, { env: { ...process.env, XDG_RUNTIME_DIR: bench.folder }, stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((ready) => stack.stdout?.once('data', ready));
  });
  after(async () => {
    if (stack === undefined) return;
    for (const name of ['R', 'S']) await peers.script('frr/frr.sh', ['stop', name]);
    stack.kill('SIGTERM');
    peers.scriptSync('frr/net.sh', ['down']);
    await bench.close();
  });

  interface Route {
    readonly to: string;
    readonly via?: string;
    readonly protocol: string;
    readonly type?: string;
  }
  const zebra = async (): Promise<Route[]> => {
    const { out, err } = await bench.run(['route', '--json']);
    assert.equal(err, '');
    return (JSON.parse(out) as Route[]).filter((r) => r.protocol === 'zebra');
  };
  /** Waits until what the engine has told holds; the routes then. */
  async function told(fact: (routes: Route[]) => boolean, seconds: number): Promise<Route[]> {
    for (let i = 0; i < seconds * 2; i++) {
      const routes = await zebra();
      if (fact(routes)) return routes;
      await sleep(500);
    }
    return zebra();
  }

  it('routes learned by BGP and OSPF come with their ways, in both families, and go when the neighbour dies', async () => {
    const conf = join(bench.folder, 'S.conf');
    const folder = process.env['ANYSTACK_INTEROP'] as string;
    const many = Array.from({ length: 2_000 }, (_, i) => `ip route 20.${i >> 8}.${i & 255}.0/24 Null0`).join('\n');
    writeFileSync(conf, `${execFileSync('cat', [`${folder}/frr/S.conf`], { encoding: 'utf8' })}\n${many}\n`);
    execFileSync('chmod', ['-R', 'a+rX', bench.folder]);
    await peers.script('frr/frr.sh', ['start', 'R', `${peers.prefix}R`, `${folder}/frr/R.conf`, 'ospfd', 'ospf6d', 'bgpd'], { FPM: '2620' });
    await peers.script('frr/frr.sh', ['start', 'S', `${peers.prefix}S`, conf, 'ospfd', 'ospf6d', 'bgpd']);
    const routes = await told((all) => all.length >= 2_000 && all.some((r) => r.to === '2001:db8:a2::/48'), 60);
    assert.ok(routes.length >= 2_000, `${routes.length} routes`);
    assert.equal(routes.find((r) => r.to === '172.16.2.0/24')?.via, '10.0.12.2');
    assert.equal(routes.find((r) => r.to === '20.7.0.0/24')?.via, '10.0.12.2');
    assert.equal(routes.find((r) => r.to === '172.16.1.0/24')?.type, 'blackhole', 'static ones of its own too');
    await peers.script('frr/frr.sh', ['stop', 'S']);
    const left = await told((all) => all.every((r) => r.via !== '10.0.12.2'), 40);
    assert.deepEqual(
      left.filter((r) => r.via !== undefined).map((r) => r.to),
      [],
    );
    await peers.script('frr/frr.sh', ['stop', 'R']);
    assert.deepEqual(await told((all) => all.length === 0, 10), [], 'the engine is gone, and its routes after their grace');
  });
});
