// hot: bench/packet
import { type Micros, seconds } from '../../base/time.js';

/** How long a station counts as being where it was last heard. IEEE 802.1Q §8.8.3: 300 s. */
export const AGEING: Micros = seconds(300);

/** Stations of one bridge. At the bound the one longest silent of its set goes, and frames for it are flooded. */
export const STATIONS_MAX = 4_096;

const WAYS = 4;
const SETS = STATIONS_MAX / WAYS;

/**
 * Where stations were heard: sets of four in typed arrays, so that a stranger who sends from a million addresses pushes out what he
 * collides with and costs nobody time.
 */
export class MacTable {
  private readonly secret: number;
  private readonly highs = new Uint16Array(STATIONS_MAX);
  private readonly lows = new Int32Array(STATIONS_MAX);
  /** Interface index of the port, 0 in an empty place. */
  private readonly ports = new Int32Array(STATIONS_MAX);
  private readonly heard = new Float64Array(STATIONS_MAX);

  constructor(secret: number) {
    this.secret = secret;
  }

  /** The port a station was heard on, 0 when nobody knows. */
  find(high: number, low: number, now: Micros): number {
    const first = this.set(high, low);
    for (let i = first; i < first + WAYS; i++) {
      if (this.lows[i] === low && this.highs[i] === high && this.ports[i] !== 0)
        return now - (this.heard[i] as number) < AGEING ? (this.ports[i] as number) : 0;
    }
    return 0;
  }

  /** A frame of this station came in by `port`. */
  learn(high: number, low: number, port: number, now: Micros): void {
    const first = this.set(high, low);
    let place = first;
    for (let i = first; i < first + WAYS; i++) {
      if (this.lows[i] === low && this.highs[i] === high) {
        place = i;
        break;
      }
      if (this.ports[i] === 0 ? this.ports[place] !== 0 : this.ports[place] !== 0 && (this.heard[i] as number) < (this.heard[place] as number))
        place = i;
    }
    this.highs[place] = high;
    this.lows[place] = low;
    this.ports[place] = port;
    this.heard[place] = now;
  }

  /** All stations behind a port are forgotten: its cable was pulled. */
  forget(port: number): void {
    for (let i = 0; i < STATIONS_MAX; i++) if (this.ports[i] === port) this.ports[i] = 0;
  }

  /** Stations known now. */
  list(now: Micros): { high: number; low: number; port: number; age: Micros }[] {
    const all: { high: number; low: number; port: number; age: Micros }[] = [];
    for (let i = 0; i < STATIONS_MAX; i++) {
      const age = now - (this.heard[i] as number);
      if (this.ports[i] !== 0 && age < AGEING)
        all.push({ high: this.highs[i] as number, low: this.lows[i] as number, port: this.ports[i] as number, age });
    }
    return all;
  }

  private set(high: number, low: number): number {
    const h = Math.imul(Math.imul(low ^ this.secret, 0x9e3779b1) ^ high, 0x85ebca6b);
    return ((h ^ (h >>> 15)) & (SETS - 1)) * WAYS;
  }
}
