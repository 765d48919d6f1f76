import type { Micros } from './time.js';

/** A rate limit: `rate` tokens a second, at most `burst` saved. Time is an argument. */
export class TokenBucket {
  private tokens: number;
  private at: Micros;

  constructor(now: Micros, burst: number) {
    this.tokens = burst;
    this.at = now;
  }

  /** Takes one token. False when there is none: the answer is not sent. */
  take(now: Micros, rate: number, burst: number): boolean {
    this.tokens = Math.min(burst, this.tokens + ((now - this.at) * rate) / 1_000_000);
    this.at = now;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}
