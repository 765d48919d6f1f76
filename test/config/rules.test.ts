import assert from 'node:assert/strict';
import type { FlowSpec } from '#src/api/route.js';
import type { Config } from '#src/config/config.js';
import type { MemoryDevice } from '#src/hyper/memory-link.js';
import { type AnyStack, createStack, memoryLink } from '#src/index.js';

describe('policy rules', () => {
  let stack: AnyStack;
  let a: MemoryDevice;
  let b: MemoryDevice;
  const config = (rules: Config['rules']): Config => ({
    interfaces: { eth0: { device: a, addresses: ['10.0.0.1/24'] }, eth1: { device: b, addresses: ['10.1.0.1/24'] } },
    routes: [
      { to: 'default', via: '10.0.0.9' },
      { to: 'default', via: '10.1.0.9', table: 20 },
    ],
    ...(rules === undefined ? {} : { rules }),
  });
  beforeEach(() => {
    [a, b] = [memoryLink(), memoryLink()].map(([near, far]) => {
      far.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
      return near;
    }) as [MemoryDevice, MemoryDevice];
    stack = createStack(
      config([
        { priority: 100, from: '10.1.0.0/24', table: 20 },
        { priority: 200, to: '192.0.2.0/24', type: 'prohibit' },
        { priority: 300, proto: 17, dport: '5000-5010', iif: 'eth0', table: 20 },
      ]),
    );
  });
  afterEach(() => stack.close());
  const explained = (rule: number | undefined, of: FlowSpec): void => assert.equal(stack.route.get('198.51.100.1', of).rule, rule);

  it('choose the table, or the end, of what meets all their conditions', () => {
    explained(100, { src: '10.1.0.1' });
    explained(undefined, { src: '10.0.0.1' });
    explained(300, { proto: 17, dport: 5_005, iif: 'eth0' });
    explained(undefined, { proto: 17, dport: 5_011, iif: 'eth0' });
    explained(undefined, { proto: 6, dport: 5_005, iif: 'eth0' });
    assert.throws(() => stack.route.get('192.0.2.7'), { code: 'EACCES' });
  });

  it('show, add and del; without a priority a rule stands before all others', () => {
    stack.rule.add({ from: '10.7.0.0/16', mark: 0xffffffff, mask: 0xff, sport: '80', tos: 8, oif: 'eth1', table: 20 });
    assert.deepEqual(stack.rule.show()[0], {
      priority: 99,
      from: '10.7.0.0/16',
      oif: 'eth1',
      mark: 0xffffffff,
      mask: 255,
      sport: '80',
      tos: 8,
      table: 20,
    });
    assert.deepEqual(stack.rule.show().at(-1), { priority: 32_766, table: 254 });
    stack.rule.del({ priority: 99 });
    stack.rule.del({ to: '192.0.2.0/24', type: 'prohibit' });
    assert.deepEqual(
      stack.rule.show().map((r) => r.priority),
      [100, 300, 32_766],
    );
    assert.throws(() => stack.rule.del({ priority: 99 }), { code: 'ENOENT' });
    assert.throws(() => stack.rule.add({ priority: 100, from: '10.1.0.0/24', table: 20 }), { code: 'EEXIST' });
    for (const spec of [
      {},
      { table: 1, type: 'prohibit' as const },
      { from: 'x', table: 1 },
      { dport: '9-8', table: 1 },
      { dport: '70000', table: 1 },
    ]) {
      assert.throws(() => stack.rule.add(spec), { code: 'EINVAL' });
    }
    assert.throws(() => stack.rule.add({ iif: 'eth9', table: 1 }), { code: 'ENODEV' });
  });

  it('a reload applies the difference; what live changes put there stays', () => {
    stack.rule.add({ priority: 50, mark: 1, table: 20 });
    stack.reload(config([{ priority: 100, from: '10.1.0.0/24', table: 20 }]));
    assert.deepEqual(
      stack.rule.show().map((r) => r.priority),
      [50, 100, 32_766],
    );
    stack.reload(config(undefined));
    assert.deepEqual(
      stack.rule.show().map((r) => r.priority),
      [50, 32_766],
    );
  });

  it('rules that make no sense are refused with their place', () => {
    for (const [rule, sentence] of [
      [{ priority: 1 }, /rules\[0\] has either 'table' or 'type'/],
      [{ priority: 1, from: '10.0.0.0/33', table: 1 }, /rules\[0\]\.from '10\.0\.0\.0\/33' is no prefix/],
      [{ priority: 1, iif: 'eth7', table: 1 }, /rules\[0\]\.iif 'eth7' is no interface; did you mean/],
      [{ priority: 1, dport: 'http', table: 1 }, /rules\[0\]\.dport "http" is not destination port: a port, or a range/],
    ] as const) {
      assert.throws(() => stack.reload(config([rule])), sentence);
    }
  });
});
