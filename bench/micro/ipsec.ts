/** Lookups of IPsec: an SPI among 10,000 SAs, a flow among 1,000 policies, the anti-replay window. */
import { v4 } from '#src/base/address.js';
import { Prng } from '#src/base/prng.js';
import { keyMaterial, parseSuite } from '#src/net/ipsec/algorithms.js';
import { Replay } from '#src/net/ipsec/replay.js';
import { Sa } from '#src/net/ipsec/sa.js';
import { Sad } from '#src/net/ipsec/sad.js';
import { FlowKey, selectorOf } from '#src/net/ipsec/selector.js';
import { Spd } from '#src/net/ipsec/spd.js';
import { measure } from './measure.js';

const prng = new Prng(1);
const suite = parseSuite('aes128gcm16');
const keys = new Uint8Array(keyMaterial(suite));
const sad = new Sad();
const spis = new Int32Array(10_000);
for (let i = 0; i < spis.length; i++) {
  const spi = 256 + prng.below(2 ** 32 - 256);
  spis[i] = spi;
  sad.add(new Sa({ direction: 'out', spi, mode: 'tunnel', source: v4(1), destination: v4(2), suite, keys }, { id: 0, close: () => {} }, 0));
}
measure('SAD: one of 10,000 SPIs', (i) => (sad.find(spis[(i * 7_919) % 10_000] as number) === null ? 0 : 1));

const spd = new Spd(1);
for (let i = 0; i < 1_000; i++) {
  spd.add({
    name: String(i),
    action: 'bypass',
    selectors: [selectorOf({ address: v4((0x0a000000 + (i << 8)) | 0), length: 24 }, { address: v4(0x0b000000), length: 8 })],
  });
}
const flows = Array.from({ length: 256 }, (_, i) => {
  const flow = new FlowKey();
  flow.local.setV4((0x0a000001 + ((i * 4) << 8)) | 0);
  flow.remote.setV4(0x0b000001 + i);
  flow.protocol = 6;
  flow.localPort = 40_000 + i;
  flow.remotePort = 443;
  return flow;
});
measure('SPD: a flow of 256, 1,000 policies', (i) => (spd.lookup(flows[i & 255] as FlowKey) === null ? 0 : 1));
measure('SPD: the list itself, 1,000 policies', (i) => (spd.search(flows[i & 255] as FlowKey) === null ? 0 : 1));

for (const size of [64, 4_096]) {
  const window = new Replay(size);
  let sequence = 1;
  measure(`replay window of ${size}: check and accept`, () => (window.check(++sequence) && window.accept(sequence) ? 1 : 0));
}
