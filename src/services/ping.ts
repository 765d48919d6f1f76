import type { Stack } from '../net/stack.js';
import { Alarm } from './alarm.js';
import { EchoProbe, type ProbeAnswer, sendError } from './echo-probe.js';

export interface PingOptions {
  /** Default: until stopped. */
  readonly count?: number;
  /** Milliseconds between two. Default 1,000. */
  readonly interval?: number;
  /** Octets behind the echo header, [0, 65,000]. Default 56. */
  readonly size?: number;
  /** Milliseconds the last one is waited for. Default 1,000. */
  readonly timeout?: number;
  readonly ttl?: number;
  readonly dev?: string;
}

/** One answer, or what came in its place. Milliseconds. */
export interface PingEvent {
  readonly seq: number;
  readonly from: string;
  readonly time: number;
  readonly ttl: number;
  readonly size: number;
  /** 'unreachable', 'time-exceeded' and so on; left out for an answer. */
  readonly error?: string;
}

/** Milliseconds. */
export interface PingSummary {
  readonly target: string;
  readonly transmitted: number;
  readonly received: number;
  readonly errors: number;
  readonly min: number;
  readonly avg: number;
  readonly max: number;
}

/** A running measurement. */
export interface Measurement<T> {
  readonly done: Promise<T>;
  stop(): void;
}

/** Echo requests at an interval. Throws NetError for a target that is none; `done` rejects when there is no way to it. */
export function ping(core: Stack, target: string, options: PingOptions = {}, tell: (event: PingEvent) => void = () => {}): Measurement<PingSummary> {
  const { count = Number.POSITIVE_INFINITY, interval = 1_000, size = 56, timeout = 1_000, ttl, dev } = options;
  const times: number[] = [];
  let transmitted = 0;
  let errors = 0;
  let finish: (error?: Error) => void = () => {};

  const answered = ({ sequence, from, rtt, ttl: hops, size: octets, error }: ProbeAnswer): void => {
    const time = rtt / 1_000;
    if (error === null) times.push(time);
    else errors++;
    tell({ seq: sequence, from, time, ttl: hops, size: octets, ...(error === null ? {} : { error: error.kind }) });
    if (times.length + errors >= count) finish();
  };
  const probe = new EchoProbe(core, target, dev, answered, (error) => finish(error));

  const done = new Promise<PingSummary>((resolve, reject) => {
    finish = (error) => {
      alarm.cancel();
      probe.close();
      if (error !== undefined) reject(error);
      else resolve(summary(target, transmitted, errors, times));
    };
  });
  const next = (): void => {
    if (transmitted >= count) {
      finish();
      return;
    }
    const result = probe.send(++transmitted, size, ttl);
    if (result < 0) finish(sendError(result, target));
    else alarm.set(transmitted < count ? interval : timeout);
  };
  const alarm = new Alarm(core.ctx, next);
  next();
  return { done, stop: () => finish() };
}

function summary(target: string, transmitted: number, errors: number, times: readonly number[]): PingSummary {
  const total = times.reduce((a, b) => a + b, 0);
  const some = times.length > 0;
  return {
    target,
    transmitted,
    received: times.length,
    errors,
    min: some ? Math.min(...times) : 0,
    avg: some ? total / times.length : 0,
    max: some ? Math.max(...times) : 0,
  };
}
