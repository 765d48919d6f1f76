import assert from 'node:assert/strict';
import { type AnyStack, createStack } from '#src/index.js';
import type { Interface } from '#src/net/interface.js';
import { makeNetns, type Netns } from '../../support/netns.js';
import { needs } from '../../support/requirements.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The attack tools of thc-ipv6 on the link, each for a few seconds. */
describe('IPv6 under attack (thc-ipv6)', function () {
  this.timeout(60_000);
  let linux: Netns;
  let stack: AnyStack;
  let eth0: Interface;
  let resting = 0;

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:ping', 'tools:atk6-implementation6', 'tools:timeout');
    linux = makeNetns('thc');
    stack = createStack({
      interfaces: { eth0: { device: { type: 'tap', name: 'tap6', netns: linux.path }, addresses: ['fd61::1/64', 'auto'] } },
      services: { echo: true },
    });
    linux.run('sysctl', '-qw', 'net.ipv6.conf.tap6.accept_dad=0');
    linux.run('ip', 'link', 'set', 'tap6', 'up');
    linux.run('ip', 'addr', 'add', 'fd61::2/64', 'dev', 'tap6', 'nodad');
    await stack.ready;
    resting = stack.core.ctx.pool.held;
    eth0 = stack.core.interfaces.named('eth0') as Interface;
  });

  after(async () => {
    await stack?.close();
    linux?.remove();
  });

  /** Runs a tool for some seconds; what it says. Its exit status is its own business. */
  const attack = (seconds: number, tool: string, ...args: string[]): Promise<string> =>
    linux.exec('sh', '-c', `timeout -k 1 ${seconds} atk6-${tool} ${args.join(' ')} 2>&1; true`);

  /** Packets held beyond what the device keeps ready: fragments, and what waits for neighbours. */
  const beyond = (): number => stack.core.ctx.pool.held - resting;

  /** The stack answers, its tables are within their bounds, and the packets are back in their pool. */
  async function unharmed(): Promise<void> {
    await sleep(300);
    linux.run('ip', 'neigh', 'flush', 'dev', 'tap6');
    assert.match(await linux.exec('ping', '-6', '-c', '3', '-i', '0.2', '-W', '3', 'fd61::1'), /[1-3] received/);
    const { core } = stack;
    const { v } = core.ctx.sysctl;
    assert.equal(core.state, 'running');
    assert.ok((eth0.neighbors?.size ?? 0) <= v['anystack.neighbors_max']);
    assert.ok(core.v6.routers.list().length <= v['anystack.ra_routers_max']);
    assert.ok(eth0.addresses.filter((a) => a.origin === 'ra').length <= v['net.ipv6.conf.all.max_addresses']);
    assert.ok(
      core.ip.routes.list().filter((r) => r.protocol === 'ra').length <=
        v['anystack.ra_routers_max'] + v['anystack.ra_routes_max'] + v['anystack.ra_prefixes_max'],
    );
    assert.ok(core.v6.redirects.size <= v['anystack.redirects_max']);
    assert.ok(core.v6.names.resolvers.length <= v['anystack.ra_resolvers_max']);
    assert.ok(eth0.addresses.some((a) => a.address.toString() === 'fd61::1' && a.state === 'preferred'));
    const fragments = v['net.ipv4.ipfrag_high_thresh'] / 2_048; // held in slots of 2 KB
    assert.ok(beyond() < fragments + 100, `${beyond()} packets held beyond what the device keeps ready`);
  }

  it('implementation6: its cases are answered as they are to be', async () => {
    const out = await attack(50, 'implementation6', 'tap6', 'fd61::1');
    await unharmed();
    assert.match(out, /Test +\d+/);
  });

  const tools: [number, string, ...string[]][] = [
    [10, 'exploit6', 'tap6', 'fd61::1'],
    [6, 'denial6', 'tap6', 'fd61::1', '1'],
    [6, 'denial6', 'tap6', 'fd61::1', '3'],
    [6, 'fuzz_ip6', '-x', '-t', '1', '-1', '-2', '-3', '-4', '-5', '-6', '-7', '-8', '-9', 'tap6', 'fd61::1'],
    [4, 'flood_router26', 'tap6'],
    [4, 'flood_router26', '-F', 'tap6'],
    [4, 'flood_advertise6', 'tap6', 'fd61::1'],
    [4, 'flood_solicitate6', 'tap6', 'fd61::1'],
    [4, 'flood_mld6', 'tap6'],
    [4, 'flood_mldrouter6', 'tap6'],
    [4, 'flood_redir6', 'tap6', 'fd61::1'],
    [4, 'ndpexhaust26', 'tap6', 'fd61::'],
    [4, 'toobig6', 'tap6', 'fd61::1', 'fd61::2', '1000'],
    [4, 'smurf6', 'tap6', 'fd61::1'],
    [4, 'rsmurf6', 'tap6', 'fd61::1'],
    [4, 'fragmentation6', '-p', 'tap6', 'fd61::1'],
    [4, 'kill_router6', 'tap6', "'*'"],
  ];
  for (const [seconds, tool, ...args] of tools) {
    it(`${tool} ${args.join(' ')}`, async () => {
      await attack(seconds, tool, ...args);
      await unharmed();
    });
  }

  it('RFC 8201 §4: a forged MTU of 1,000 was not believed', () => assert.ok(stack.core.ip.pathMtu.list().every((e) => e.mtu >= 1_280)));

  it('a new address while dos-new-ip6 claims every address: found duplicate, the others stay', async () => {
    const attacker = linux.start('atk6-dos-new-ip6', 'tap6');
    await sleep(500);
    stack.addr.add('fd61::77/64', { dev: 'eth0' });
    await sleep(3_000);
    assert.equal(stack.addr.show('eth0').find((a) => a.address === 'fd61::77')?.state, 'duplicate');
    attacker.kill();
    await unharmed();
  });

  it('when all is over no packet is held: unfinished datagrams go after a minute', async function () {
    this.timeout(90_000);
    for (const end = Date.now() + 70_000; beyond() > 20; await sleep(500)) assert.ok(Date.now() < end, `${beyond()} packets held`);
  });
});
