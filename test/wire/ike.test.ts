import assert from 'node:assert/strict';
import { v4 } from '#src/base/address.js';
import { Prng } from '#src/base/prng.js';
import * as ike from '#src/wire/ike.js';
import * as payload from '#src/wire/ike-payload.js';
import { putProposals, readProposals, SaProtocol, TransformType } from '#src/wire/ike-sa.js';

const proposals = [
  {
    number: 1,
    protocol: SaProtocol.Ike,
    spi: new Uint8Array(),
    transforms: [
      { type: TransformType.Encr, id: 20, keyBits: 128 },
      { type: TransformType.Prf, id: 5, keyBits: 0 },
      { type: TransformType.Group, id: 31, keyBits: 0 },
    ],
  },
  { number: 2, protocol: SaProtocol.Esp, spi: Uint8Array.of(1, 2, 3, 4), transforms: [{ type: TransformType.Esn, id: 1, keyBits: 0 }] },
];
const selector = { protocol: 17, firstPort: 0, lastPort: 65_535, first: v4(0x0a010000), last: v4(0x0a0100ff) };

const message = ike.message(new Uint8Array(8).fill(1), new Uint8Array(8), ike.Exchange.SaInit, ike.Flag.Initiator, 0, [
  { type: ike.PayloadType.Sa, body: putProposals(proposals) },
  { type: ike.PayloadType.Ke, body: payload.putKe(31, new Uint8Array(32).fill(2)) },
  { type: ike.PayloadType.Nonce, body: new Uint8Array(32).fill(3) },
  { type: ike.PayloadType.IdI, body: payload.putId(payload.IdType.Fqdn, new TextEncoder().encode('a.test')) },
  { type: ike.PayloadType.Auth, body: payload.putAuth(payload.AuthMethod.SharedKey, new Uint8Array(32)) },
  { type: ike.PayloadType.TsI, body: payload.putTrafficSelectors([selector]) },
  { type: ike.PayloadType.Notify, body: payload.putNotify(ike.NotifyType.RekeySa, new Uint8Array(3), SaProtocol.Esp, new Uint8Array(4)) },
  { type: ike.PayloadType.Delete, body: payload.putDelete(SaProtocol.Esp, [new Uint8Array(4), new Uint8Array(4)]) },
  {
    type: ike.PayloadType.Config,
    body: payload.putConfig(payload.ConfigType.Request, [{ type: payload.ConfigAttribute.Ipv4Address, value: new Uint8Array(4) }]),
  },
]);

describe('IKE messages', () => {
  it('RFC 7296 §3: what is put is read', () => {
    assert.equal(ike.check(message), 0);
    const header = ike.readHeader(message);
    assert.deepEqual([header.exchange, header.flags, header.id, header.version], [34, 8, 0, 2]);
    const payloads = ike.readPayloads(message, ike.HEADER_LEN, header.next);
    assert.ok(typeof payloads !== 'number');
    assert.deepEqual(
      payloads.map((p) => p.type),
      [33, 34, 40, 35, 39, 44, 41, 42, 47],
    );
    assert.deepEqual(readProposals(payloads[0]?.body as Uint8Array), proposals);
    assert.deepEqual(payload.readTrafficSelectors(payloads[5]?.body as Uint8Array), [selector]);
    assert.equal(payload.readDelete(payloads[7]?.body as Uint8Array)?.spis.length, 2);
    assert.equal(ike.format(message), 'ike SaInit 0 request');
  });

  it('IkeTruncated, IkeMalformed: every length cut short', () => {
    for (let n = 0; n < message.length; n++) {
      const cut = message.slice(0, n);
      assert.notEqual(ike.check(cut), 0);
      if (n < ike.HEADER_LEN) continue;
      new DataView(cut.buffer).setUint32(24, n);
      assert.equal(ike.check(cut), 0);
      assert.equal(typeof ike.readPayloads(cut, ike.HEADER_LEN, cut[16] as number), 'number');
    }
  });

  it('100,000 mutations of every payload: no reader throws, none reads past its end', () => {
    const prng = new Prng(4);
    let sound = 0;
    for (let i = 0; i < 100_000; i++) {
      const copy = message.slice();
      for (let n = prng.below(5); n >= 0; n--) copy[16 + prng.below(copy.length - 16)] = prng.below(256);
      new DataView(copy.buffer).setUint32(24, copy.length);
      if (ike.check(copy) !== 0) continue;
      const header = ike.readHeader(copy);
      const payloads = ike.readPayloads(copy, ike.HEADER_LEN, header.next);
      if (typeof payloads === 'number') continue;
      for (const { body } of payloads) {
        // Any reader may meet any body: the type octet is the peer's.
        readProposals(body);
        payload.readKe(body);
        payload.readId(body);
        payload.readAuth(body);
        payload.readNotify(body);
        payload.readDelete(body);
        payload.readTrafficSelectors(body);
        payload.readConfig(body);
      }
      sound++;
    }
    assert.ok(sound > 1_000, `${sound} still had a chain of payloads`);
  });
});
