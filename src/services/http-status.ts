import type { IncomingMessage, ServerResponse } from 'node:http';
import { anyFamily } from '../api/endpoint.js';
import { createHttp } from '../api/http.js';
import { interfaceNamed } from '../api/link.js';
import { createNet, type ListenOptions } from '../api/net.js';
import { errnoName, NetError } from '../base/errors.js';
import type { Stack } from '../net/stack.js';
import { prometheus } from '../observe/metrics.js';
import { statusOf } from '../observe/status.js';
import type { Running } from './small.js';
import { STATUS_PAGE } from './status-page.js';

/** Options of the status page. */
export interface HttpSpec {
  /** Default 80. */
  readonly port?: number;
  /** Where it listens. Default: everywhere. */
  readonly interfaces?: readonly string[];
}

/** Octets one /bulk answer has at most. */
const BULK_MAX = 2 ** 40;
const CHUNK = new Uint8Array(65_536).fill(0x61);

/** The status page: read only, on the stack's own sockets. */
export function statusServer(core: Stack, { port = 80, interfaces = [] }: HttpSpec): Running {
  const started = core.hyper.monotonic();
  const http = createHttp(createNet(core));
  const names = interfaces.length === 0 ? [undefined] : interfaces;
  for (const name of names) probe(core, port, name === undefined ? 0 : interfaceNamed(core, name, 'listen').index);
  const servers = names.map((name) => {
    const server = http.createServer((request, response) => answer(core, started, request, response));
    server.on('error', (error) => core.hyper.log('error', `http: ${error.message}`));
    const where: ListenOptions = { port, ...(name === undefined ? {} : { interface: name }) };
    server.listen(where);
    return server;
  });
  return {
    close: () => {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

/** Node tells of a taken port by an event; whoever starts a service wants to know at once. */
function probe(core: Stack, port: number, index: number): void {
  const socket = core.tcp.openSocket(anyFamily(core));
  socket.boundIndex = index;
  const result = socket.bind(null, port);
  socket.close();
  if (result !== 0) throw new NetError(errnoName(result), 'listen', undefined, port);
}

function answer(core: Stack, started: number, request: IncomingMessage, response: ServerResponse): void {
  // By hand: URL throws at what a stranger may send.
  const [pathname = '/', query = ''] = (request.url ?? '/').split('?', 2);
  if (request.method === 'PUT' || request.method === 'POST') {
    if (pathname === '/bulk') sink(request, response);
    else refuse(response, 405, 'only /bulk takes octets, and throws them away');
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    refuse(response, 405, 'this page is read only');
    return;
  }
  switch (pathname) {
    case '/':
      send(response, 'text/html; charset=utf-8', STATUS_PAGE);
      return;
    case '/status.json':
      send(response, 'application/json', JSON.stringify(statusOf(core, started)));
      return;
    case '/metrics':
      send(response, 'text/plain; version=0.0.4; charset=utf-8', prometheus(statusOf(core, started)));
      return;
    case '/bulk':
      source(Number(new URLSearchParams(query).get('bytes') ?? 0), response);
      return;
    default:
      refuse(response, 404, 'there is /, /status.json, /metrics and /bulk?bytes=N');
  }
}

function send(response: ServerResponse, type: string, body: string): void {
  response.writeHead(200, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    // Nothing from elsewhere runs here, whatever a name on the page says.
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
  });
  response.end(body);
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
  response.end(`${why}\n`);
}

/** `bytes` octets, as fast as they are taken. */
function source(bytes: number, response: ServerResponse): void {
  if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes > BULK_MAX) {
    refuse(response, 400, `bytes is to be a whole number of at most ${BULK_MAX}`);
    return;
  }
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes, 'cache-control': 'no-store' });
  let left = bytes;
  const pump = (): void => {
    while (left > 0) {
      const n = Math.min(left, CHUNK.length);
      left -= n;
      if (!response.write(n === CHUNK.length ? CHUNK : CHUNK.subarray(0, n))) {
        response.once('drain', pump);
        return;
      }
    }
    response.end();
  };
  pump();
}

/** Counts what comes and throws it away. */
function sink(request: IncomingMessage, response: ServerResponse): void {
  let octets = 0;
  const from = performance.now();
  request.on('data', (chunk: Buffer) => {
    octets += chunk.length;
  });
  request.on('end', () => {
    const ms = performance.now() - from;
    send(response, 'application/json', JSON.stringify({ bytes: octets, seconds: ms / 1_000, megabytesPerSecond: octets / 1_000 / ms }));
  });
}
