import type * as HostDgram from 'node:dgram';
import type * as HostDns from 'node:dns';
import type * as HostHttp from 'node:http';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import type * as HostNet from 'node:net';
import type * as HostTls from 'node:tls';
import type { Dgram } from './dgram.js';
import { LookupError, localLookup } from './lookup.js';
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
  dgram.createSocket = over.dgram.createSocket as never;
  dgram.Socket = over.dgram.Socket as never;
  installDns(dns, ours);
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
  net.Server.prototype.listen = function (this: HostNet.Server, ...args: unknown[]) {
    const first = args[0] as { path?: unknown; fd?: unknown } | null;
    const pipe = destination(args).path || (typeof first === 'object' && first !== null && first.fd !== undefined);
    return (pipe ? listen : listenHere).apply(this, args);
  } as never;
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

function installDns(dns: Mutable<typeof HostDns>, ours: Chooser): void {
  const local = localLookup(() => true);
  const host = dns.lookup as unknown as Function_;
  const hostPromise = dns.promises.lookup as unknown as Function_;
  dns.lookup = ((name: string, ...rest: unknown[]) => {
    if (!ours(name)) return host(name, ...rest);
    const callback = rest.at(-1) as (error: Error | null, address: unknown, family?: number) => void;
    return local(name, optionsOf(rest), callback);
  }) as never;
  const promises = dns.promises as unknown as Record<string, Function_>;
  promises['lookup'] = (name: unknown, ...rest: unknown[]) =>
    ours(name)
      ? new Promise((resolve, reject) => {
          const { all = false, ...options } = optionsOf(rest) as { all?: boolean };
          local(name as string, { ...options, all }, (error, address, family) =>
            error ? reject(error) : resolve(all ? address : { address, family }),
          );
        })
      : hostPromise(name, ...rest);
  const questions = Object.keys(dns).filter((name) => /^(resolve|reverse)/.test(name));
  const callbacks = dns as unknown as Record<string, Function_>;
  for (const question of questions) refuse(callbacks, promises, question, ours);
}

/** Questions to a name server: the stack has none, and the host's is not asked. */
function refuse(callbacks: Record<string, Function_>, promises: Record<string, Function_>, question: string, ours: Chooser): void {
  const host = callbacks[question] as Function_;
  const hostPromise = promises[question] as Function_;
  callbacks[question] = (name, ...rest) => {
    if (!ours(name)) return host(name, ...rest);
    const callback = rest.at(-1) as (error: Error) => void;
    process.nextTick(callback, new LookupError(String(name)));
    return undefined;
  };
  promises[question] = (name, ...rest) => (ours(name) ? Promise.reject(new LookupError(String(name))) : hostPromise(name, ...rest));
}

function optionsOf(rest: readonly unknown[]): object {
  const [first] = rest;
  if (typeof first === 'number') return { family: first };
  return typeof first === 'object' && first !== null ? first : {};
}
