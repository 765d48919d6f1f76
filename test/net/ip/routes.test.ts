import assert from 'node:assert/strict';
import { Flow } from '#src/net/ip/path.js';
import { type Hop, MAIN_TABLE, type Route } from '#src/net/ip/route.js';
import { Routes } from '#src/net/ip/routes.js';
import { address, prefix } from '../../support/stacks.js';

const down = new Set<number>();
const make = (): Routes => new Routes({ running: (index) => !down.has(index) });

function route(to: string, index: number, extra: Partial<Route> = {}): Route {
  const { address: at, length } = prefix(to);
  return {
    family: at.isV4 ? 4 : 6,
    prefix: at,
    length,
    type: 'unicast',
    index,
    gateway: null,
    source: null,
    metric: 0,
    mtu: 0,
    table: MAIN_TABLE,
    vrf: 0,
    protocol: 'static',
    ...extra,
  };
}

function lookup(routes: Routes, to: string, extra: Partial<Flow> = {}, from = '10.9.9.9'): Hop | null {
  const flow = Object.assign(new Flow(), extra);
  flow.destination.copy(address(to));
  flow.source.copy(address(from));
  return routes.lookup(flow);
}

describe('routes', () => {
  afterEach(() => down.clear());

  it('the longest prefix wins, then the least metric, and an interface that is down is passed over', () => {
    const routes = make();
    routes.add(route('0.0.0.0/0', 1));
    routes.add(route('10.0.0.0/8', 2, { metric: 20 }));
    routes.add(route('10.0.0.0/8', 3, { metric: 10 }));
    routes.add(route('fd00::/16', 4));
    assert.equal(lookup(routes, '192.0.2.1')?.index, 1);
    assert.equal(lookup(routes, '10.1.2.3')?.index, 3);
    assert.equal(lookup(routes, 'fd00::1')?.index, 4);
    assert.equal(lookup(routes, 'fe00::1'), null);
    down.add(3);
    assert.equal(lookup(routes, '10.1.2.3')?.index, 2);
    down.add(2);
    assert.equal(lookup(routes, '10.1.2.3')?.index, 1);
    assert.equal(lookup(routes, '10.1.2.3', { outIndex: 2 }), null);
  });

  it('the same route is not added twice; delete and remove say how many went', () => {
    const routes = make();
    assert.equal(routes.add(route('10.0.0.0/8', 1)), true);
    assert.equal(routes.add(route('10.0.0.0/8', 1)), false);
    assert.equal(routes.add(route('10.255.1.2/8', 2, { metric: 5 })), true);
    assert.deepEqual(
      routes.list().map((r) => [`${r.prefix}/${r.length}`, r.index]),
      [
        ['10.0.0.0/8', 1],
        ['10.0.0.0/8', 2],
      ],
    );
    assert.equal(
      routes.remove((r) => r.index === 1),
      1,
    );
    assert.equal(lookup(routes, '10.0.0.1')?.index, 2);
    routes.replace(route('10.0.0.0/8', 7, { metric: 5 }));
    assert.equal(lookup(routes, '10.0.0.1')?.index, 7);
    assert.equal(routes.delete(route('10.0.0.0/8', 0)), 1);
    assert.equal(lookup(routes, '10.0.0.1'), null);
  });

  it('equal routes share flows; when one is lost only its own flows move', () => {
    const routes = make();
    for (const index of [1, 2, 3, 4]) routes.add(route('10.0.0.0/8', index, { gateway: address(`192.0.2.${index}`) }));
    const choice = (): number[] =>
      Array.from({ length: 4_000 }, (_, i) => (lookup(routes, '10.0.0.1', { protocol: 6, sourcePort: i, destinationPort: 80 }) as Hop).index);
    const before = choice();
    for (const index of [1, 2, 3, 4]) {
      const share = before.filter((x) => x === index).length;
      assert(share > 800 && share < 1_200, `hop ${index} has ${share} of 4,000`);
    }
    down.add(3);
    const after = choice();
    before.forEach((was, i) => assert(was === 3 ? after[i] !== 3 : after[i] === was, 'only the flows of hop 3 move'));
  });

  it('policy rules choose tables by source, mark, port and interface, and may refuse', () => {
    const routes = make();
    routes.add(route('0.0.0.0/0', 1));
    routes.add(route('0.0.0.0/0', 2, { table: 100 }));
    routes.setRules([
      { priority: 30, from: prefix('10.9.0.0/16'), destinationPort: [80, 90], action: { table: 100 } },
      { priority: 10, mark: 0x10, mask: 0xf0, action: { type: 'prohibit' } },
      { priority: 20, inIndex: 9, action: { table: 77 } },
    ]);
    assert.equal(lookup(routes, '192.0.2.1')?.index, 1);
    assert.equal(lookup(routes, '192.0.2.1', { destinationPort: 85 })?.index, 2);
    assert.equal(lookup(routes, '192.0.2.1', { destinationPort: 85 }, '10.8.0.1')?.index, 1);
    assert.equal(lookup(routes, '192.0.2.1', { mark: 0x1f })?.type, 'prohibit');
    assert.equal(lookup(routes, '192.0.2.1', { inIndex: 9 })?.index, 1, 'an empty table falls through');
  });

  it('VRFs see their own tables only', () => {
    const routes = make();
    routes.add(route('10.0.0.0/8', 1));
    routes.add(route('10.0.0.0/8', 2, { vrf: 5 }));
    assert.equal(lookup(routes, '10.0.0.1')?.index, 1);
    assert.equal(lookup(routes, '10.0.0.1', { vrf: 5 })?.index, 2);
    assert.equal(lookup(routes, '10.0.0.1', { vrf: 6 }), null);
  });
});
