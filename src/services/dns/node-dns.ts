/** The shape of `node:dns` over a stack. */
import * as hostDns from 'node:dns';
import type { LookupAddress, LookupOptions } from '../../api/lookup.js';
import { ArgumentTypeError, checkedFunction, checkedPort, checkedString } from '../../api/node-errors.js';
import type { Stack } from '../../net/stack.js';
import { NameLookup, type ResultOrder } from './lookup.js';
import { type DnsCallback, NodeResolver, type NodeResolverOptions, parseServers, reverseName } from './node-resolver.js';
import { StubResolver } from './resolver.js';
import { type DnsSettings, formatServer } from './settings.js';

const questions = [
  'resolve',
  'resolve4',
  'resolve6',
  'resolveAny',
  'resolveCaa',
  'resolveCname',
  'resolveMx',
  'resolveNaptr',
  'resolveNs',
  'resolvePtr',
  'resolveSoa',
  'resolveSrv',
  'resolveTlsa',
  'resolveTxt',
  'reverse',
] as const;

type Questions = (typeof questions)[number];
/** What @types/node of our oldest Node knows of them. */
type Known = Exclude<Questions, 'resolveTlsa'>;
type Settings = 'getServers' | 'setServers' | 'getDefaultResultOrder' | 'setDefaultResultOrder';
type Codes = { [K in keyof typeof hostDns]: (typeof hostDns)[K] extends string ? K : never }[keyof typeof hostDns] & keyof typeof hostDns.promises;
type Constants = 'ADDRCONFIG' | 'V4MAPPED' | 'ALL';

/** What `import dns from 'node:dns'` gives, for one stack. */
export type Dns = Pick<typeof hostDns, Known | Codes | Settings | Constants | 'lookup' | 'lookupService' | 'Resolver'> & {
  readonly promises: Pick<typeof hostDns.promises, Known | Codes | Settings | 'lookup' | 'lookupService' | 'Resolver'>;
};

/** The names of one stack: the facade, and what is behind it. */
export interface StackNames {
  readonly dns: Dns;
  readonly stub: StubResolver;
  readonly lookup: NameLookup;
}

/** `node:dns` for `stack`, whose servers `settings` knows. Its questions share one cache. */
export function createDns(stack: Stack, settings: DnsSettings): StackNames {
  const stub = new StubResolver(stack, () => settings.servers);
  const lookup = new NameLookup(stack, stub, settings);
  const shared = new NodeResolver(stack, settings, stub);
  const asked = Object.fromEntries(questions.map((name) => [name, (...args: unknown[]) => call(shared, name, args)]));
  const settled = {
    getServers: () => settings.servers.map((server) => formatServer(stack, server)),
    setServers: (servers: readonly string[]) => {
      settings.override = parseServers(stack, servers);
      stub.cache.flush();
    },
    getDefaultResultOrder: () => lookup.order,
    setDefaultResultOrder: (order: ResultOrder) => {
      if (!['verbatim', 'ipv4first', 'ipv6first'].includes(order))
        throw new ArgumentTypeError(
          'ERR_INVALID_ARG_VALUE',
          `The argument 'dnsOrder' must be one of: 'verbatim', 'ipv4first', 'ipv6first'. Received '${order}'`,
        );
      lookup.order = order;
    },
  };
  class Resolver extends NodeResolver {
    constructor(given?: NodeResolverOptions) {
      super(stack, settings, null, given);
    }
  }
  // NODATA, NOTFOUND, …: what errors have as their code.
  const codes = Object.fromEntries(Object.entries(hostDns).filter(([, value]) => typeof value === 'string'));
  const { ADDRCONFIG, ALL, V4MAPPED } = hostDns;
  const dns = {
    ADDRCONFIG,
    ALL,
    V4MAPPED,
    ...codes,
    ...asked,
    ...settled,
    lookup: (...args: unknown[]) => lookUp(lookup, args),
    lookupService: (...args: unknown[]) => service(shared, args),
    Resolver,
    promises: {
      ...codes,
      ...Object.fromEntries(questions.map((name) => [name, (...args: unknown[]) => promised((done) => call(shared, name, [...args, done]))])),
      ...settled,
      lookup: (name: string, options: unknown = {}) => lookUpPromise(lookup, name, options),
      lookupService: (address: string, port: number) =>
        promised((done) =>
          service(shared, [address, port, (error: Error | null, hostname: string, name: string) => done(error, { hostname, service: name })]),
        ),
      Resolver: promiseResolver(Resolver),
    },
  };
  return { dns: dns as unknown as Dns, stub, lookup };
}

const call = (resolver: NodeResolver, question: Questions, args: readonly unknown[]): unknown =>
  (resolver[question] as (...args: unknown[]) => unknown).apply(resolver, [...args]);

const promised = (run: (done: DnsCallback) => unknown): Promise<unknown> =>
  new Promise((resolve, reject) => run((error, result) => (error === null ? resolve(result) : reject(error))));

/** The same class with questions that answer promises. */
function promiseResolver(Base: new (options?: NodeResolverOptions) => NodeResolver): new (options?: NodeResolverOptions) => NodeResolver {
  class Resolver extends Base {}
  for (const name of questions) {
    const value = function (this: NodeResolver, ...args: unknown[]): Promise<unknown> {
      return promised((done) => (Base.prototype[name] as (...args: unknown[]) => unknown).apply(this, [...args, done]));
    };
    Object.defineProperty(Resolver.prototype, name, { value, configurable: true, writable: true });
  }
  return Resolver;
}

function lookUp(names: NameLookup, args: readonly unknown[]): void {
  const [hostname, given] = args;
  const callback = args[args.length - 1] as Parameters<NameLookup['lookup']>[2];
  checkedFunction(callback, 'callback');
  names.lookup(checkedString(hostname, 'hostname'), lookupOptions(args.length > 2 ? given : {}), callback);
}

function lookUpPromise(names: NameLookup, hostname: string, given: unknown): Promise<unknown> {
  const options = lookupOptions(given);
  checkedString(hostname, 'hostname');
  return new Promise((resolve, reject) => {
    names.lookup(hostname, options, (error, address: string | LookupAddress[], family) => {
      if (error) reject(error);
      else resolve(options.all ? address : { address, family });
    });
  });
}

/** A family alone, or an object; 'IPv4' and 'IPv6' are families too. */
function lookupOptions(given: unknown): LookupOptions {
  const options = typeof given === 'number' ? { family: given } : typeof given === 'object' && given !== null ? (given as { family?: unknown }) : {};
  const { family = 0 } = options as { family?: unknown };
  const number = family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family;
  if (number !== 0 && number !== 4 && number !== 6)
    throw new ArgumentTypeError('ERR_INVALID_ARG_VALUE', `The property 'options.family' must be one of: 0, 4, 6. Received ${String(family)}`);
  return { ...options, family: number };
}

/** The stack knows no names of services: the port stands for itself, as getnameinfo has it where /etc/services is silent. */
function service(resolver: NodeResolver, args: readonly unknown[]): void {
  const [address, port, callback] = args as [string, unknown, (error: Error | null, hostname?: string, service?: string) => void];
  if (reverseName(checkedString(address, 'address')) === null)
    throw new ArgumentTypeError('ERR_INVALID_ARG_VALUE', `The argument 'address' is invalid. Received '${address}'`);
  const name = String(checkedPort(port, 'port'));
  checkedFunction(callback, 'callback');
  resolver.reverse(address, (error, names) => callback(null, error === null ? ((names as string[])[0] ?? address) : address, name));
}
