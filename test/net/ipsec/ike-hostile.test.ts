import assert from 'node:assert/strict';
import { Drop } from '#src/base/drops.js';
import { seconds } from '#src/base/time.js';
import type { IkeSa } from '#src/net/ipsec/ike/ike-sa.js';
import { type Fragment, Fragments } from '#src/net/ipsec/ike/secure.js';
import { IkeNet } from '../../support/ike.js';
import { address } from '../../support/stacks.js';

const up = (list: readonly IkeSa[]): IkeSa[] => list.filter((sa) => sa.state === 'established');

describe('IKEv2 under attack', () => {
  it('RFC 7296 §2.6: from 32 half-open IKE SAs on, a cookie is asked for; honest peers get through, the flood holds nothing more', () => {
    const t = new IkeNet();
    const [ca] = t.both({}, {}, { remote: '0.0.0.0', more: { remoteAddress: null } });
    const { ike } = t.b.service;
    const frames: Uint8Array[] = [];
    const target = t.b.service;
    // First messages of strangers: A's own with other SPIs, from addresses that never answer.
    const sa = t.a.service.ike.initiate(ca);
    t.run();
    const first = (sa as IkeSa).initI.slice();
    for (let i = 0; i < 600; i++) {
      const forged = first.slice();
      forged[0] = 0x77;
      forged[6] = i >> 8;
      forged[7] = i & 255;
      target.ike.input(forged, address('192.0.2.2'), 500, address(`203.0.113.${i % 200}`), 500);
    }
    assert.ok(ike.list().length <= 34, `${ike.list().length}`);
    const drops = t.b.host.stack.ctx.counters.dropped();
    assert.ok((drops['IkeCookie'] ?? 0) >= 560);
    sa?.end('again');
    assert.equal(t.up(ca).state, 'established', 'with a cookie');
    t.run(seconds(40));
    assert.equal(ike.list().length, 1, 'half-open ones have gone');
    assert.equal(frames.length, 0);
    t.end();
  });

  it('fragments: long identities travel in pieces when both sides speak RFC 7383', () => {
    const t = new IkeNet();
    const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.`.repeat(24);
    const [ca] = t.both({}, { localId: `${long}test` }, { remoteId: `${long}test` });
    t.up(ca);
    assert.ok(t.ping());
    t.end();
  });

  it('forged and replayed IKE messages: counted, unanswered, and nothing moves', () => {
    const t = new IkeNet();
    const [ca] = t.both();
    const seen: { bytes: Uint8Array; port: number }[] = [];
    const { ike } = t.b.service;
    const input = ike.input.bind(ike);
    ike.input = (bytes, local, localPort, remote, remotePort) => {
      seen.push({ bytes: bytes.slice(), port: localPort });
      input(bytes, local, localPort, remote, remotePort);
    };
    t.up(ca);
    const sa = up(ike.list())[0] as IkeSa;
    t.b.host.stack.ctx.counters.drops.fill(0);
    const replay = (change: (bytes: Uint8Array) => void): void => {
      for (const { bytes, port } of seen.slice()) {
        const copy = bytes.slice();
        change(copy);
        input(copy, sa.local, port, sa.remote, sa.remotePort);
      }
      t.run();
    };
    const before = { heard: sa.heard, children: sa.children.length };
    replay((bytes) => (bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1));
    replay((bytes) => (bytes[23] = 2)); // the message number that would be next
    replay((bytes) => (bytes[17] = 0x30));
    replay((bytes) => (bytes[8] = (bytes[8] as number) ^ 1));
    assert.equal(sa.children.length, before.children);
    const drops = t.b.host.stack.ctx.counters.dropped();
    for (const reason of ['IkeBadIcv', 'IkeMessageId', 'IkeVersion', 'IkeUnknownSa'])
      assert.ok((drops[reason] ?? 0) > 0, `${reason} of ${JSON.stringify(drops)}`);
    assert.ok(t.ping());
    t.end();
  });

  it('IkeTruncated, IkeMalformed, IkeNoConnection, IkeState, IkeUnknownSa: strangers draw no answer', () => {
    const t = new IkeNet();
    const [ca, cb] = t.both();
    const sa = t.up(ca);
    const first = sa.initI.slice();
    const { ike } = t.b.service;
    const sent: Uint8Array[] = [];
    t.b.host.stack.ctx.observer.tx = () => void sent.push(first);
    const drops = (change: (bytes: Uint8Array) => Uint8Array | undefined, from = '192.0.2.1'): Record<string, number> => {
      t.b.host.stack.ctx.counters.drops.fill(0);
      const copy = first.slice();
      copy[0] = 0x55;
      ike.input(change(copy) ?? copy, address('192.0.2.2'), 500, address(from), 600);
      return t.b.host.stack.ctx.counters.dropped();
    };
    assert.deepEqual(
      drops((b) => b.slice(0, 20)),
      { IkeTruncated: 1 },
    );
    assert.deepEqual(
      drops((b) => b.slice(0, -1)),
      { IkeTruncated: 1 },
    );
    assert.deepEqual(
      drops((b) => void b.fill(0, 0, 8)),
      { IkeMalformed: 1 },
    );
    assert.deepEqual(
      drops((b) => void b.fill(0xff, 30, 32)),
      { IkeMalformed: 1 },
    );
    assert.deepEqual(
      drops(() => undefined, '203.0.113.1'),
      { IkeNoConnection: 1 },
    );
    assert.deepEqual(
      drops((b) => void (b[23] = 7)),
      { IkeState: 1 },
    );
    assert.deepEqual(
      drops((b) => void (b[18] = 37)),
      { IkeUnknownSa: 1 },
    );
    assert.equal(sent.length, 0);
    t.b.service.ike.remove(cb);
    t.end();
  });

  it('RFC 8247 §2.4: who asks for a group that was not offered is not heard; the exchange goes on', () => {
    const t = new IkeNet();
    const [ca] = t.both();
    const { service } = t.b;
    const send = service.send.bind(service);
    let forged = 0;
    // Somebody on the way answers first: INVALID_KE_PAYLOAD for group 2.
    service.send = (local, port, remote, remotePort, datagram) => {
      if (forged++ === 0) {
        const notify = Uint8Array.of(0, 0, 0, 10, 0, 0, 0, 17, 0, 2);
        const bytes = new Uint8Array(28 + notify.length);
        bytes.set(datagram.subarray(0, 28));
        bytes.fill(0, 8, 16);
        bytes[16] = 41;
        bytes.set(notify, 28);
        new DataView(bytes.buffer).setUint32(24, bytes.length);
        send(local, port, remote, remotePort, bytes);
      }
      send(local, port, remote, remotePort, datagram);
    };
    const sa = t.a.service.ike.initiate(ca);
    t.run(seconds(3));
    assert.equal(sa?.state, 'established', sa?.error);
    assert.equal(sa?.suite?.group.name, 'x25519');
    assert.equal(t.a.host.stack.ctx.counters.dropped()['IkeState'], 1);
    t.end();
  });

  it('IkeHalfOpen: past the limit even a cookie opens nothing', () => {
    const t = new IkeNet();
    const [ca] = t.both({}, {}, { remote: '0.0.0.0', more: { remoteAddress: null } });
    const sa = t.a.service.ike.initiate(ca) as IkeSa;
    t.run();
    const { ike } = t.b.service;
    const sent: Uint8Array[] = [];
    // The cookies are honest ones: the test reads what B answers.
    const send = t.b.service.send.bind(t.b.service);
    t.b.service.send = (local, port, remote, remotePort, datagram) => {
      sent.push(datagram);
      if (remote.toString() === '192.0.2.1') send(local, port, remote, remotePort, datagram);
    };
    for (let i = 0; i < 600; i++) {
      const forged = sa.initI.slice();
      forged.set([0x66, 0, 0, 0, 0, 0, i >> 8, i & 255]);
      sent.length = 0;
      ike.input(forged, address('192.0.2.2'), 500, address('203.0.113.1'), 500);
      const answer = sent[0];
      if (answer === undefined || answer[16] !== 41) continue; // it begins with a Notify: the cookie
      const notify = answer.slice(28);
      const withCookie = new Uint8Array(forged.length + notify.length);
      withCookie.set(forged.slice(0, 28));
      withCookie.set(notify, 28);
      withCookie[28] = forged[16] as number;
      withCookie.set(forged.slice(28), 28 + notify.length);
      withCookie[16] = 41;
      new DataView(withCookie.buffer).setUint32(24, withCookie.length);
      ike.input(withCookie, address('192.0.2.2'), 500, address('203.0.113.1'), 500);
    }
    const drops = t.b.host.stack.ctx.counters.dropped();
    assert.ok((drops['IkeHalfOpen'] ?? 0) > 50, JSON.stringify(drops));
    assert.ok(ike.list().length <= 513);
    t.end();
  });

  it('IkeFragment: fragments of other counts, twice, or past the limit', () => {
    const fragments = new Fragments();
    const part = (number: number, total: number): Fragment => ({ number, total, first: 0, octets: new Uint8Array(0) });
    assert.equal(fragments.add(1, part(1, 3)), null);
    assert.equal(fragments.add(1, part(1, 3)), Drop.IkeFragment, 'twice');
    assert.equal(fragments.add(1, part(1, 2)), Drop.IkeFragment, 'of an older attempt');
    assert.equal(fragments.add(1, part(2, 4)), null, 'smaller pieces begin anew');
    assert.equal(fragments.add(2, part(1, 2)), null, 'another message takes its place');
    assert.deepEqual(fragments.add(2, part(2, 2)), []);
  });
});
