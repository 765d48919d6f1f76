import assert from 'node:assert/strict';
import type { CryptoRequest } from '#src/hyper/crypto.js';
import { answerLength, exchangeKnown, performNow, publicLength } from '#src/hyper/public-key.js';
import { publicKeyThread } from '#src/hyper/public-key-thread.js';
import { octets } from '../support/octets.js';
import { skip } from '../support/requirements.js';

type Parameters = CryptoRequest['parameters'];

describe('public-key work', () => {
  const request = publicKeyThread();
  const work = (operation: CryptoRequest['operation'], algorithm: string, parameters: Parameters = {}): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      request({ operation, algorithm, parameters }, (result, error) => (result === null ? reject(new Error(error)) : resolve(result)));
    });

  it('X25519: RFC 7748 §5.2', async () => {
    const shared = await work('derive', 'x25519', { private: octets(SCALAR), public: octets(POINT) });
    assert.deepEqual(shared, octets('c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552'));
  });

  for (const algorithm of ['x25519', 'x448', 'ecp256', 'ecp384', 'ecp521', 'modp2048', 'ml-kem-768']) {
    it(`${algorithm}: both ends have the same secret; a value of another length is refused`, async function () {
      if (!exchangeKnown(algorithm)) skip(this, 'OpenSSL has no ML-KEM here: Node 24 brings one');
      const made = await work('generate', algorithm);
      const length = publicLength(algorithm);
      const answer = await work('respond', algorithm, { public: made.slice(0, length) });
      const own = answer.slice(0, answerLength(algorithm));
      const shared = await work('derive', algorithm, { private: made.slice(length), public: own });
      assert.deepEqual(shared, answer.slice(answerLength(algorithm)));
      assert(shared.length >= 32);
      await assert.rejects(work('derive', algorithm, { private: made.slice(length), public: own.slice(1) }), /octets/);
    });
  }

  it('the loop turns meanwhile, and what was asked for in one turn is answered in its order', async () => {
    let turns = 0;
    let running = true;
    const turn = (): void => {
      turns++;
      if (running) setImmediate(turn);
    };
    turn();
    const order: string[] = [];
    await Promise.all(['modp8192', 'x25519'].map((algorithm) => work('generate', algorithm).then(() => order.push(algorithm))));
    running = false;
    assert.deepEqual(order, ['modp8192', 'x25519']);
    assert(turns > 2, `${turns}`);
  });

  it('an error is told, not thrown; a secret handed over stays the caller’s own', async () => {
    await assert.rejects(work('generate', 'modp1'), /no group 'modp1'/);
    await assert.rejects(work('sign', 'rsa-md5', { key: '', data: new Uint8Array() }), /no signature scheme/);
    const secret = octets(SCALAR);
    await work('derive', 'x25519', { private: secret, public: octets(POINT) });
    assert.deepEqual(secret, octets(SCALAR));
  });

  it('RFC 8031 §2.3: a point of small order is refused', () => {
    performNow({ operation: 'derive', algorithm: 'x25519', parameters: { private: octets(SCALAR), public: new Uint8Array(32) } }, (result, error) => {
      assert.equal(result, null);
      assert.notEqual(error, undefined);
    });
  });
});

const SCALAR = 'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4';
const POINT = 'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c';
