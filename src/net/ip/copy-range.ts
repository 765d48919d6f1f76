import type { Packet } from '../../base/packet.js';
import { copyOctets } from '../../base/page.js';
import type { Slot } from '../../base/slab.js';

/** Copies `length` octets that begin `from` octets behind the head of `packet`, across its pieces, to `to` in the slot of `piece`. Returns the octet behind them. */
export function copyRange(packet: Packet, from: number, length: number, piece: Packet, to: number): number {
  let skip = from;
  let left = length;
  for (let i = -1; i < packet.pieces && left > 0; i++) {
    const slot = i < 0 ? packet.slot : (packet.pieceSlot[i] as Slot);
    const start = i < 0 ? packet.head : (packet.pieceStart[i] as number);
    const size = i < 0 ? packet.tail - packet.head : (packet.pieceLength[i] as number);
    if (skip >= size) {
      skip -= size;
      continue;
    }
    const n = Math.min(left, size - skip);
    copyOctets(piece.slot.page, to, slot.page, start + skip, n);
    to += n;
    left -= n;
    skip = 0;
  }
  return to;
}
