import assert from 'node:assert/strict';
import { nodeCrypto } from '#src/hyper/node-crypto.js';
import { dropsOf, ProtectedNet, wiretap } from '../../support/ipsec.js';

const ESP = [
  'aes128gcm16',
  'aes192gcm16',
  'aes256gcm12',
  'aes128gcm8',
  'aes128gcm16iiv',
  'chacha20poly1305',
  'chacha20poly1305iiv',
  'aes128ccm16',
  'aes256ccm8',
  'aes128ccm8iiv',
  'aes128gmac',
];
const SEPARATE = [
  'aes128-sha256',
  'aes256-sha512',
  'aes192-sha384',
  'aes128-sha1',
  'aes128ctr-sha256',
  'aes256ctr-sha384',
  'null-sha256',
  'aes128-aesxcbc',
];
const AH = ['sha256', 'sha384', 'sha512', 'sha1', 'aesxcbc'];

const cases = [
  ...[...ESP, ...SEPARATE].map((suite) => ({ suite, protocol: 'esp' as const })),
  ...AH.map((suite) => ({ suite, protocol: 'ah' as const })),
];

describe('manual SAs between two stacks', () => {
  for (const crypto of ['addon', 'node:crypto'] as const) {
    for (const { suite, protocol } of cases) {
      for (const esn of [false, true]) {
        it(`${protocol} ${suite}${esn ? ' ESN' : ''} by ${crypto}: datagrams of many lengths in tunnel and transport mode`, () => {
          for (const mode of ['tunnel', 'transport'] as const) {
            const t = new ProtectedNet({ suite, protocol, mode, sa: { esn }, ...(crypto === 'addon' ? {} : { crypto: nodeCrypto() }) });
            const frames = wiretap(t.a.stack);
            for (const n of [0, 1, 2, 3, 4, 15, 16, 17, 64, 500, 1_300, 4_000]) {
              const data = Uint8Array.from({ length: n }, (_, i) => (i * 7 + n) & 255);
              assert.deepEqual(t.echo(data), data, `${n} octets in ${mode} mode: ${JSON.stringify([dropsOf(t.a.stack), dropsOf(t.b.stack)])}`);
            }
            assert.equal(t.a.outbound.packets, t.b.inbound.packets);
            assert.ok(t.b.inbound.packets >= 12);
            // Nothing but ARP and protected packets has left.
            const number = protocol === 'ah' ? 51 : 50;
            for (const f of frames) assert.ok(f[13] === 6 || f[23] === number, `protocol ${f[23]}`);
            t.end();
          }
        });
      }
    }
  }
});
