import assert from 'node:assert/strict';
import type { InterfaceConfig } from '#src/config/config.js';
import { type AnyStack, createStack } from '#src/index.js';
import { type Counterparts, counterparts } from '../../support/interop.js';

/** One tunnel: ours, and how the kernel makes its end of it. Inside are 10.9.0.1 and 2001:db8:9::1 (the kernel), .2 and ::2. */
interface Case {
  readonly title: string;
  readonly ours: Pick<InterfaceConfig, 'tunnel' | 'vlan'>;
  readonly theirs: string;
  /** Families it carries. Default both. */
  readonly carries?: readonly (4 | 6)[];
}

const ENDS4 = 'local 192.0.2.1 remote 192.0.2.2';
const ENDS6 = 'local 2001:db8:c::1 remote 2001:db8:c::2';
const four = { local: '192.0.2.2', remote: '192.0.2.1' };
const six = { local: '2001:db8:c::2', remote: '2001:db8:c::1' };

const cases: readonly Case[] = [
  { title: 'GRE over IPv4 (RFC 2784)', ours: { tunnel: { type: 'gre', ...four } }, theirs: `ip link add t0 type gre ${ENDS4}` },
  {
    title: 'GRE with key, checksum and sequence (RFC 2890)',
    ours: { tunnel: { type: 'gre', ...four, key: 77, checksum: true, sequence: true } },
    theirs: `ip link add t0 type gre ${ENDS4} key 77 csum seq`,
  },
  { title: 'GRE over IPv6 (RFC 7676)', ours: { tunnel: { type: 'gre', ...six } }, theirs: `ip link add t0 type ip6gre ${ENDS6}` },
  {
    title: 'VXLAN over IPv4 (RFC 7348)',
    ours: { tunnel: { type: 'vxlan', ...four, id: 42 } },
    theirs: `ip link add t0 type vxlan id 42 ${ENDS4} dstport 4789`,
  },
  { title: 'VXLAN over IPv6', ours: { tunnel: { type: 'vxlan', ...six, id: 43 } }, theirs: `ip link add t0 type vxlan id 43 ${ENDS6} dstport 4789` },
  { title: 'IPv4 in IPv4 (RFC 2003)', ours: { tunnel: { type: 'ip', ...four } }, theirs: `ip link add t0 type ipip ${ENDS4}`, carries: [4] },
  { title: 'IPv6 in IPv4 (RFC 4213)', ours: { tunnel: { type: 'ip', ...four } }, theirs: `ip link add t0 type sit ${ENDS4}`, carries: [6] },
  { title: 'both in IPv6 (RFC 2473)', ours: { tunnel: { type: 'ip', ...six } }, theirs: `ip link add t0 type ip6tnl mode any ${ENDS6}` },
  { title: 'a VLAN (IEEE 802.1Q)', ours: { vlan: { parent: 'eth0', id: 100 } }, theirs: 'ip link add link vec0 name t0 type vlan id 100' },
];

/** Our stack, 192.0.2.2 – bridge – a Linux kernel as a process, 192.0.2.1. */
describe('tunnels with the Linux kernel', function () {
  this.timeout(60_000);
  let peers: Counterparts;
  let stack: AnyStack | null = null;
  const inside = (command: string): Promise<string> => peers.script('uml/uml.sh', ['exec', 'U', command]);

  before(function () {
    this.timeout(120_000);
    peers = counterparts(this);
    peers.scriptSync('uml/net2.sh', ['up', 'U']);
  });
  after(() => {
    if (peers !== undefined) peers.scriptSync('uml/net2.sh', ['down']);
  });
  afterEach(async () => {
    await stack?.close();
    stack = null;
    await inside('ip link del t0; ip neigh flush all; ip -6 neigh flush all');
  });

  for (const { title, ours, theirs, carries = [4, 6] } of cases)
    it(`${title}: pings of every size, TCP and UDP pass both ways`, async () => {
      stack = createStack({
        name: 'far',
        services: { echo: true },
        interfaces: {
          eth0: { device: { type: 'tap', name: 'tapS0', netns: `/run/netns/${peers.prefix}U` }, addresses: ['192.0.2.2/24', '2001:db8:c::2/64'] },
          t0: { ...ours, addresses: ['10.9.0.2/24', '2001:db8:9::2/64'] },
        },
      });
      await stack.ready;
      const kind = / type (\w+)/.exec(theirs)?.[1] ?? '';
      const module = { gre: 'ip_gre', ip6gre: 'ip6_gre', ip6tnl: 'ip6_tunnel', vlan: '8021q' }[kind] ?? kind;
      const made = await inside(
        `/run/modprobe ${module}; ${theirs} && ip addr add 10.9.0.1/24 dev t0 && ip addr add 2001:db8:9::1/64 dev t0 nodad && ip link set t0 up && echo made`,
      );
      assert.match(made, /made/);
      for (const family of carries) {
        const [their, our] = family === 4 ? ['10.9.0.1', '10.9.0.2'] : ['2001:db8:9::1', '2001:db8:9::2'];
        for (const size of [56, 1_200, 4_000]) {
          const said = await inside(`ping -${family} -c 3 -i 0.2 -W 3 -s ${size} ${our}`);
          assert(/ [23] received/.test(said), `IPv${family}, ${size} octets: ${said}${JSON.stringify(stack.core.ctx.counters.dropped())}`);
        }
        // TCP and UDP too: the kernel leaves their checksums, within the tunnel, to whoever reads its TAP.
        const echo = await inside(`bash -c 'for p in tcp udp; do exec 3<>/dev/$p/${our}/7; echo over $p >&3; timeout 5 head -n 1 <&3; done'`);
        assert.equal(echo, 'over tcp\nover udp\n', `IPv${family}`);
        const run = stack.ping(their, { count: 2, interval: 200, size: 1_000 }, () => {});
        assert.equal((await run.done).received, 2, `IPv${family}, from us`);
      }
      assert.equal(stack.core.ctx.counters.dropped()['TunnelUnknown'] ?? 0, 0);
    });
});
