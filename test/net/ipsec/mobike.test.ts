import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import type { Connection } from '#src/net/ipsec/ike/connection.js';
import type { IkeSa } from '#src/net/ipsec/ike/ike-sa.js';
import { NotifyType } from '#src/wire/ike.js';
import { type ConnectionText, IkeNet } from '../../support/ike.js';
import { route } from '../../support/ipsec.js';
import { address, prefix } from '../../support/stacks.js';

/** A has a second address on the wire, 192.0.2.11, and B 192.0.2.12. */
class MobileNet extends IkeNet {
  readonly sa: IkeSa;

  constructor(more: Partial<Connection> = {}, b: Partial<ConnectionText> = {}) {
    super();
    const stacks = [this.a.host.stack, this.b.host.stack];
    for (const [i, stack] of stacks.entries()) stack.addAddress([this.a, this.b][i]?.host.eth0 as never, prefix(`192.0.2.1${i + 1}/24`));
    this.run(seconds(5));
    const [ca] = this.both({ more: { mobike: true, ...more } }, {}, b);
    this.sa = this.up(ca);
  }

  get far(): IkeSa {
    return this.b.service.ike.list()[0] as IkeSa;
  }

  /** A's address goes, its way to B by the other one stays. */
  leave(side: 'a' | 'b' = 'a'): void {
    const { host } = this[side];
    host.stack.addresses.remove(host.eth0, address(side === 'a' ? '192.0.2.1' : '192.0.2.2'));
    const [to, gateway, source] = side === 'a' ? ['10.2.0.0/24', '192.0.2.2', '10.1.0.1'] : ['10.1.0.0/24', '192.0.2.1', '10.2.0.1'];
    host.stack.ip.routes.remove((r) => r.length === 24 && r.gateway !== null);
    route(host.stack, prefix(to), address(gateway), host.eth0.index, address(source));
  }
}

