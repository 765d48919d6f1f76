import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import type { IkeSa } from '#src/net/ipsec/ike/ike-sa.js';
import { IkeNet, psk, ts } from '../../support/ike.js';
import { bound } from '../../support/ipsec.js';
import { address } from '../../support/stacks.js';

const up = (list: readonly IkeSa[]): IkeSa[] => list.filter((sa) => sa.state === 'established');

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
    assert.equal(child?.inbound.esn, true, 'ESN is preferred');
    t.end();
  });

  for (const ike of [
    'aes256gcm16-prfsha384-ecp256',
    'chacha20poly1305-prfsha512-ecp384',
    'aes128-sha256-modp2048',
    'aes256ctr-sha512-ecp521',
    'aes128ccm16-prfsha256-modp3072',
    'aes192-sha1-modp4096',
    'aes256-sha384-modp1024',
  ]) {
    it(`${ike}`, () => {
      const t = new IkeNet();
      const [ca] = t.both({ ike: [ike] });
      t.up(ca);
      assert.ok(t.ping());
      t.end();
    });
  }

  it('RFC 7296 §1.2, §2.7: the responder wants another group, of our own offer', () => {
    const t = new IkeNet();
    const [ca] = t.both({}, { ike: ['aes128gcm16-prfsha256-x25519-ecp256'] }, { ike: ['aes128gcm16-prfsha256-ecp256'] });
    assert.equal(t.up(ca).suite?.group.name, 'ecp256');
    t.end();
  });

  it('no proposal in common: refused, and nothing is left', () => {
    const t = new IkeNet();
    const [ca] = t.both({}, { ike: ['aes128gcm16-prfsha256-x25519'] }, { ike: ['aes256-sha512-ecp384'] });
    const sa = t.a.service.ike.initiate(ca);
    t.run();
    assert.equal(sa?.error, 'IKE_SA_INIT: NoProposalChosen');
    assert.equal(t.b.service.ike.list().length, 0);
    t.end();
  });

  it('RFC 7296 §2.21.2: another secret, another identity: one answer for all', () => {
    for (const change of [{ auth: psk('another') }, { remoteId: 'c.test' }, { localId: 'c.test' }] as const) {
      const t = new IkeNet();
      const [ca] = t.both({}, {}, change);
      const sa = t.a.service.ike.initiate(ca);
      t.run();
      assert.equal(sa?.error, 'IKE_AUTH: AuthenticationFailed', JSON.stringify(change));
      assert.equal(t.b.service.ike.list().length, 0);
      assert.ok(!t.ping() || t.a.service.ike.ipsec.sas().length === 0);
      t.end();
    }
  });

  it('RFC 7296 §2.9: selectors are narrowed to what both allow; none in common leaves the IKE SA without a child', () => {
    const t = new IkeNet();
    const [ca] = t.both({}, { remoteTs: ['10.0.0.0/8'] }, { localTs: ['10.2.0.0/24', '10.9.0.0/16'], remoteTs: ['10.1.0.1/32'] });
    const [child] = t.up(ca).children;
    assert.deepEqual(
      child?.terms.remote.map((s) => `${s.first}-${s.last}`),
      ['10.2.0.0-10.2.0.255', '10.9.0.0-10.9.255.255'],
    );
    assert.deepEqual(
      child?.terms.local.map((s) => `${s.first}-${s.last}`),
      ['10.1.0.1-10.1.0.1'],
    );
    assert.ok(t.ping());
    t.end();
    const other = new IkeNet();
    const [cb] = other.both({}, {}, { localTs: ['10.77.0.0/24'] });
    assert.equal(other.up(cb).children.length, 0);
    assert.deepEqual(other.a.log, ['up b.test', 'failed net: TsUnacceptable']);
    other.end();
  });

  it('transport mode for one protocol and port', () => {
    const t = new IkeNet();
    const selector = [ts('192.0.2.0/24', 17, 0, 65_535)];
    const child = { mode: 'transport', local: selector, remote: selector } as const;
    const [ca] = t.both({ child });
    const [made] = t.up(ca).children;
    assert.equal(made?.inbound.mode, 'transport');
    t.end();
  });

  it('a trap: the first packet asks for the SA, the next ones go', () => {
    const t = new IkeNet();
    t.both({}, { child: { start: 'trap' } });
    assert.equal(t.ping(), false);
    t.run(seconds(1));
    assert.ok(t.ping(), JSON.stringify([t.a.log, t.drops()]));
    t.end();
  });

  it('RFC 4301 §4.4.1.2 (PFP): each destination has SAs of its own, of the packet that asked; a rekeyed one carries no more than before', () => {
    const t = new IkeNet();
    t.both({}, { child: { start: 'trap', fromPacket: { remote: true, ports: true } } });
    const send = (to: string): void => {
      const socket = bound(t.a.host.stack, 5_000);
      socket.sendTo(new Uint8Array(4), 0, 4, address(to), 7);
      t.run();
      socket.close();
    };
    for (const to of ['10.2.0.1', '10.2.0.9', '10.2.0.1']) send(to);
    const terms = (): string[] =>
      (up(t.a.service.ike.list())[0]?.children ?? []).map(({ terms: { local, remote } }) =>
        [...local, ...remote].map((s) => `${s.protocol} ${s.first}-${s.last} ${s.firstPort}-${s.lastPort}`).join(' to '),
      );
    const expected = ['17 10.1.0.0-10.1.0.255 5000-5000 to 17 10.2.0.1-10.2.0.1 7-7', '17 10.1.0.0-10.1.0.255 5000-5000 to 17 10.2.0.9-10.2.0.9 7-7'];
    assert.deepEqual(terms(), expected);
    up(t.a.service.ike.list())[0]?.children[0]?.rekey();
    t.run(seconds(7));
    assert.deepEqual(terms().sort(), expected);
    t.end();
  });

  it('RFC 7296 §2.9: a packet that asks stands in front of what is offered; the answer is the wide one', () => {
    const t = new IkeNet();
    t.both({}, { child: { start: 'trap' } }, { localTs: ['10.2.0.1/32', '10.2.0.128/25'] });
    t.ping();
    t.run(seconds(1));
    assert.deepEqual(
      t.a.service.ike.list()[0]?.children[0]?.terms.remote.map((s) => `${s.first}-${s.last}`),
      ['10.2.0.1-10.2.0.1', '10.2.0.128-10.2.0.255'],
    );
    t.end();
  });

  it('RFC 7296 §2.1: lost messages are sent again, and answered once', () => {
    const t = new IkeNet();
    const [ca] = t.both();
    // The wire is down for the first four seconds, then for each answer.
    t.b.host.device.setCarrier(false);
    const sa = t.a.service.ike.initiate(ca);
    t.run(seconds(4));
    t.b.host.device.setCarrier(true);
    t.run(seconds(30));
    assert.equal(sa?.state, 'established', sa?.error);
    t.end();
  });

  it('no answer at all: it gives up after a minute and a bit', () => {
    const t = new IkeNet();
    const [ca] = t.both();
    t.b.host.device.setCarrier(false);
    const sa = t.a.service.ike.initiate(ca);
    t.run(seconds(80));
    assert.equal(sa?.error, 'no answer to 6 requests');
    assert.equal(t.a.service.ike.list().length, 0);
    t.end();
  });

  it('RFC 7296 §2.4: a dead peer is noticed, a living one is left alone', () => {
    const t = new IkeNet();
    const [ca] = t.both({ more: { dpdSeconds: 10 } });
    const sa = t.up(ca);
    t.run(seconds(100));
    assert.equal(sa.state, 'established');
    t.b.host.device.setCarrier(false);
    t.run(seconds(100));
    assert.equal(sa.state, 'dead');
    assert.match(t.a.log.at(-1) ?? '', /^down: no answer/);
    assert.equal(t.a.host.stack.ipsec.sas().length, 0, 'its children went with it');
    t.b.host.device.setCarrier(true);
    t.end();
  });

  for (const by of ['a', 'b', 'both'] as const) {
    it(`RFC 7296 §2.8: a child is rekeyed by ${by}; traffic goes on, the old SAs go`, () => {
      const t = new IkeNet();
      const [ca] = t.both();
      t.up(ca);
      for (let round = 0; round < 5; round++) {
        for (const side of [t.a, t.b]) if (by === 'both' || side === t[by as 'a' | 'b']) up(side.service.ike.list())[0]?.children[0]?.rekey();
        assert.ok(t.ping(), `${round}`);
        t.run(seconds(7));
        assert.ok(t.ping());
        for (const side of [t.a, t.b]) {
          assert.equal(up(side.service.ike.list())[0]?.children.length, 1, JSON.stringify([t.a.log, t.b.log]));
          assert.equal(side.host.stack.ipsec.sas().length, 2);
        }
        const [one, two] = [t.a, t.b].map((side) => up(side.service.ike.list())[0]?.children[0]);
        assert.equal(one?.inbound.spi, two?.outbound.spi);
        assert.equal(two?.inbound.spi, one?.outbound.spi);
      }
      t.end();
    });

    it(`RFC 7296 §2.8.1: the IKE SA is rekeyed by ${by}; its child moves, one IKE SA is left`, () => {
      const t = new IkeNet();
      const [ca] = t.both();
      t.up(ca);
      for (let round = 0; round < 5; round++) {
        for (const side of [t.a, t.b]) {
          const [sa] = up(side.service.ike.list());
          if ((by === 'both' || side === t[by as 'a' | 'b']) && sa !== undefined) side.service.ike.exchanges.rekeyIke(sa);
        }
        t.run(seconds(70));
        for (const side of [t.a, t.b]) {
          assert.equal(side.service.ike.list().length, 1, JSON.stringify([round, t.a.log, t.b.log, side.service.ike.list().map((s) => s.state)]));
          assert.equal(up(side.service.ike.list())[0]?.children.length, 1);
        }
        assert.deepEqual(t.a.service.ike.list()[0]?.spiI, t.b.service.ike.list()[0]?.spiI);
        assert.ok(t.ping());
      }
      up(t.b.service.ike.list())[0]?.children[0]?.rekey();
      t.run(seconds(7));
      assert.ok(t.ping());
      t.end();
    });
  }

  it('lifetimes rekey by themselves for an hour, and no ping is lost', () => {
    const t = new IkeNet();
    const [ca] = t.both({ child: { rekeySeconds: 300 }, more: { rekeySeconds: 700 } });
    t.up(ca);
    for (let minute = 0; minute < 60; minute++) {
      assert.ok(t.ping(), `minute ${minute}: ${JSON.stringify([t.a.log.slice(-4), t.drops()])}`);
      t.run(seconds(60));
    }
    assert.ok(t.a.log.filter((l) => l === 'child net rekeyed').length >= 10);
    t.end();
  });

  it('closing tells the peer; a new IKE SA replaces the one before (INITIAL_CONTACT)', () => {
    const t = new IkeNet();
    const [ca] = t.both();
    const sa = t.up(ca);
    // A forgets without a word, and comes anew.
    sa.end('power failure');
    t.up(ca);
    assert.equal(t.b.service.ike.list().length, 1);
    assert.ok(t.ping());
    t.a.service.ike.list()[0]?.close();
    t.run(seconds(10));
    assert.equal(t.b.service.ike.list().length, 0);
    assert.equal(t.b.host.stack.ipsec.sas().length, 0);
    t.end();
  });

  it('a delete that nobody answers ends here after 7 s; a stack that closes tells its peers', () => {
    const t = new IkeNet();
    const [ca] = t.both();
    const sa = t.up(ca);
    t.b.host.device.setCarrier(false);
    sa.close();
    t.run(seconds(6.9));
    assert.equal(sa.state, 'deleting');
    t.run(seconds(0.2));
    assert.equal(sa.state, 'dead');
    assert.equal(t.a.host.stack.ipsec.sas().length, 0);
    t.b.host.device.setCarrier(true);
    t.up(ca);
    t.a.host.stack.close();
    t.run();
    assert.equal(t.b.service.ike.list().length, 0);
    assert.equal(t.b.host.stack.ipsec.sas().length, 0);
    t.end();
  });

  it('RFC 7296 §2.19: an inner address is asked for and given', () => {
    const t = new IkeNet();
    const [ca] = t.both(
      {},
      { localTs: ['0.0.0.0/0'], more: { virtualAddress: 'request' } },
      { remoteTs: ['0.0.0.0/0'], more: { pool: [address('10.1.0.1'), address('10.1.0.2')] } },
    );
    t.up(ca);
    assert.ok(t.a.log.includes('configured 10.1.0.1'));
    assert.ok(t.ping());
    t.end();
  });

  it('UDP encapsulation on request goes by port 4500, keep-alives included', () => {
    const t = new IkeNet();
    const [ca] = t.both({ more: { encapsulate: true } });
    const sa = t.up(ca);
    assert.equal(sa.localPort, 4_500);
    assert.ok(t.ping());
    t.run(seconds(50));
    assert.ok(t.ping());
    t.end();
  });
});
