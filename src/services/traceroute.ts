import type { Stack } from '../net/stack.js';
import { Alarm } from './alarm.js';
import { EchoProbe, type ProbeAnswer, sendError } from './echo-probe.js';
import type { Measurement } from './ping.js';

export interface TracerouteOptions {
  /** Hops tried at most. Default 30. */
  readonly hops?: number;
  /** Probes for each. Default 3. */
  readonly probes?: number;
  /** Milliseconds a probe is waited for. Default 1,000. */
  readonly timeout?: number;
  readonly dev?: string;
}

/** One hop: who answered its probes, and when, in milliseconds; null for a probe nobody answered. */
export interface TraceHop {
  readonly hop: number;
  readonly from: string | null;
  readonly times: readonly (number | null)[];
  /** The target answered, or somebody says there is no way. */
  readonly last: boolean;
  readonly error?: string;
}

/** Echo requests with ever greater TTL: routers on the way tell of those that died there. */
export function traceroute(
  core: Stack,
  target: string,
  options: TracerouteOptions = {},
  tell: (hop: TraceHop) => void = () => {},
): Measurement<readonly TraceHop[]> {
  const { hops = 30, probes = 3, timeout = 1_000, dev } = options;
  let stopped = false;
  let answered: (answer: ProbeAnswer) => void = () => {};
  let failed: (error: Error) => void = () => {};
  let late: () => void = () => {};
  const alarm = new Alarm(core.ctx, () => late());
  const probe = new EchoProbe(
    core,
    target,
    dev,
    (answer) => answered(answer),
    (error) => failed(error),
  );

  /** One probe: its answer, or null when none comes in time. */
  const ask = (sequence: number, ttl: number): Promise<ProbeAnswer | null> =>
    new Promise((resolve, reject) => {
      const result = probe.send(sequence, 32, ttl);
      if (result < 0) {
        reject(sendError(result, target));
        return;
      }
      failed = reject;
      late = () => resolve(null);
      answered = (answer) => {
        if (answer.sequence === sequence) resolve(answer);
      };
      alarm.set(timeout);
    });

  const run = async (): Promise<TraceHop[]> => {
    const found: TraceHop[] = [];
    try {
      for (let hop = 1; hop <= hops && !stopped; hop++) {
        const answers: (ProbeAnswer | null)[] = [];
        for (let i = 0; i < probes && !stopped; i++) answers.push(await ask((hop - 1) * probes + i, hop));
        const one = answers.find((a) => a !== null) ?? null;
        const error = one?.error?.kind;
        const last = one !== null && error !== 'time-exceeded';
        const made: TraceHop = {
          hop,
          from: one?.from ?? null,
          times: answers.map((a) => (a === null ? null : a.rtt / 1_000)),
          last,
          ...(last && error !== undefined ? { error } : {}),
        };
        found.push(made);
        tell(made);
        if (last) break;
      }
      return found;
    } finally {
      alarm.cancel();
      probe.close();
    }
  };
  return {
    done: run(),
    stop: () => {
      stopped = true;
      late();
    },
  };
}
