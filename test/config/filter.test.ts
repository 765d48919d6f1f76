import assert from 'node:assert/strict';
import { type Config, checkConfig } from '#src/config/config.js';
import { createStack, memoryLink } from '#src/index.js';

const eth0 = { device: { type: 'memory' }, addresses: ['10.0.0.1/24'] };
const filter = (rule: object): unknown => ({
  interfaces: { eth0: { ...eth0, device: memoryLink()[0] } },
  filter: { chains: [{ name: 'in', hook: 'input', rules: [rule] }] },
});

describe('configuration: filter', () => {
  const wrong: [string, object, RegExp][] = [
    ['no verdict', { protocol: 'tcp' }, /filter\.chains\[0\]\.rules\[0\] needs exactly one of verdict/],
    ['two verdicts', { verdict: 'drop', jump: 'x' }, /not verdict and jump/],
    ['an unknown key', { verdict: 'drop', dports: 80 }, /rules\[0\].*dports.*dport/],
    ['a prefix that is none', { saddr: '10.0.0.0/33', verdict: 'drop' }, /rules\[0\]\.saddr.*10\.0\.0\.0\/33/],
    ['a member of a set', { daddr: ['10.0.0.0/8', 'x'], verdict: 'drop' }, /daddr\[1\]/],
    ['a range the wrong way round', { dport: '90-80', verdict: 'drop' }, /dport.*90-80/],
    ['an interface that is not there', { iif: 'eth1', verdict: 'drop' }, /eth1.*eth0/],
    ['a jump to nowhere', { jump: 'im' }, /jump.*'im' is no chain.*in/],
    ['an address with a bad port', { dnat: '10.0.0.2:http' }, /dnat/],
  ];
  for (const [what, rule, sentence] of wrong) {
    it(`${what}: one sentence with the place`, () => assert.throws(() => checkConfig(filter(rule)), sentence));
  }

  it('rules are set, replaced by reload, and shown with their counters', async () => {
    const config = filter({ protocol: 'udp', dport: '1-99', saddr: ['10.0.0.0/8', 'fd00::/8'], verdict: 'drop', comment: 'small ports' }) as Config;
    const stack = createStack(config);
    try {
      assert.deepEqual(stack.filter.show(), [
        { name: 'in', hook: 'input', policy: 'accept', rules: [{ verdict: 'drop', comment: 'small ports', packets: 0, octets: 0 }] },
      ]);
      stack.reload({ ...config, filter: { chains: [] } });
      assert.deepEqual(stack.filter.show(), []);
      assert.equal(stack.core.ip.hooks.input, null, 'without rules the hooks are null');
    } finally {
      await stack.close();
    }
  });
});
