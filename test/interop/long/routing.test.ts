import assert from 'node:assert/strict';
import { type AnyStack, createStack } from '#src/index.js';
import { makeNetns, type Netns } from '../../support/netns.js';
import { needs } from '../../support/requirements.js';
import { Bird, Frr } from '../../support/routing.js';

const ROUTES = 100_000;
const ZEBRA = 'fpm address 169.254.62.1 port 2620';

/** Waits for what protocols do in their own time. */
async function becomes(what: string, seconds: number, fact: () => boolean | Promise<boolean>): Promise<void> {
  const from = performance.now();
  for (; performance.now() - from < 1_000 * seconds; await new Promise((resolve) => setTimeout(resolve, 100))) if (await fact()) return;
  assert.fail(`${what}: not within ${seconds} s`);
}

/** The n-th of many prefixes: 20.0.0.0/28, 20.0.0.16/28 and so on. */
const prefix = (n: number): string => `${20 + ((n * 16) >>> 24)}.${((n * 16) >>> 16) & 255}.${((n * 16) >>> 8) & 255}.${(n * 16) & 255}/28`;

/**
 * Linux 10.62.3.2 – TAP – our gateway – TAP – BIRD 10.62.2.2 with 100,000 networks behind it. Beside the gateway FRRouting, which sees the two ports
 * by mirrors and tells what it learns by FPM, over a TAP of its own.
 */
