import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { anyFamily } from '../api/endpoint.js';
import { createHttp } from '../api/http.js';
import { interfaceNamed } from '../api/link.js';
import { createNet, type ListenOptions } from '../api/net.js';
import { errnoName, NetError } from '../base/errors.js';
import type { Stack } from '../net/stack.js';
import { prometheus } from '../observe/metrics.js';
import { statusOf } from '../observe/status.js';
import { HttpCapture, type StartCapture } from './http-capture.js';
import type { Running } from './small.js';
import { STATUS_PAGE } from './status-page.js';

/** Options of the status page. */
export interface HttpSpec {
  /** Default 80. */
  readonly port?: number;
  /** Where it listens. Default: everywhere. */
  readonly interfaces?: readonly string[];
  /** Whoever reaches the page may download what passes: /capture.pcapng?seconds=10&filter=icmp. Default false. */
  readonly capture?: boolean;
}

/** Octets one /bulk answer has at most. */
const BULK_MAX = 2 ** 40;
const CHUNK = new Uint8Array(65_536).fill(0x61);

/** The status page: read only, on the stack's own sockets. */
export function statusServer(core: Stack, { port = 80, interfaces = [], capture = false }: HttpSpec, startCapture: StartCapture): Running {
  const started = core.hyper.monotonic();
  const http = createHttp(createNet(core));
  const site: Site = { core, started, captures: capture ? new HttpCapture(core, startCapture) : null };
  const names = interfaces.length === 0 ? [undefined] : interfaces;
  for (const name of names) probe(core, port, name === undefined ? 0 : interfaceNamed(core, name, 'listen').index);
  const servers = names.map((name) => {
    const server = http.createServer((request, response) => answer(site, request, response));
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

/** What is served. */
interface Site {
  readonly core: Stack;
  readonly started: number;
  readonly captures: HttpCapture | null;
}

function answer({ core, started, captures }: Site, request: IncomingMessage, response: ServerResponse): void {
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
    case '/uplot.js':
      sendFile(response, 'text/javascript; charset=utf-8', 'uplot/dist/uPlot.iife.min.js');
      return;
    case '/uplot.css':
      sendFile(response, 'text/css; charset=utf-8', 'uplot/dist/uPlot.min.css');
      return;
    case '/capture.pcapng':
      if (captures === null) refuse(response, 403, 'this page has no captures; services.http.capture allows them');
      else if (request.method === 'HEAD') response.end();
      else {
        const refused = captures.answer(new URLSearchParams(query), request, response);
        if (refused !== null) refuse(response, ...refused);
      }
      return;
    default:
      refuse(response, 404, 'there is /, /status.json, /metrics, /capture.pcapng and /bulk?bytes=N');
  }
}

function send(response: ServerResponse, type: string, body: string): void {
  response.writeHead(200, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    // Nothing from elsewhere runs here, whatever a name on the page says.
    'content-security-policy':
      "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  });
  response.end(body);
}

/** A file of a package, where it is installed. */
function sendFile(response: ServerResponse, type: string, path: string): void {
  let text: string;
  try {
    text = readFileSync(createRequire(import.meta.url).resolve(path), 'utf8');
  } catch {
    refuse(response, 404, `${path} is not installed`);
    return;
  }
  send(response, type, text);
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
