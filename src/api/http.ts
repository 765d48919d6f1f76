/** The shapes of `node:http`, `node:https`, `node:tls` and `node:http2` over a stack: Node's own, on our sockets. */
import * as hostHttp from 'node:http';
import * as hostHttp2 from 'node:http2';
import * as hostHttps from 'node:https';
import type { Server as HostServer, Socket as HostSocket } from 'node:net';
import type { Duplex } from 'node:stream';
import * as hostTls from 'node:tls';
import { type Callable, callable } from './callable.js';
import type { Net } from './net.js';
import { showAddresses } from './tls-carrier.js';

/** `node:http` for one stack. */
export type Http = typeof hostHttp;
/** `node:https` for one stack. */
export type Https = typeof hostHttps;
/** `node:tls` for one stack. A TLSSocket over any socket is Node's: `new tls.TLSSocket(socket, …)`. */
export type Tls = typeof hostTls;
/** `node:http2` for one stack. */
export type Http2 = typeof hostHttp2;

/** Node's globalAgent since Node 19: connections are kept, the last used first, 5 s. */
const KEPT = { keepAlive: true, scheduling: 'lifo', timeout: 5_000 } as const;

type Dial = (this: hostHttp.Agent, options: object) => Duplex;
type Class<T> = { readonly prototype: T };

interface AgentOptions {
  readonly socket?: Duplex;
  /** That of the request; a Unix socket's is socketPath. */
  readonly path?: string;
  readonly socketPath?: string;
}

const withoutPath = (options: AgentOptions): object => ({ ...options, path: options.socketPath });

/** An agent of Node that dials by `createConnection`; callable without new, as Node's is. */
function agentClass<T extends hostHttp.Agent>(Host: Class<T>, createConnection: (this: T, options: AgentOptions) => Duplex): Callable<T, unknown[]> {
  return callable<T, unknown[]>({
    name: 'Agent',
    methods: Host,
    shared: { createConnection },
    setup: (self, ...args) => construct(Host, self, args),
  });
}

/** A server of Node that listens on the stack. */
function serverClass<T extends HostServer>(net: Net, Host: Class<T>): Callable<T, unknown[]> {
  return callable<T, unknown[]>({ name: 'Server', methods: Host, shared: {}, setup: (self, ...args) => construct(Host, net.adopt(self), args) });
}

/** Node's constructors are functions, and run on any object that has them behind it. */
function construct<T>(Host: Class<T>, self: T, args: unknown[]): undefined {
  (Host as unknown as { apply(self: T, args: unknown[]): void }).apply(self, args);
  return undefined;
}

/** `node:http` over `net`. */
export function createHttp(net: Net): Http {
  const Agent = agentClass(hostHttp.Agent, (options: AgentOptions) => net.connect(withoutPath(options)));
  const globalAgent = new Agent(KEPT);
  const request = (...args: unknown[]): hostHttp.ClientRequest => call(hostHttp.request, withAgent(args, globalAgent, Agent));
  return {
    ...hostHttp,
    Agent,
    Server: serverClass(net, hostHttp.Server),
    globalAgent,
    createServer: (...args: unknown[]) => net.adopt(call(hostHttp.createServer, args)),
    request,
    get: (...args: unknown[]) => request(...args).end(),
  } as unknown as Http;
}

/** `node:https` over `net`. */
export function createHttps(net: Net): Https {
  const Agent = agentClass(hostHttps.Agent, function (this: hostHttps.Agent, options: AgentOptions) {
    const socket = options.socket ?? net.connect(beneathTls(withoutPath(options)));
    // Node's own keeps the TLS sessions, and takes a socket that is there.
    const secure = (hostHttps.Agent.prototype as unknown as { createConnection: Dial }).createConnection.call(this, { ...options, socket });
    showAddresses(secure, socket);
    return secure;
  });
  const globalAgent = new Agent(KEPT);
  const request = (...args: unknown[]): hostHttp.ClientRequest => call(hostHttps.request, withAgent(args, globalAgent, Agent));
  return {
    ...hostHttps,
    Agent,
    Server: serverClass(net, hostHttp.Server),
    globalAgent,
    createServer: (...args: unknown[]) => net.adopt(call(hostHttps.createServer, args)),
    request,
    get: (...args: unknown[]) => request(...args).end(),
  } as unknown as Https;
}

/** `node:tls` over `net`. */
export function createTls(net: Net): Tls {
  return {
    ...hostTls,
    Server: serverClass(net, hostTls.Server),
    createServer: (...args: unknown[]) => net.adopt(call(hostTls.createServer, args)),
    connect: (...args: unknown[]) => tlsConnect(net, args),
  } as unknown as Tls;
}

