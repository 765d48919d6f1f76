import type * as HostDgram from 'node:dgram';
import type * as HostDns from 'node:dns';
import type * as HostHttp from 'node:http';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import type * as HostNet from 'node:net';
import type * as HostTls from 'node:tls';
import type { Dgram, DgramType, MessageListener } from './dgram.js';
import { LookupError } from './lookup.js';
import type { Net } from './net.js';

/** Which destinations the stack serves; the others go to the host. Default: all. */
export interface InstallOptions {
  /** Names and addresses left to the host; '.example.org' stands for all below it. */
  readonly excludeHosts?: readonly string[];
  /** When given, only these go over the stack. */
  readonly includeHosts?: readonly string[];
}

interface Over {
  readonly net: Net;
  readonly dgram: Dgram;
  /** In the shape of node:dns. */
  readonly dns: object;
}

type Function_ = (this: unknown, ...args: unknown[]) => unknown;

/**
 * Puts a stack in the place of the host's network for the whole process: `net`, `dgram`, `dns`, and through them http, https,
 * tls, http2 and fetch, for CommonJS and ESM users alike. Node's classes stay where they are (`instanceof` goes on working);
 * what they dial and listen with is replaced. Unix sockets and pipes stay the host's. Nothing falls back to the host by
 * accident: a name the stack cannot resolve is not found.
 */
