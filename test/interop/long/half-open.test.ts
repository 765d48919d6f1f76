import assert from 'node:assert/strict';
import type { Packet } from '#src/base/packet.js';
import { Prng } from '#src/base/prng.js';
import { millis } from '#src/base/time.js';
import * as wire from '#src/wire/tcp.js';
import { putSynOptions, TcpOptions } from '#src/wire/tcp-options.js';
import { TcpBench } from '../../support/tcp-bench.js';

const SYNS = 1_000_000;
/** SYNs of one poll, as a device would hand them up. */
const BATCH = 1_000;

/** A SYN from anywhere. */
function syn(t: TcpBench, prng: Prng): Packet {
  const packet = t.ctx.packet();
  assert.ok(packet !== null);
  const at = packet.head;
  const options = new TcpOptions();
  options.mss = 1_460;
  options.sackPermitted = true;
  const end = putSynOptions(packet.view, at + wire.HEADER_LEN, options);
  packet.tail = end;
  wire.put(packet.view, at, 1_024 + prng.below(60_000), t.localPort, prng.uint32() | 0, 0, end - at, wire.Flag.Syn, 65_535, 0, 0);
  packet.source.setV4(((1 + prng.below(126)) << 24) | prng.below(1 << 24));
  packet.destination.copy(t.local);
  wire.finishSegment(packet.view, at, packet.tail, packet.source, packet.destination);
  packet.transport = at;
  packet.family = 4;
  packet.protocol = 6;
  packet.inIndex = 1;
  return packet;
}

describe('TCP: half-open connections', () => {
  for (const [title, sysctl, most] of [
    ['all are kept where there is room for a million, and forgotten in their time', { 'net.ipv4.tcp_max_syn_backlog': 1_048_576 }, SYNS],
    ['a queue of 1,024 is kept, the others live in their cookies', {}, 1_024],
  ] as const) {
    it(`a million SYNs: ${title}`, () => {
      const t = new TcpBench({ sysctl: { 'net.ipv4.tcp_synack_retries': 0, ...sysctl } });
      t.listen(4_096);
      const prng = new Prng(11);
      for (let i = 0; i < SYNS; i += BATCH) {
        t.poll(() => {
          for (let k = 0; k < BATCH; k++) t.tcp.input(syn(t, prng));
        });
        t.sent.length = 0;
      }
      // Some of a million come from the same place twice.
      assert.ok(t.tcp.flows.count <= most && t.tcp.flows.count > 0.98 * most, `${t.tcp.flows.count}`);
      assert.ok(t.ctx.pool.held === 0 && t.ctx.slab.held === 0, 'nothing but the connections is held');
      t.after(millis(10_000));
      assert.equal(t.tcp.flows.count, 0, 'forgotten');
      t.sent.length = 0;
      t.end();
    }).timeout(300_000);
  }
});