describe('routing by FRRouting beside the stack', function () {
  this.timeout(120_000);
  let far: Netns;
  let home: Netns;
  let engine: Netns;
  let gateway: AnyStack;
  let frr: Frr;
  let bird: Bird | null = null;

  /** Prefixes in the table beside those of our addresses: without making an object for each, which would starve the keepalives. */
  const own = { 4: 3, 6: 2 } as const;
  const learned = (family: 4 | 6 = 4): number =>
    gateway.core.ip.routes.statistics().reduce((sum, t) => sum + (t.family === family ? t.routes : 0), 0) - own[family];
  const via = (address: string): string | null => {
    try {
      return gateway.route.get(address).via;
    } catch {
      return null;
    }
  };
  const startBird = (): Bird =>
    new Bird(
      far,
      `router id 10.255.0.2;
protocol device { scan time 1; }
protocol direct { ipv4; ipv6; interface "lo", "wan"; }
protocol static many { ipv4; ${Array.from({ length: ROUTES }, (_, i) => `route ${prefix(i)} blackhole;`).join('\n')} }
protocol static six { ipv6; route 2001:db8:b2::/48 blackhole; }
protocol ospf v2 o4 { ipv4 { import all; export where source = RTS_DEVICE; }; area 0 { interface "wan" { type ptp; hello 1; dead 4; }; interface "lo" { stub; }; }; }
protocol ospf v3 o6 { ipv6 { import all; export where source = RTS_DEVICE; }; area 0 { interface "wan" { type ptp; hello 1; dead 4; }; interface "lo" { stub; }; }; }
protocol bgp b4 { local 10.62.2.2 as 65002; neighbor 10.62.2.1 as 65001; connect retry time 1; hold time 6; ipv4 { import all; export where source = RTS_STATIC; next hop self; }; }
protocol bgp b6 { local 2001:db8:62::2 as 65002; neighbor 2001:db8:62::1 as 65001; connect retry time 1; hold time 6; ipv6 { import all; export where source = RTS_STATIC; next hop self; }; }
`,
    );

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:ping', 'tools:vtysh', 'tools:bird');
    far = makeNetns('far');
    home = makeNetns('home');
    engine = makeNetns('engine');
    engine.run('sysctl', '-q', 'net.ipv6.conf.default.accept_ra=0', 'net.ipv4.ip_forward=0');
    gateway = createStack({
      name: 'gateway',
      interfaces: {
        wan: {
          device: { type: 'tap', name: 'wan', netns: far.path, hostAddress: ['10.62.2.2/24', '2001:db8:62::2/64'] },
          addresses: ['10.62.2.1/24', '2001:db8:62::1/64'],
        },
        lan: { device: { type: 'tap', name: 'lan', netns: home.path, hostAddress: '10.62.3.2/24' }, addresses: ['10.62.3.1/24'] },
        'frr-wan': { device: { type: 'tap', name: 'wan', netns: engine.path }, mirrors: 'wan' },
        'frr-lan': { device: { type: 'tap', name: 'lan', netns: engine.path }, mirrors: 'lan' },
        fpm0: { device: { type: 'tap', name: 'fpm0', netns: engine.path, hostAddress: '169.254.62.2/30' }, addresses: ['169.254.62.1/30'] },
      },
      sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1, 'net.ipv6.conf.all.dad_transmits': 0 },
      services: { fpm: { on: 'stack', interfaces: ['fpm0'], grace: 10 } },
    });
    await gateway.ready;
    home.run('ip', 'route', 'add', 'default', 'via', '10.62.3.1');
    far.run('ip', 'address', 'add', '20.0.0.1/32', 'dev', 'lo');
    far.run('ip', 'route', 'add', '10.62.3.0/24', 'via', '10.62.2.1');
    frr = new Frr(engine);
    frr.start('zebra', `${ZEBRA}\n`, '-M', 'dplane_fpm_nl');
    await becomes('zebra', 20, async () => (await frr.ask('show interface wan')).includes('10.62.2.1/24'));
    frr.start(
      'ospfd',
      'interface wan\n ip ospf area 0\n ip ospf hello-interval 1\n ip ospf dead-interval 4\n ip ospf network point-to-point\nrouter ospf\n ospf router-id 10.255.0.1\n',
    );
    frr.start(
      'ospf6d',
      'interface wan\n ipv6 ospf6 area 0\n ipv6 ospf6 hello-interval 1\n ipv6 ospf6 dead-interval 4\n ipv6 ospf6 network point-to-point\nrouter ospf6\n ospf6 router-id 10.255.0.1\n',
    );
    frr.start(
      'bgpd',
      'router bgp 65001\n bgp router-id 10.255.0.1\n no bgp ebgp-requires-policy\n timers bgp 2 6\n neighbor 10.62.2.2 remote-as 65002\n neighbor 10.62.2.2 timers connect 1\n' +
        ' neighbor 2001:db8:62::2 remote-as 65002\n neighbor 2001:db8:62::2 timers connect 1\n' +
        ' address-family ipv4 unicast\n  no neighbor 2001:db8:62::2 activate\n exit-address-family\n' +
        ' address-family ipv6 unicast\n  neighbor 2001:db8:62::2 activate\n exit-address-family\n',
    );
  });

  after(async () => {
    bird?.close();
    frr?.close();
    await gateway?.close();
    for (const ns of [far, home, engine]) ns?.remove();
  });

  it('the ports look the same to it: addresses of both families, station address, MTU, state', async () => {
    const shown = engine.run('ip', 'address', 'show', 'wan');
    const { mac } = gateway.link.show('wan')[0] as { mac: string };
    assert.match(shown, new RegExp(`link/ether ${mac} `));
    assert.match(shown, /inet 10\.62\.2\.1\/24/);
    assert.match(shown, /inet6 2001:db8:62::1\/64/);
    assert.deepEqual(shown.match(/inet6 fe80::\S+/g), [`inet6 ${gateway.addr.show('wan').find((a) => a.address.startsWith('fe80'))?.address}/64`]);
    gateway.link.set('wan', { mtu: 1_400 });
    assert.match(engine.run('ip', 'link', 'show', 'wan'), /mtu 1400/);
    gateway.link.set('wan', { mtu: 1_500, up: false });
    assert.match(engine.run('ip', 'link', 'show', 'wan'), /NO-CARRIER.*mtu 1500/);
    gateway.link.set('wan', { up: true });
    assert.match(engine.run('ip', 'link', 'show', 'wan'), /LOWER_UP/);
    gateway.addr.add('10.62.9.1/24', { dev: 'wan' });
    assert.match(engine.run('ip', 'address', 'show', 'wan'), /10\.62\.9\.1\/24/);
    gateway.addr.del('10.62.9.1/24', { dev: 'wan' });
    assert.doesNotMatch(engine.run('ip', 'address', 'show', 'wan'), /10\.62\.9\.1/);
  });

  it('several ways of one route: as a group of next hops, and in the route itself', async () => {
    const ways = (): number => (via('198.51.100.1') === null ? 0 : (gateway.route.get('198.51.100.1').ways ?? 1));
    const multipath = ['10.62.2.2', '10.62.3.2'].map((hop) => `ip route 198.51.100.0/24 ${hop}\n`).join('');
    frr.start('staticd', multipath);
    await becomes('two ways', 20, () => ways() === 2);
    await frr.ask('configure terminal', 'no fpm use-next-hop-groups'); // zebra comes again
    frr.kill('staticd');
    await becomes('none', 30, () => ways() === 0);
    frr.start('staticd', multipath);
    await becomes('two ways without groups', 20, () => ways() === 2);
    frr.kill('staticd');
    await becomes('none again', 30, () => ways() === 0);
    await frr.ask('configure terminal', 'fpm use-next-hop-groups');
  });

  it('OSPF neighbours of both families, and 100,000 routes of BGP, by which we forward', async () => {
    bird = startBird();
    await becomes('OSPF', 30, async () => /Full/.test(await frr.ask('show ip ospf neighbor')));
    await becomes('OSPFv3', 30, async () => /Full/.test(await frr.ask('show ipv6 ospf6 neighbor')));
    await becomes('routes of BGP', 60, () => learned() >= ROUTES && learned(6) >= 1);
    assert.equal(via('20.0.0.1'), '10.62.2.2');
    assert.match(await home.exec('ping', '-c', '3', '-i', '0.1', '-W', '2', '20.0.0.1'), / 3 received/);
  });

  it('zebra comes again: we forward by what it told until it has told it again, and what it no longer knows goes', async () => {
    frr.start('staticd', 'ip route 198.51.100.0/24 10.62.2.2\n');
    await becomes('a static route', 20, () => via('198.51.100.1') === '10.62.2.2');
    await frr.ask('configure terminal', 'no fpm address');
    frr.kill('staticd');
    await becomes('zebra without the static route', 20, async () => (await frr.ask('show ip route 198.51.100.0/24')).includes('not in table'));
    assert.equal(via('198.51.100.1'), '10.62.2.2', 'nobody has told us');
    await frr.ask('configure terminal', ZEBRA);
    let least = learned();
    await becomes('the static route gone', 60, () => {
      least = Math.min(least, learned());
      return via('198.51.100.1') === null;
    });
    assert.ok(Math.min(least, learned()) >= ROUTES, `never fewer than ${ROUTES} routes, but ${least}`);
    assert.match(await home.exec('ping', '-c', '3', '-i', '0.1', '-W', '2', '20.0.0.1'), / 3 received/);
  });

  it('the neighbour dies without a word: its routes go when its hold time is over', async () => {
    bird?.process.kill('SIGSTOP');
    await becomes('all gone', 30, () => learned() === 0 && learned(6) === 0);
  });
});