export function install(over: Over, options: InstallOptions = {}): void {
  const require = createRequire(import.meta.url);
  const net = require('node:net') as Mutable<typeof HostNet>;
  const tls = require('node:tls') as Mutable<typeof HostTls>;
  const http = require('node:http') as typeof HostHttp;
  const dgram = require('node:dgram') as Mutable<typeof HostDgram>;
  const dns = require('node:dns') as Mutable<typeof HostDns>;
  const ours = chooser(options);
  installNet(net, over.net, ours);
  installTls(tls, net);
  http.Agent.prototype.createConnection = net.connect as never;
  dgram.Socket = over.dgram.Socket as never;
  installDns(dns, over.dns, ours);
  installDgram(dgram, over.dgram, dns);
  syncBuiltinESMExports();
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Chooser = (host: unknown) => boolean;

function chooser({ excludeHosts = [], includeHosts }: InstallOptions): Chooser {
  const matches = (list: readonly string[], host: string): boolean =>
    list.some((entry) => entry === host || (entry.startsWith('.') && host.endsWith(entry)));
  return (given) => {
    const host = typeof given === 'string' ? given : 'localhost';
    if (matches(excludeHosts, host)) return false;
    return includeHosts === undefined || matches(includeHosts, host);
  };
}

/** (options | port [, host] | path) [, callback], as far as the choice needs it. */
function destination(args: readonly unknown[]): { readonly path: boolean; readonly host: unknown } {
  const first = args[0];
  if (Array.isArray(first)) return destination(first); // net's own normalized arguments
  if (typeof first === 'object' && first !== null) {
    const { path, host } = first as { path?: unknown; host?: unknown };
    return { path: typeof path === 'string' && !('port' in first), host };
  }
  return { path: typeof first === 'string' && Number.isNaN(Number(first)), host: typeof args[1] === 'string' ? args[1] : undefined };
}

function installNet(net: Mutable<typeof HostNet>, stack: Net, ours: Chooser): void {
  const { connect } = net;
  const listen = net.Server.prototype.listen as unknown as Function_;
  const listenHere = stack.Server.prototype.listen as unknown as Function_;
  const dial = (...args: unknown[]): unknown => {
    const { path, host } = destination(args);
    return path || !ours(host) ? (connect as unknown as Function_)(...args) : stack.connect(...args);
  };
  net.connect = net.createConnection = dial as never;
  net.Socket = stack.Socket as never;
  (net as { Stream?: unknown }).Stream = stack.Socket; // its old name
  net.getDefaultAutoSelectFamily = stack.getDefaultAutoSelectFamily;
  net.setDefaultAutoSelectFamily = stack.setDefaultAutoSelectFamily;
  net.getDefaultAutoSelectFamilyAttemptTimeout = stack.getDefaultAutoSelectFamilyAttemptTimeout;
  net.setDefaultAutoSelectFamilyAttemptTimeout = stack.setDefaultAutoSelectFamilyAttemptTimeout;
  net.Server.prototype.listen = function (this: HostNet.Server, ...args: unknown[]) {
    const first = args[0] as { path?: unknown; fd?: unknown } | null;
    const pipe = destination(args).path || (typeof first === 'object' && first !== null && first.fd !== undefined);
    return (pipe ? listen : listenHere).apply(this, args);
  } as never;
}

/** A program that has put its own function in the place of dns.lookup has its sockets ask it, as in Node. */
function installDgram(dgram: Mutable<typeof HostDgram>, stack: Dgram, dns: typeof HostDns): void {
  const { lookup } = dns;
  dgram.createSocket = ((type: DgramType, listener?: MessageListener) => {
    const options = typeof type === 'object' && type !== null ? type : { type };
    return stack.createSocket(dns.lookup === lookup ? type : { lookup: dns.lookup as never, ...options }, listener);
  }) as never;
}

/** Node's TLS over a socket that was dialled as everything else is. */
function installTls(tls: Mutable<typeof HostTls>, net: typeof HostNet): void {
  const connect = tls.connect as unknown as Function_;
  tls.connect = ((...args: unknown[]) => {
    const callback = args.find((a) => typeof a === 'function');
    const objects = args.filter((a): a is object => typeof a === 'object' && a !== null);
    const given = Object.assign({}, ...objects) as HostTls.ConnectionOptions;
    if (typeof args[0] === 'number' || typeof args[0] === 'string') given.port = Number(args[0]);
    if (typeof args[1] === 'string') given.host = args[1];
    if (given.socket !== undefined || given.path !== undefined) return connect(...args);
    const { checkServerIdentity: _check, ...dialled } = given;
    const socket = net.connect({ ...dialled, host: given.host ?? 'localhost' } as HostNet.NetConnectOpts);
    const secure = connect({ ...given, socket, servername: given.servername ?? nameOnly(given.host, net) }, callback) as HostTls.TLSSocket;
    socket.on('error', (error) => secure.destroy(error));
    return secure;
  }) as never;
}

/** RFC 6066 §3: a server name is a name; addresses are not sent. */
const nameOnly = (host: string | undefined, net: typeof HostNet): string => (host === undefined || net.isIP(host) !== 0 ? '' : host);

/** Names are asked of the stack's servers, and what the stack does not know to ask is not found. */
function installDns(dns: Mutable<typeof HostDns>, stack: object, ours: Chooser): void {
  replaceQuestions(dns as unknown as Questions, stack as Questions, ours, (name, ...rest) => {
    process.nextTick(rest.at(-1) as (error: Error) => void, new LookupError(String(name)));
    return undefined;
  });
  const { promises } = stack as { promises: object };
  replaceQuestions(dns.promises as unknown as Questions, promises as Questions, ours, (name) => Promise.reject(new LookupError(String(name))));
}

type Questions = Record<string, Function_>;

/** Questions begin with the name that decides whose they are; servers and their class are the stack's alone. */
function replaceQuestions(host: Questions, stack: Questions, ours: Chooser, refuse: Function_): void {
  for (const name of ['Resolver', 'getServers', 'setServers', 'getDefaultResultOrder', 'setDefaultResultOrder'])
    host[name] = stack[name] as Function_;
  for (const question of Object.keys(host).filter((key) => /^(lookup|resolve|reverse)/.test(key))) {
    const theirs = host[question] as Function_;
    const here = stack[question] ?? refuse;
    host[question] = (name, ...rest) => (ours(name) ? here(name, ...rest) : theirs(name, ...rest));
  }
}
