import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { NetError } from '../../base/errors.js';
import { opposite, type Place } from './place.js';
import { type RelayContext, StreamRelay } from './relay.js';
import { reset, splice } from './splice.js';
import { allowed, type Users } from './users.js';

/** What concerns one connection only, and is not passed on. RFC 9110 §7.6.1; Proxy-Connection, which no RFC has, is sent by old clients. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** An HTTP proxy (RFC 9110 §3.7): tunnels by CONNECT (§9.3.6), and requests whose target is an absolute http: URI. */
export class HttpProxy extends StreamRelay {
  private readonly users: Users | null;

  constructor(context: RelayContext, from: Place, max: number, users: Users | null) {
    const server: Server = createServer();
    super(context, 'http', from, null, max, server);
    this.users = users;
    // Those that are refused too are heard out, but not in any number.
    server.maxConnections = 2 * max;
    server.on('connect', (asked, socket, head) => this.tunnel(asked, socket as Socket, head));
    server.on('request', (asked, response) => this.forward(asked, response));
  }

  private dial(host: string, port: number): Socket {
    return this.own(this.context.sides[opposite(this.from.side)].dial(host, port));
  }

  /** Null when the request may go on; else what to answer. */
  private refusal({ headers }: IncomingMessage): Refusal | null {
    const { users } = this;
    if (users !== null) {
      const [, encoded = ''] = /^basic +(\S+)$/i.exec(headers['proxy-authorization'] ?? '') ?? [];
      const [, user = '', password = ''] = /^([^:]*):([\s\S]*)$/.exec(Buffer.from(encoded, 'base64').toString()) ?? [];
      if (!allowed(users, user, password))
        return { status: 407, why: 'name and password, please', headers: { 'proxy-authenticate': 'Basic realm="anystack"' } };
    }
    return this.admit() ? null : { status: 503, why: 'all places of this proxy are taken' };
  }

  private tunnel(asked: IncomingMessage, socket: Socket, head: Buffer): void {
    const target = authority(asked.url ?? '');
    const refused = target === null ? { status: 400, why: 'CONNECT takes HOST:PORT' } : this.refusal(asked);
    if (refused !== null || target === null) {
      say(socket, refused as Refusal);
      return;
    }
    socket.once('close', () => this.leave());
    const far = this.dial(target.host, target.port);
    let why: NodeJS.ErrnoException = new NetError('ECONNABORTED', 'connect', target.host, target.port);
    const failed = (): void => say(socket, unreachable(why));
    const gone = (): void => reset(far);
    far.once('error', (error) => {
      why = error;
    });
    // A stack that has ended closes it without an error.
    far.once('close', failed);
    socket.once('close', gone);
    far.once('connect', () => {
      far.off('close', failed);
      socket.off('close', gone);
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length > 0) socket.unshift(head);
      splice(socket, far);
    });
  }

  private forward(asked: IncomingMessage, response: ServerResponse): void {
    const target = URL.canParse(asked.url ?? '') ? new URL(asked.url as string) : null;
    const refused =
      target?.protocol === 'http:' ? this.refusal(asked) : { status: 400, why: 'this is a proxy: it takes absolute http: URIs, and CONNECT' };
    if (refused !== null || target === null) {
      answer(response, refused as Refusal);
      return;
    }
    response.once('close', () => this.leave());
    const host = target.hostname.replace(/^\[|\]$/g, '');
    const onward = request({
      method: asked.method,
      path: `${target.pathname}${target.search}`,
      // RFC 9112 §3.2.2: Host is that of the target, whatever the client said.
      headers: { ...passed(asked.headers, asked.httpVersion), ...framing(asked.headers), host: target.host },
      setHost: false,
      createConnection: () => this.dial(host, target.port === '' ? 80 : Number(target.port)),
    });
    onward.on('response', (got) => {
      response.writeHead(got.statusCode ?? 502, passed(got.headers, got.httpVersion));
      got.pipe(response);
      got.on('error', () => response.destroy());
    });
    onward.on('error', (error) => (response.headersSent ? response.destroy() : answer(response, unreachable(error))));
    response.on('close', () => onward.destroy());
    asked.pipe(onward);
  }
}

/** Node frames the body of a GET only when told to, and one without a frame would be read as the next request. */
const framing = (headers: IncomingHttpHeaders): Record<string, string> =>
  headers['transfer-encoding'] === undefined ? {} : { 'transfer-encoding': 'chunked' };

/** A status that says why not. */
interface Refusal {
  readonly status: number;
  readonly why: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function unreachable({ code, message }: NodeJS.ErrnoException): Refusal {
  return { status: code === 'ETIMEDOUT' ? 504 : 502, why: message };
}

function answer(response: ServerResponse, { status, why, headers = {} }: Refusal): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close', ...headers });
  response.end(`${why}\n`);
}

/** The same on a socket that speaks HTTP no more. */
function say(socket: Socket, { status, why, headers = {} }: Refusal): void {
  if (socket.destroyed) return;
  const fields = Object.entries({
    ...headers,
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(why) + 1,
    connection: 'close',
  });
  socket.once('end', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${why.replace(/[^\x20-\x7e]/g, ' ')}\r\n${fields.map(([key, value]) => `${key}: ${value}\r\n`).join('')}\r\n${why}\n`,
  );
  socket.resume();
}

/** HOST:PORT, [ADDRESS]:PORT. Null for anything else: a port is not to be guessed (RFC 9110 §9.3.6). */
function authority(text: string): { readonly host: string; readonly port: number } | null {
  const [, six, other, digits] = /^(?:\[([^\]\s]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = six ?? other;
  const port = Number(digits);
  return host === undefined || port < 1 || port > 65_535 ? null : { host, port };
}

/** The fields that go on, and that we had them in hand (RFC 9110 §7.6.3). */
function passed(headers: IncomingHttpHeaders, version: string): Record<string, string | string[]> {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  const kept = Object.entries(headers).filter(([name, value]) => value !== undefined && !HOP_BY_HOP.includes(name) && !named.includes(name));
  const via = `${version} anystack`;
  return { ...(Object.fromEntries(kept) as Record<string, string | string[]>), via: headers.via === undefined ? via : `${headers.via}, ${via}` };
}
