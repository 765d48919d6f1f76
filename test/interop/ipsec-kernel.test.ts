import assert from 'node:assert/strict';
import { createNodeHost } from '#src/hyper/node-host.js';
import { parseSuite } from '#src/net/ipsec/algorithms.js';
import { encapsulate, NAT_PORT } from '#src/net/ipsec/nat-t.js';
import type { Mode } from '#src/net/ipsec/sa.js';
import { selectorOf } from '#src/net/ipsec/selector.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import { type Counterparts, counterparts } from '../support/interop.js';
import { bound, dropsOf, route } from '../support/ipsec.js';
import { address, prefix } from '../support/stacks.js';

/** The kernel's scripts: keys count up from 00, then the salt a0a1a2a3; authentication keys count up from 30. */
const count = (first: number, n: number): number[] => Array.from({ length: n }, (_, i) => first + i);
const K16 = count(0, 16);
const K32 = [...K16, ...K16];
const SALT = [0xa0, 0xa1, 0xa2, 0xa3];
const suites: Readonly<Record<string, { suite: string; protocol?: 'ah'; keys: number[] }>> = {
  gcm128: { suite: 'aes128gcm16', keys: [...K16, ...SALT] },
  gcm256: { suite: 'aes256gcm16', keys: [...K32, ...SALT] },
  chapoly: { suite: 'chacha20poly1305', keys: [...K32, ...SALT] },
  'cbc-sha256': { suite: 'aes128-sha256', keys: [...K16, ...count(0x30, 32)] },
  'cbc-sha1': { suite: 'aes128-sha1', keys: [...K16, ...count(0x30, 20)] },
  'null-sha256': { suite: 'null-sha256', keys: count(0x30, 32) },
  'ah-sha256': { suite: 'sha256', protocol: 'ah', keys: count(0x30, 32) },
  'ah-sha1': { suite: 'sha1', protocol: 'ah', keys: [...count(0x30, 20)] },
};

interface Case {
  readonly suite: string;
  readonly mode: Mode;
  readonly esn: boolean;
  /** Outer and inner family. */
  readonly outer: 4 | 6;
  readonly inner: 4 | 6;
  readonly natt?: boolean;
}

const OUTER = { 4: ['192.0.2.1', '192.0.2.2'], 6: ['2001:db8:c::1', '2001:db8:c::2'] } as const;
const INNER = { 4: ['10.1.0.1', '10.2.0.1'], 6: ['2001:db8:1::1', '2001:db8:2::1'] } as const;

describe('ESP and AH with manual keys against the Linux kernel', function () {
  this.timeout(60_000);
  let peers: Counterparts;
  let stack: Stack;
  let failure: Error | null = null;
  const names = Object.keys(suites);

  before(async function () {
    this.timeout(120_000);
    peers = counterparts(this);
    peers.scriptSync('uml/net2.sh', ['up', 'U']);
    stack = new Stack('v', createNodeHost(), new Sysctl(), { failed: (error) => (failure = error), conflict: () => {}, link: () => {} });
    const eth0 = stack.addInterface('eth0', stack.hyper.open({ type: 'tap', name: 'tapS0', netns: `/run/netns/${peers.prefix}U` }));
    for (const text of ['192.0.2.2/24', '10.2.0.1/32']) stack.addAddress(eth0, prefix(text));
    stack.ipsec.unmatched = 'bypass'; // ESP in UDP comes to a socket of the test's own
    encapsulate(stack.ctx, stack.ipsec.inbound, bound(stack, NAT_PORT));
    route(stack, prefix('10.1.0.0/24'), address('192.0.2.1'), eth0.index, address('10.2.0.1'));
    if (stack.ip.v6 !== null) {
      for (const text of ['2001:db8:c::2/64', '2001:db8:2::1/128']) stack.addAddress(eth0, prefix(text));
      route(stack, prefix('2001:db8:1::/64'), address('2001:db8:c::1'), eth0.index, address('2001:db8:2::1'));
    }
  });
  after(() => {
    if (stack === undefined) return;
    stack.close();
    peers.scriptSync('uml/net2.sh', ['down']);
  });
  afterEach(() => {
    if (failure !== null) throw failure;
    if (stack === undefined) return;
    for (const policy of [...stack.ipsec.spd.list()]) stack.ipsec.removePolicy(policy);
    for (const sa of stack.ipsec.sas()) stack.ipsec.removeSa(sa);
  });

  const run = (c: Case): void => {
    const natt = c.natt === true ? ' in UDP' : '';
    it(`${c.suite} ${c.mode} v${c.inner} in v${c.outer}${c.esn ? ' ESN' : ''}${natt}: the kernel's pings are answered`, async () => {
      const [theirs, ours] = OUTER[c.outer];
      const [there, here] = c.mode === 'transport' ? OUTER[c.outer] : INNER[c.inner];
      const bits = c.inner === 6 ? 128 : 32;
      const { suite: name, protocol, keys } = suites[c.suite] as (typeof suites)[string];
      const selectors = [selectorOf({ address: address(here), length: bits }, { address: address(there), length: bits })];
      const policy = stack.ipsec.addPolicy({ name: 'kernel', action: 'protect', selectors });
      const common = {
        protocol: protocol ?? ('esp' as const),
        mode: c.mode,
        suite: parseSuite(name),
        keys: Uint8Array.from(keys),
        esn: c.esn,
        selectors,
        encapsulation: c.natt === true ? { localPort: 4_500, remotePort: 4_500 } : null,
      };
      const outbound = stack.ipsec.addSa({ ...common, direction: 'out', spi: 0x1002, source: address(ours), destination: address(theirs) }, policy);
      const inbound = stack.ipsec.addSa({ ...common, direction: 'in', spi: 0x1001, source: address(theirs), destination: address(ours) });
      await peers.script(
        'uml/sa.sh',
        ['U', theirs, ours, there, here, c.mode, c.suite, ...(c.esn ? ['esn'] : [])],
        c.natt === true ? { NATT: 'yes' } : {},
      );
      const via =
        c.mode === 'transport'
          ? ''
          : `ip route replace ${c.inner === 6 ? '2001:db8:2::/64' : '10.2.0.0/24'} ${c.inner === c.outer ? `via ${ours}` : 'dev vec0'} src ${there}; `;
      const out = await peers.script('uml/uml.sh', [
        'exec',
        'U',
        `${via}for s in 0 1 56 1300 3000; do for n in 1 2 3; do ping -c 2 -i 0.05 -W 1 -s $s -I ${there} ${here} | grep -q ' 2 received' && echo answered $s && break; done; done; cat /proc/net/xfrm_stat | grep -v '\\s0$'`,
      ]);
      // A busy machine's guest loses frames of its own: each length has three tries.
      const answered = [...out.matchAll(/answered (\d+)/g)].map((m) => Number(m[1]));
      assert.deepEqual(answered, [0, 1, 56, 1_300, 3_000], `${out}\n${JSON.stringify([dropsOf(stack), inbound.packets, outbound.packets])}`);
      assert.ok(inbound.packets >= 10 && outbound.packets >= 10);
    });
  };
  for (const suite of names)
    for (const mode of ['tunnel', 'transport'] as const) for (const esn of [false, true]) run({ suite, mode, esn, outer: 4, inner: 4 });
  for (const suite of names) for (const mode of ['tunnel', 'transport'] as const) run({ suite, mode, esn: suite === 'gcm128', outer: 6, inner: 6 });
  for (const suite of ['gcm128', 'cbc-sha256', 'chapoly']) run({ suite, mode: 'tunnel', esn: false, outer: 4, inner: 4, natt: true });
});
