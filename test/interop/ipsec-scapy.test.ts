import assert from 'node:assert/strict';
import { createNodeHost } from '#src/hyper/node-host.js';
import { parseSuite } from '#src/net/ipsec/algorithms.js';
import type { Mode } from '#src/net/ipsec/sa.js';
import { selectorOf } from '#src/net/ipsec/selector.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import { counterparts } from '../support/interop.js';
import { dropsOf, route } from '../support/ipsec.js';
import { makeNetns, type Netns } from '../support/netns.js';
import { needs } from '../support/requirements.js';
import { address, prefix } from '../support/stacks.js';

const count = (from: number, n: number): number[] => Array.from({ length: n }, (_, i) => from + i);
const salt = [0xa0, 0xa1, 0xa2, 0xa3];

/** Its names and keys: the cipher's count up from 00 and begin anew at 16, authentication's from 30. */
const suites: Readonly<Record<string, { suite: string; ah?: true; keys: number[] }>> = {
  gcm128: { suite: 'aes128gcm16', keys: [...count(0, 16), ...salt] },
  'ctr-sha256': { suite: 'aes128ctr-sha256', keys: [...count(0, 16), ...salt, ...count(0x30, 32)] },
  gcm256: { suite: 'aes256gcm16', keys: [...count(0, 16), ...count(0, 16), ...salt] },
  chapoly: { suite: 'chacha20poly1305', keys: [...count(0, 16), ...count(0, 16), ...salt] },
  'cbc-sha256': { suite: 'aes128-sha256', keys: [...count(0, 16), ...count(0x30, 32)] },
  'null-sha256': { suite: 'null-sha256', keys: count(0x30, 32) },
  'ah-sha256': { suite: 'sha256', ah: true, keys: count(0x30, 32) },
  'ah-sha1': { suite: 'sha1', ah: true, keys: count(0x30, 20) },
};

describe('ESP and AH against scapy', function () {
  this.timeout(60_000);
  let ns: Netns;
  let stack: Stack;
  let failure: Error | null = null;

  before(function () {
    counterparts(this);
    needs(this, 'tap', 'netns', 'tools:/usr/bin/python3');
    ns = makeNetns('scapy');
    stack = new Stack('scapy', createNodeHost(), new Sysctl(), { failed: (error) => (failure = error), conflict: () => {}, link: () => {} });
    const eth0 = stack.addInterface('eth0', stack.hyper.open({ type: 'tap', name: 'tps', netns: ns.path, offload: false }));
    for (const text of ['192.0.2.2/24', '10.2.0.1/32']) stack.addAddress(eth0, prefix(text));
    route(stack, prefix('10.1.0.0/24'), address('192.0.2.1'), eth0.index, address('10.2.0.1'));
  });
  after(() => {
    stack?.close();
    ns?.remove();
  });
  afterEach(() => {
    if (failure !== null) throw failure;
    for (const policy of [...(stack?.ipsec.spd.list() ?? [])]) stack.ipsec.removePolicy(policy);
    for (const sa of stack?.ipsec.sas() ?? []) stack.ipsec.removeSa(sa);
  });

  /** Echo requests of scapy's that were answered, of four. */
  async function pings(name: string, mode: Mode, esn: boolean, ...more: string[]): Promise<number> {
    const { suite, ah, keys } = suites[name] as (typeof suites)[string];
    const [there, here] = mode === 'tunnel' ? ['10.1.0.1', '10.2.0.1'] : ['192.0.2.1', '192.0.2.2'];
    const selectors = [selectorOf(prefix(`${here}/32`), prefix(`${there}/32`))];
    const policy = stack.ipsec.addPolicy({ name: 'scapy', action: 'protect', selectors });
    const common = { protocol: ah === true ? ('ah' as const) : ('esp' as const), mode, suite: parseSuite(suite), keys: Uint8Array.from(keys), esn };
    stack.ipsec.addSa({ ...common, direction: 'out', spi: 0x1002, source: address('192.0.2.2'), destination: address('192.0.2.1') }, policy);
    stack.ipsec.addSa({ ...common, direction: 'in', spi: 0x1001, source: address('192.0.2.1'), destination: address('192.0.2.2') });
    const peer = `/usr/bin/python3 ${process.env['ANYSTACK_INTEROP']}/esp/esp_peer.py --iface tps --suite ${name} --mode ${mode} --ip 192.0.2.1 --peer 192.0.2.2`;
    const options = `--inner 10.1.0.1 --dst ${here} --ping 4 --spi-out 4097 --spi-in 4098 ${esn ? '--esn' : ''} ${more.join(' ')}`;
    const out = await ns.exec('sh', '-c', `${peer} ${options} || true`);
    const stats = /\{"stats": .*\}/.exec(out)?.[0];
    assert(stats !== undefined, out);
    return (JSON.parse(stats) as { stats: { replies: number } }).stats.replies;
  }

  for (const name of Object.keys(suites))
    for (const mode of ['tunnel', 'transport'] as const)
      it(`${name} in ${mode} mode: its pings are answered`, async () => {
        assert.equal(await pings(name, mode, false), 4, JSON.stringify(dropsOf(stack)));
      });

  it('with extended sequence numbers', async () => {
    assert.equal(await pings('gcm128', 'tunnel', true), 4, JSON.stringify(dropsOf(stack)));
  });

  for (const [evil, reason] of [
    ['replay', 'IpsecReplay'],
    ['badicv', 'IpsecBadIcv'],
    ['badspi', 'IpsecUnknownSpi'],
    ['oldseq', 'IpsecReplay'],
  ] as const)
    it(`${evil}: only the first is answered, the others are ${reason}`, async () => {
      const before = dropsOf(stack)[reason] ?? 0;
      assert.equal(await pings('gcm128', 'tunnel', false, '--evil', evil), 1);
      assert((dropsOf(stack)[reason] ?? 0) >= before + 3, JSON.stringify(dropsOf(stack)));
    });

  it('a jump of a million sequence numbers is none of these', async () => {
    assert.equal(await pings('gcm128', 'tunnel', false, '--evil', 'jump'), 4);
  });
});