describe('MOBIKE (RFC 4555)', () => {
  it('§3.1, §3.3, §3.4: both say that they can, at port 4500, and where else they are', () => {
    const t = new MobileNet();
    assert.equal(t.sa.localPort, 4_500);
    assert.deepEqual(t.sa.mobility?.peer.map(String), ['192.0.2.12']);
    assert.deepEqual(t.far.mobility?.peer.map(String), ['192.0.2.11']);
    assert(t.ping());
    t.end();
  });

  it('a peer that cannot is left alone', () => {
    const t = new MobileNet({}, { more: { mobike: false } });
    assert.equal(t.sa.mobility, null);
    assert.equal(t.far.mobility, null);
    assert(t.ping());
    t.end();
  });

  it('§3.5: the address goes, UPDATE_SA_ADDRESSES brings the SAs to the other; nothing is negotiated anew', () => {
    const t = new MobileNet();
    const { inbound } = t.sa.children[0] as IkeSa['children'][number];
    t.leave();
    t.run(seconds(1));
    assert.equal(String(t.sa.local), '192.0.2.11');
    assert.equal(String(t.far.remote), '192.0.2.11');
    assert(t.ping(), JSON.stringify([t.a.log, t.b.log, t.drops()]));
    assert.equal(t.sa.children[0]?.inbound, inbound, 'the same SA');
    assert.deepEqual(
      t.far.children.map(({ outbound }) => String(outbound.destination)),
      ['192.0.2.11'],
    );
    assert.deepEqual(
      t.a.log.concat(t.b.log).filter((line) => line.startsWith('down')),
      [],
    );
    // And it can be rekeyed there.
    t.sa.children[0]?.rekey();
    t.run(seconds(7));
    assert(t.ping());
    t.end();
  });

  it('§3.6: the responder’s address goes: it says so from the other, and the initiator goes there', () => {
    const t = new MobileNet({ dpdSeconds: 5 });
    t.leave('b');
    t.run(seconds(2));
    assert.equal(t.sa.state, 'established', JSON.stringify([t.sa.error, t.a.log, t.b.log, t.drops()]));
    assert.equal(String(t.sa.remote), '192.0.2.12');
    assert.deepEqual(
      t.sa.children.map(({ outbound }) => String(outbound.destination)),
      ['192.0.2.12'],
    );
    t.end();
  });

  it('§3.5: the responder is cut off at one address: requests that go unanswered try the other, and SAs follow', () => {
    const t = new MobileNet({ dpdSeconds: 5 });
    const { ike } = t.b.service;
    const input = ike.input.bind(ike);
    ike.input = (bytes, local, ...rest) => {
      if (local.toString() !== '192.0.2.2') input(bytes, local, ...rest);
    };
    t.run(seconds(30));
    assert.equal(t.sa.state, 'established', t.sa.error);
    assert.equal(String(t.sa.remote), '192.0.2.12');
    assert.equal(String(t.far.local), '192.0.2.12');
    assert(t.ping());
    t.end();
  });

  it('§3.7: an answer without our COOKIE2 ends the IKE SA', () => {
    const t = new MobileNet();
    const { exchanges } = t.b.service.ike;
    const requested = exchanges.requested.bind(exchanges);
    // B answers, and does not send back what it was sent.
    exchanges.requested = (sa, exchange, payloads) =>
      requested(
        sa,
        exchange,
        payloads.filter((p) => p.body[2] !== NotifyType.Cookie2 >> 8 || p.body[3] !== (NotifyType.Cookie2 & 255)),
      );
    t.leave();
    t.run(seconds(1));
    assert.equal(t.sa.state, 'dead');
    assert.match(t.sa.error, /COOKIE2/);
    t.end();
  });

  it('§3.9: NO_NATS_ALLOWED: addresses that were changed on the way are refused', () => {
    const t = new MobileNet({ noNats: true });
    assert.equal(t.sa.state, 'established', 'without a NAT it is as without the option');
    const { ike } = t.b.service;
    const input = ike.input.bind(ike);
    const send = t.b.service.send.bind(t.b.service);
    ike.input = (bytes, local, localPort, remote) => input(bytes, local, localPort, remote, 40_000);
    t.b.service.send = (local, port, remote, _translated, datagram) => send(local, port, remote, 4_500, datagram);
    t.leave();
    t.run(seconds(1));
    assert(
      t.a.log.some((line) => line.includes('UnexpectedNatDetected')),
      JSON.stringify(t.a.log),
    );
    assert.equal(String(t.far.remote), '192.0.2.1', 'nothing has moved');
    t.end();
  });

  it('§3.5: only the initiator moves; an update by the responder is refused and counted (IkeState)', () => {
    const t = new MobileNet();
    let refused = false;
    t.far.request({
      exchange: 37,
      build: () => [{ type: 41, body: Uint8Array.of(0, 0, NotifyType.UpdateSaAddresses >> 8, NotifyType.UpdateSaAddresses & 255) }],
      done: (payloads) => {
        refused = payloads?.some((p) => p.type === 41 && p.body[3] === NotifyType.UnacceptableAddresses) ?? false;
      },
    });
    t.run();
    assert(refused);
    assert.equal(t.a.host.stack.ctx.counters.dropped()['IkeState'], 1);
    assert(t.ping());
    t.end();
  });

  it('§3.8: a message from elsewhere that says nothing of moving moves nothing, and is answered there', () => {
    const t = new MobileNet({ dpdSeconds: 3 });
    const { ike } = t.b.service;
    const input = ike.input.bind(ike);
    ike.input = (bytes, local, localPort, _remote, remotePort) => input(bytes, local, localPort, address('192.0.2.11'), remotePort);
    t.run(seconds(10));
    assert.equal(String(t.far.remote), '192.0.2.1');
    assert.equal(t.sa.state, 'established');
    assert(t.ping());
    t.end();
  });
});
