import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { IkeNet } from '../../support/ike.js';

describe('IKEv2 between two stacks', () => {
  it('RFC 7296 §1.2: two exchanges, and traffic is protected', () => {
    const t = new IkeNet();
    const [ca] = t.both();
    t.up(ca);
    assert.deepEqual(t.a.log, ['up b.test', 'child net up']);
    assert.deepEqual(t.b.log, ['up a.test', 'child net up']);
    assert.ok(t.ping(), JSON.stringify(t.drops()));
    assert.ok(t.ping(3_000));
    const [child] = t.a.service.ike.list()[0]?.children ?? [];
    assert.ok((child?.outbound.packets ?? 0) >= 3);
    t.run(seconds(1));
    t.end();
  });
});
