import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConfigError } from '../base/errors.js';
import type { Stack } from '../net/stack.js';
import type { Capture, CaptureOptions, CaptureSink } from '../observe/capture.js';

/** Begins a capture of the stack that a service runs on. */
export type StartCapture = (sink: CaptureSink, options: CaptureOptions) => Capture;

/** Captures at a time; one more is asked to come back. */
const CAPTURES_MAX = 2;
const SECONDS_MAX = 60;
/** A capture of all there is may not go on for ever, in octets. */
const OCTETS_MAX = 2 ** 28;
/** Letters of a filter: what it nests, the parser nests too. */
const FILTER_MAX = 256;

/** Answers /capture.pcapng: what passes for some seconds, as it passes. */
export class HttpCapture {
  private readonly core: Stack;
  private readonly start: StartCapture;
  private running = 0;

  constructor(core: Stack, start: StartCapture) {
    this.core = core;
    this.start = start;
  }

  /** A status and why not, or null when octets are on their way. */
  answer(query: URLSearchParams, request: IncomingMessage, response: ServerResponse): readonly [status: number, why: string] | null {
    const seconds = Number(query.get('seconds') ?? 10);
    const filter = (query.get('filter') ?? '').trim();
    if (!(seconds >= 1 && seconds <= SECONDS_MAX)) return [400, `seconds is to be 1 to ${SECONDS_MAX}`];
    if (filter.length > FILTER_MAX) return [400, `filter is to have at most ${FILTER_MAX} letters`];
    if (this.running >= CAPTURES_MAX) return [503, `${CAPTURES_MAX} captures are under way`];
    let octets = 0;
    const sink: CaptureSink = {
      write: (chunk, done) => {
        octets += chunk.length;
        if (octets > OCTETS_MAX) end();
        response.write(chunk, done);
      },
    };
    let capture: Capture;
    try {
      capture = this.start(sink, { filter: withoutOurselves(filter, request) });
    } catch (error) {
      if (error instanceof ConfigError) return [400, error.message];
      throw error;
    }
    this.running++;
    response.writeHead(200, {
      'content-type': 'application/x-pcapng',
      'content-disposition': `attachment; filename="${this.core.ctx.name.replace(/[^\w.-]/g, '-')}.pcapng"`,
      'cache-control': 'no-store',
    });
    const end = (): void => void capture.stop();
    const timer = setTimeout(end, seconds * 1_000);
    response.on('close', end);
    const over = (): void => {
      this.running--;
      clearTimeout(timer);
      response.end();
    };
    capture.done.then(over, over);
    return null;
  }
}

/** A capture of its own download would never end. */
function withoutOurselves(filter: string, { socket }: IncomingMessage): string {
  const own = `not (tcp and port ${socket.remotePort} and port ${socket.localPort})`;
  return filter === '' ? own : `(${filter}) and ${own}`;
}
