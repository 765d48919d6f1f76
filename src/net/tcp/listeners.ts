import type { Address } from '../../base/address.js';
import type { Listener } from './listener.js';

/** Listeners by port and VRF. */
export class Listeners {
  private readonly byPort = new Map<number, Listener[]>();

  /** The listener a segment to `local` is for: the one that names most of it. Null when there is none. */
  find(local: Address, port: number, vrf: number, zone: number, inIndex: number): Listener | null {
    const list = this.byPort.get(vrf * 65_536 + port);
    if (list === undefined) return null;
    let best: Listener | null = null;
    let bestScore = -1;
    for (const listener of list) {
      const score = match(listener, local, zone, inIndex);
      if (score > bestScore) {
        best = listener;
        bestScore = score;
      }
    }
    return best;
  }

  add(listener: Listener): void {
    const key = keyOf(listener);
    const list = this.byPort.get(key);
    if (list === undefined) this.byPort.set(key, [listener]);
    else list.push(listener);
  }

  /** Idempotent. */
  remove(listener: Listener): void {
    const key = keyOf(listener);
    const list = this.byPort.get(key);
    if (list === undefined) return;
    const rest = list.filter((other) => other !== listener);
    if (rest.length === 0) this.byPort.delete(key);
    else this.byPort.set(key, rest);
  }

  all(): Listener[] {
    return [...this.byPort.values()].flat();
  }
}

const keyOf = (listener: Listener): number => listener.socket.vrf * 65_536 + listener.socket.localPort;

/** How well a listener fits, −1 when it does not: its interface, then its address, then its family. */
function match(listener: Listener, local: Address, zone: number, inIndex: number): number {
  const { socket } = listener;
  let score = 0;
  if (socket.boundIndex !== 0) {
    if (socket.boundIndex !== inIndex) return -1;
    score += 4;
  }
  if (socket.localAddress.isUnspecified) {
    if (local.isV4 ? socket.family === 6 : socket.family === 4 || socket.localAddress.isV4) return -1;
    return score + (socket.family === 46 ? 0 : 1);
  }
  if (!socket.localAddress.equals(local)) return -1;
  if (socket.zone !== 0 && zone !== 0 && socket.zone !== zone) return -1;
  return score + 2;
}
