import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import type { IkeSa } from '#src/net/ipsec/ike/ike-sa.js';
import { redirectPart } from '#src/net/ipsec/ike/redirect.js';
import { addressOctets } from '#src/wire/ike-payload.js';
import { connection, IkeNet } from '../../support/ike.js';
import { address, prefix } from '../../support/stacks.js';

/** B is two gateways: 192.0.2.2, and 192.0.2.12 by another connection. */
class Gateways extends IkeNet {
  readonly sa: IkeSa;

  constructor(first: object = {}, client: object = {}, second: object = {}) {
    super();
    this.b.host.stack.addAddress(this.b.host.eth0, prefix('192.0.2.12/24'));
    this.run(seconds(5));
    const [ca] = this.both({}, { more: client }, { more: first });
    const other = { name: 'other', local: '192.0.2.12', remote: '192.0.2.1', localId: 'b.test', remoteId: 'a.test', more: second };
    this.b.service.ike.add(connection({ ...other, localTs: ['10.2.0.0/24'], remoteTs: ['10.1.0.0/24'] }));
    this.sa = this.a.service.ike.initiate(ca) as IkeSa;
    this.run(seconds(3));
  }

  get present(): IkeSa | undefined {
    return this.a.service.ike.list().find((sa) => sa.state === 'established');
  }
}

const elsewhere = (text: string): object => ({ redirectTo: address(text) });

describe('redirect (RFC 5685)', () => {
  it('§3: in IKE_SA_INIT, before the gateway keeps anything; the client says where it comes from', () => {
    const t = new Gateways(elsewhere('192.0.2.12'));
    assert.equal(String(t.present?.remote), '192.0.2.12');
    assert.deepEqual(t.present?.redirected?.from, Uint8Array.of(1, 4, 192, 0, 2, 2));
    assert.equal(t.b.service.ike.list().length, 1);
    assert(t.ping());
    t.end();
  });

  it('a client that does not follow is served where it is', () => {
    const t = new Gateways(elsewhere('192.0.2.12'), { followRedirects: false });
    assert.equal(String(t.present?.remote), '192.0.2.2');
    t.end();
  });

  it('§7: gateways that send it to each other: five times, and no more', () => {
    const t = new Gateways(elsewhere('192.0.2.12'), {}, elsewhere('192.0.2.2'));
    assert.equal(t.present, undefined);
    assert.equal(t.a.log.at(-1), 'down: sent from one gateway to another again and again');
    t.end();
  });

  it('§5: while the tunnel is up, by an INFORMATIONAL of the gateway', () => {
    const t = new Gateways();
    const far = t.b.service.ike.list()[0] as IkeSa;
    far.request({ exchange: 37, build: () => [redirectPart(addressOctets(address('192.0.2.12')), new Uint8Array())], done: () => {} });
    t.run(seconds(3));
    assert.equal(String(t.present?.remote), '192.0.2.12');
    assert.equal(t.b.service.ike.list().length, 1, 'the old one is gone');
    assert(t.ping());
    t.end();
  });

  it('§3: without our nonce it is somebody else’s word: counted (IkeMalformed), and the exchange goes on', () => {
    const t = new Gateways();
    const { ike } = t.b.service;
    const send = t.b.service.send.bind(t.b.service);
    t.present?.end('again');
    for (const sa of ike.list()) sa.end('again');
    let forged = 0;
    t.b.service.send = (local, port, remote, remotePort, datagram) => {
      if (datagram[18] === 34 && forged++ === 0) {
        const { type, body } = redirectPart(addressOctets(address('192.0.2.12')), new Uint8Array(32));
        const bytes = new Uint8Array(28 + 4 + body.length);
        bytes.set(datagram.subarray(0, 28));
        bytes[16] = type;
        bytes.set([0, 0, 0, 4 + body.length], 28);
        bytes.set(body, 32);
        new DataView(bytes.buffer).setUint32(24, bytes.length);
        send(local, port, remote, remotePort, bytes);
      }
      send(local, port, remote, remotePort, datagram);
    };
    t.a.service.ike.initiate(t.sa.connection);
    t.run(seconds(3));
    assert.equal(forged > 0, true);
    assert.equal(String(t.present?.remote), '192.0.2.2');
    assert.equal(t.a.host.stack.ctx.counters.dropped()['IkeMalformed'], 1);
    t.end();
  });
});