/** (options | port [, host] [, options]) [, callback]. */
function tlsConnect(net: Net, args: readonly unknown[]): hostTls.TLSSocket {
  const options: { port?: unknown; host?: unknown; socket?: Duplex; path?: string } = Object.assign(
    {},
    ...args.filter((x) => typeof x === 'object' && x !== null),
  );
  const [port, host] = args;
  if (typeof port !== 'object' && typeof port !== 'function') options.port = port;
  if (typeof host === 'string') options.host = host;
  const last = args[args.length - 1];
  const callback = typeof last === 'function' ? (last as () => void) : undefined;
  const socket = options.socket ?? net.connect(beneathTls(options));
  const secure = hostTls.connect({ ...(options as hostTls.ConnectionOptions), socket }, callback);
  showAddresses(secure, socket);
  return secure;
}

/** The TLS socket ends the one beneath it, at a signal too, and reads from it. */
const beneathTls = (options: object): object => ({ ...options, signal: undefined, onread: undefined });

/** `node:http2` over `net`. */
export function createHttp2(net: Net): Http2 {
  const createConnection = (authority: URL, options: hostHttp2.SecureClientSessionOptions): Duplex => {
    const host = authority.hostname.replace(/^\[|\]$/g, '') || 'localhost';
    const secure = authority.protocol === 'https:';
    const port = Number(authority.port) || (secure ? 443 : 80);
    if (!secure) return net.connect({ ...options, port, host } as object);
    const servername = net.isIP(host) === 0 ? { servername: host } : {};
    return tlsConnect(net, [{ ALPNProtocols: ['h2'], ...servername, ...options, port, host }]);
  };
  return {
    ...hostHttp2,
    createServer: (...args: unknown[]) => net.adopt(call(hostHttp2.createServer, args)),
    createSecureServer: (...args: unknown[]) => net.adopt(call(hostHttp2.createSecureServer, args)),
    connect(authority: string | URL, options: unknown, listener: unknown) {
      const given = typeof options === 'object' && options !== null ? options : {};
      const done = typeof options === 'function' ? options : listener;
      return call(hostHttp2.connect, [authority, { createConnection, ...given }, done]);
    },
  } as unknown as Http2;
}

/** What undici asks of `new Agent({ connect })`. */
export interface UndiciConnectOptions {
  readonly hostname: string;
  readonly host?: string | undefined;
  readonly protocol: string;
  readonly port: string;
  readonly servername?: string | undefined;
  readonly localAddress?: string | null | undefined;
  readonly httpSocket?: Duplex | undefined;
}

/** With the connection, or with what went wrong. */
export type UndiciCallback = (...result: [null, HostSocket] | [Error, null]) => void;

/** The `connect` of an undici Agent or Client, and with it of `fetch`, over `net`. `options` go to tls.connect: ca, rejectUnauthorized. */
export function createConnector(net: Net, options: hostTls.ConnectionOptions = {}): (to: UndiciConnectOptions, callback: UndiciCallback) => void {
  return (to, callback) => {
    const secure = to.protocol === 'https:';
    const local = to.localAddress ? { localAddress: to.localAddress } : {};
    const where = { host: to.hostname, port: to.port === '' ? (secure ? 443 : 80) : Number(to.port), ...local };
    const name = to.servername ?? (net.isIP(to.hostname) === 0 ? to.hostname : '');
    const over = to.httpSocket === undefined ? {} : { socket: to.httpSocket };
    const socket: HostSocket = secure
      ? tlsConnect(net, [{ ...options, ...where, ...over, ...(name === '' ? {} : { servername: name }) }])
      : net.connect(where);
    const failed = (error: Error): void => callback(error, null);
    socket.once('error', failed);
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      socket.removeListener('error', failed);
      callback(null, socket);
    });
  };
}

/** (url | options) [, options] [, callback], with an agent of ours unless there is one: Node's default would go to the host's network. */
function withAgent(args: readonly unknown[], globalAgent: hostHttp.Agent, Agent: new () => hostHttp.Agent): unknown[] {
  const at = args.findIndex((x) => typeof x === 'object' && x !== null && !(x instanceof URL));
  const given = (at < 0 ? {} : args[at]) as { agent?: hostHttp.Agent | false | null; createConnection?: unknown };
  const own = given.createConnection === undefined ? globalAgent : undefined;
  const options = { ...given, agent: given.agent === false ? new Agent() : (given.agent ?? own) };
  return at < 0 ? [args[0], options, ...args.slice(1)] : args.map((x, i) => (i === at ? options : x));
}

/** Node's overloads are Node's to sort out. */
function call<T>(f: (...args: never[]) => T, args: readonly unknown[]): T {
  return (f as unknown as (...args: unknown[]) => T)(...args);
}