/** FRRouting beside the stack and FRRouting on the other end of the cable: what BIRD has not, and what goes without addresses. */
describe('routing by FRRouting: IS-IS, BGP without addresses, BFD', function () {
  this.timeout(120_000);
  let far: Netns;
  let home: Netns;
  let engine: Netns;
  let gateway: AnyStack;
  const frrs: Frr[] = [];

  const via = (address: string): string | null => {
    try {
      return gateway.route.get(address).via;
    } catch {
      return null;
    }
  };

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:ping', 'tools:vtysh', 'tools:nft');
    far = makeNetns('far');
    home = makeNetns('home');
    engine = makeNetns('engine');
    for (const ns of [far, engine]) ns.run('sysctl', '-q', 'net.ipv6.conf.default.accept_ra=0');
    gateway = createStack({
      name: 'gateway',
      interfaces: {
        wan: { device: { type: 'tap', name: 'wan', netns: far.path, hostAddress: '10.63.2.2/24' }, addresses: ['10.63.2.1/24'] },
        lan: { device: { type: 'tap', name: 'lan', netns: home.path, hostAddress: '10.63.3.2/24' }, addresses: ['10.63.3.1/24'] },
        'frr-wan': { device: { type: 'tap', name: 'wan', netns: engine.path }, mirrors: 'wan' },
        fpm0: { device: { type: 'tap', name: 'fpm0', netns: engine.path, hostAddress: '169.254.63.2/30' }, addresses: ['169.254.63.1/30'] },
      },
      sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1, 'net.ipv6.conf.all.dad_transmits': 0 },
      services: { fpm: { on: 'stack', interfaces: ['fpm0'] } },
    });
    await gateway.ready;
    home.run('ip', 'route', 'add', 'default', 'via', '10.63.3.1');
    for (const n of [1, 2]) far.run('ip', 'address', 'add', `203.0.113.${n}/32`, 'dev', 'lo');
    far.run('ip', 'route', 'add', '10.63.3.0/24', 'via', '10.63.2.1');
    for (const [i, ns] of [engine, far].entries()) {
      const frr = new Frr(ns);
      frrs.push(frr);
      const flags = i === 0 ? ['-M', 'dplane_fpm_nl'] : [];
      frr.start('zebra', i === 0 ? 'fpm address 169.254.63.1 port 2620\n' : '', ...flags);
      await becomes('zebra', 20, async () => (await frr.ask('show interface wan')).includes(`10.63.2.${i + 1}/24`));
      const circuit = 'interface wan\n ip router isis x\n isis network point-to-point\n isis hello-interval 1\n';
      const area = `router isis x\n net 49.0001.0000.0000.000${i + 1}.00\n is-type level-2-only\n lsp-gen-interval 1\n spf-interval 1\n`;
      frr.start('isisd', `${circuit}${i === 0 ? '' : 'interface lo\n ip router isis x\n isis passive\n'}${area}`);
      frr.start('bfdd', '');
      const unnumbered = ' neighbor wan interface remote-as external\n neighbor wan bfd\n neighbor wan timers connect 1\n';
      frr.start(
        'bgpd',
        `router bgp ${65_001 + i}\n bgp router-id 10.255.0.${i + 1}\n no bgp ebgp-requires-policy\n${unnumbered}` +
          ` address-family ipv4 unicast\n network 203.0.113.2/32\n exit-address-family\n`,
      );
    }
  });

  after(async () => {
    for (const frr of frrs) frr.close();
    await gateway?.close();
    for (const ns of [far, home, engine]) ns?.remove();
  });

  it('each brings its route, BGP’s by an IPv6 next hop, and packets go by them', async () => {
    await becomes('IS-IS', 60, () => via('203.0.113.1') === '10.63.2.2');
    await becomes('BGP', 60, () => via('203.0.113.2')?.startsWith('fe80::') ?? false);
    for (const n of [1, 2]) assert.match(await home.exec('ping', '-c', '2', '-i', '0.1', '-W', '2', `203.0.113.${n}`), / 2 received/);
  });

  it('BFD: a neighbour that falls silent is gone long before its hold time of 180 s, and its routes with it', async () => {
    await becomes('BFD', 30, async () => /\bup\b/.test((await frrs[0]?.ask('show bfd peers brief')) ?? ''));
    far.run('nft', 'table inet silence { chain out { type filter hook output priority 0; policy drop; }; }');
    await becomes('its route gone, and that of IS-IS in its place', 30, () => via('203.0.113.2') === '10.63.2.2');
  });

  it('the cable: without carrier at the port the engine’s interface has none, and all routes go', async () => {
    far.run('ip', 'link', 'set', 'wan', 'down');
    await becomes('all gone', 30, () => [1, 2].every((n) => via(`203.0.113.${n}`) === null));
    assert.match(engine.run('ip', 'link', 'show', 'wan'), /NO-CARRIER/);
  });
});
