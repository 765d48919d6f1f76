import assert from 'node:assert/strict';
import { Errno } from '#src/base/errors.js';
import { TrackState } from '#src/net/filter/connection.js';
import type { Chain } from '#src/net/filter/filter.js';
import { AddressSet, FilterRule } from '#src/net/filter/rule.js';
import { accept, chain, INSIDE, next, OUTSIDE, Site, send } from '../support/site.js';
import { address, prefix } from '../support/stacks.js';

describe('filter rules', () => {
  let t: Site;
  beforeEach(() => {
    t = new Site();
  });
  afterEach(() => t.end());

  it('drop, reject and accept by address, port and interface, and count', () => {
    const inner = t.udp(t.inner, 1_000);
    inner.connect(address('203.0.113.9'), 7);
    // No NAT here: the outer host needs the way back.
    t.routeBack('192.168.0.0/24');
    const outer = t.udp(t.outer, 7);
    const rules = chain('forward', [
      [{ protocol: 17, destinationPort: [7, 7], inIndex: INSIDE, outIndex: OUTSIDE }, accept],
      [{ protocol: 17, destinationPort: [8, 9] }, { kind: 'reject' }],
      [{ source: prefix('192.168.0.3/32') }, { kind: 'drop' }],
    ]);
    t.gateway.filter.set([rules]);
    send(inner, '203.0.113.9', 7);
    t.run();
    assert.equal(next(outer), '192.168.0.2:1000 x');
    inner.disconnect();
    inner.connect(address('203.0.113.9'), 8);
    send(inner, '203.0.113.9', 8);
    t.run();
    assert.equal(inner.takeError(), Errno.ECONNREFUSED);
    const third = t.udp(t.inner, 0, '192.168.0.3');
    send(third, '203.0.113.9', 70);
    t.run();
    assert.deepEqual(t.dropped(), { FilterReject: 1, FilterDrop: 1 });
    assert.deepEqual(
      rules.rules.map((r) => r.packets),
      [1, 1, 1],
    );
    for (const socket of [inner, outer, third]) socket.close();
  });

  it('a stateful policy lets answers in and nothing else', () => {
    const g = t.gateway;
    g.filter.set([
      chain(
        'input',
        [
          [{ state: [TrackState.Established, TrackState.Related] }, accept],
          [{ protocol: 17, destinationPort: [53, 53] }, accept],
        ],
        'drop',
      ),
    ]);
    const client = t.udp(g, 0);
    const server = t.udp(t.outer, 7);
    send(client, '203.0.113.9', 7, 'ask');
    t.run();
    assert.equal(next(server), `203.0.113.1:${client.localPort} ask`);
    send(server, '203.0.113.1', client.localPort, 'answer');
    t.run();
    assert.equal(next(client), '203.0.113.9:7 answer');
    send(server, '203.0.113.1', 99, 'intruder');
    t.run();
    assert.deepEqual(t.dropped(), { FilterDrop: 1 });
    client.close();
    server.close();
  });

  it('a set of 1,000 prefixes is one condition; limits hold; jumps return', () => {
    const set = new AddressSet();
    for (let i = 0; i < 1_000; i++) set.add(prefix(`198.${i >> 8}.${i & 255}.0/24`));
    const limited: Chain = {
      name: 'limited',
      hook: null,
      policy: 'accept',
      rules: [new FilterRule({ limit: { perSecond: 1, burst: 2 } }, accept)],
    };
    t.gateway.filter.set([
      limited,
      chain(
        'input',
        [
          [{ source: set, protocol: 17 }, { kind: 'drop' }],
          [{ protocol: 17 }, { kind: 'jump', chain: 'limited' }],
        ],
        'accept',
      ),
    ]);
    const outer = t.udp(t.outer, 0);
    const sink = t.udp(t.gateway, 9);
    send(outer, '203.0.113.1', 9);
    t.run();
    assert.deepEqual(t.dropped(), {});
    set.add(prefix('203.0.113.0/24'));
    send(outer, '203.0.113.1', 9);
    t.run();
    assert.deepEqual(t.dropped(), { FilterDrop: 1 });
    outer.close();
    sink.close();
  });

  it('a jump to nowhere and a circle are refused with the chain named', () => {
    assert.throws(() => t.gateway.filter.set([chain('input', [[{}, { kind: 'jump', chain: 'nowhere' }]])]), /chain input jumps to nowhere/);
    assert.throws(
      () => t.gateway.filter.set([{ name: 'a', hook: null, policy: 'accept', rules: [new FilterRule({}, { kind: 'jump', chain: 'a' })] }]),
      /chain a jumps in a circle/,
    );
  });
});
