import { type ClientRequest, request as httpRequest } from 'node:http';
import type { Lookup } from '../api/lookup.js';
import type { Stack } from '../net/stack.js';
import { otlp } from '../observe/otlp.js';
import { statusOf } from '../observe/status.js';
import type { SideName } from './relay/place.js';
import { createSides } from './relay/sides.js';
import type { Running } from './small.js';

/** Options of the pushed metrics. */
export interface OtlpSpec {
  /** Of the collector. Default http://127.0.0.1:4318/v1/metrics. */
  readonly url?: string;
  /** Whose network leads there. Default the host's. */
  readonly on?: SideName;
  /** Seconds between two pushes. Default 10. */
  readonly interval?: number;
  /** Resource attribute service.name. Default 'anystack'. */
  readonly service?: string;
}

const URL_DEFAULT = 'http://127.0.0.1:4318/v1/metrics';

/** Pushes metrics to a collector by OTLP over HTTP, in JSON. One push at a time: a collector that is slow or gone misses some, and is told of in the log once. */
export function pushMetrics(core: Stack, spec: OtlpSpec, lookup: Lookup): Running {
  const { url = URL_DEFAULT, on = 'host', interval = 10, service = 'anystack' } = spec;
  const started = core.hyper.monotonic();
  const target = new URL(url);
  const side = createSides(core, lookup)[on];
  const port = target.port === '' ? 80 : Number(target.port);
  let under: ClientRequest | null = null;
  let silent = false;
  const failed = (why: string): void => {
    if (!silent) core.hyper.log('warn', `otlp: ${url}: ${why}`);
    silent = true;
  };
  const push = (): void => {
    if (under !== null) return;
    const body = JSON.stringify(otlp(statusOf(core, started), service));
    const asked = httpRequest({
      method: 'POST',
      path: `${target.pathname}${target.search}`,
      headers: { host: target.host, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      timeout: interval * 1_000,
      createConnection: () => side.dial(target.hostname.replace(/^\[|\]$/g, ''), port),
    });
    under = asked;
    asked.on('response', (response) => {
      if ((response.statusCode ?? 0) >= 300) failed(`status ${response.statusCode}`);
      else silent = false;
      response.resume();
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', (error) => failed(error.message));
    asked.on('close', () => {
      under = null;
    });
    asked.end(body);
  };
  const timer = setInterval(push, interval * 1_000);
  timer.unref();
  push();
  return {
    close: () => {
      clearInterval(timer);
      silent = true;
      under?.destroy();
    },
  };
}
