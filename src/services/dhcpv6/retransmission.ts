import type { Prng } from '../../base/prng.js';
import { type Micros, seconds } from '../../base/time.js';

/** Parameters of one message's retransmission, in seconds and times; 0: without bound. RFC 9915 §15, §7.6. */
export interface Retransmission {
  readonly irt: number;
  readonly mrt: number;
  readonly mrc: number;
  readonly mrd: number;
}

/** RFC 9915 §7.6. Those of renew and rebind end with the leases. */
export const retransmissions = {
  solicit: { irt: 1, mrt: 3_600, mrc: 0, mrd: 0 },
  request: { irt: 1, mrt: 30, mrc: 10, mrd: 0 },
  confirm: { irt: 1, mrt: 4, mrc: 0, mrd: 10 },
  renew: { irt: 10, mrt: 600, mrc: 0, mrd: 0 },
  rebind: { irt: 10, mrt: 600, mrc: 0, mrd: 0 },
  inform: { irt: 1, mrt: 3_600, mrc: 0, mrd: 0 },
  release: { irt: 1, mrt: 0, mrc: 4, mrd: 0 },
  decline: { irt: 1, mrt: 0, mrc: 4, mrd: 0 },
} as const satisfies Record<string, Retransmission>;

/** One message being sent until it is answered. */
export class Attempts {
  private readonly parameters: Retransmission;
  private readonly prng: Prng;
  readonly begun: Micros;
  sent = 0;
  private rt = 0;

  constructor(parameters: Retransmission, prng: Prng, now: Micros) {
    this.parameters = parameters;
    this.prng = prng;
    this.begun = now;
  }

  /** No further one is to be sent. */
  over(now: Micros): boolean {
    const { mrc, mrd } = this.parameters;
    return (mrc !== 0 && this.sent >= mrc) || (mrd !== 0 && now - this.begun >= seconds(mrd));
  }

  /** Counts one sent and answers how long to wait for its answer. `most`: the greatest wait in seconds, where a server has told one. */
  next(now: Micros, most = this.parameters.mrt): Micros {
    const { irt, mrd } = this.parameters;
    const solicits = this.parameters === retransmissions.solicit;
    // RFC 9915 §18.2.1: the first wait of a solicit is not shorter than IRT, so that all servers may be heard.
    const rand = this.sent === 0 && solicits ? 0.1 * this.prng.float() : 0.2 * this.prng.float() - 0.1;
    this.rt = this.sent === 0 ? irt * (1 + rand) : this.rt * (2 + rand);
    if (most !== 0 && this.rt > most) this.rt = most * (1 + rand);
    this.sent++;
    const left = mrd === 0 ? Number.POSITIVE_INFINITY : Math.max(0, seconds(mrd) - (now - this.begun));
    return Math.min(seconds(this.rt), left);
  }

  /** For the elapsed time option: hundredths of a second since the first, at most 65,535. */
  elapsed(now: Micros): number {
    return this.sent === 0 ? 0 : Math.min(65_535, Math.floor((now - this.begun) / 10_000));
  }
}
