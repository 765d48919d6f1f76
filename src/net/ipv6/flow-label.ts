import type { Packet } from '../../base/packet.js';
import { halfSipHash } from '../../base/siphash.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';

/**
 * Flow labels (RFC 6437 §3): one to a flow, not to be guessed, by a hash of the flow with a key of its own, so that
 * nothing is kept.
 */
export class FlowLabels {
  private readonly key: Int32Array;
  private readonly words = new Int32Array(10);

  constructor(ctx: Context) {
    // The stack's second pair of key words, turned: labels go out in clear and should tell nothing of the other tables.
    this.key = Int32Array.of((ctx.secret[2] as number) ^ 0x666c6f77, (ctx.secret[3] as number) ^ 0x6c61626c);
  }

  /** The label of the packet's flow, [1, 2^20). head at the transport header. */
  of(packet: Packet): number {
    const { words: w, key } = this;
    const { source: s, destination: d, protocol } = packet;
    w[0] = s.w0;
    w[1] = s.w1;
    w[2] = s.w2;
    w[3] = s.w3;
    w[4] = d.w0;
    w[5] = d.w1;
    w[6] = d.w2;
    w[7] = d.w3;
    w[8] = protocol;
    w[9] = (protocol === Protocol.Tcp || protocol === Protocol.Udp) && packet.tail - packet.head >= 4 ? packet.view.getInt32(packet.head) : 0;
    return halfSipHash(key, w, 10) & 0xfffff || 1;
  }
}
