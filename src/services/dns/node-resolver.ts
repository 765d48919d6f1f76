import { ArgumentTypeError, checkedFunction, checkedString } from '../../api/node-errors.js';
import { type Address, parseAddress } from '../../base/address.js';
import { NetError } from '../../base/errors.js';
import { millis } from '../../base/time.js';
import type { Stack } from '../../net/stack.js';
import { Type } from '../../wire/dns.js';
import { type DnsCode, DnsError } from './codes.js';
import { type Found, StubResolver } from './resolver.js';
import { type DnsSettings, formatServer, type Hosts, type NameServer, parseServer } from './settings.js';
import { type RrType, shapes, showAny } from './shapes.js';

/** The last argument of every question. */
export type DnsCallback = (error: Error | null, result?: unknown) => void;

/** What a Resolver may be given. Milliseconds; -1 for the default. */
export interface NodeResolverOptions {
  readonly timeout?: number;
  readonly tries?: number;
}

/** What a resolver asks with. */
interface Asking {
  readonly core: Stack;
  readonly stub: StubResolver;
  servers(): readonly NameServer[];
  hosts(): Hosts;
}

/** `dns.Resolver` of node:dns: questions of a type, to servers of its own if it is given some. Names are taken as they stand, without the search list. */
export class NodeResolver {
  private readonly asking: Asking;
  private own: readonly NameServer[] | null = null;
  /** Of ours, asked from: by family. */
  private sources: { readonly v4?: Address; readonly v6?: Address } = {};

  /** `shared`: the stub it asks with, else one of its own is made. */
  constructor(core: Stack, settings: DnsSettings, shared: StubResolver | null, options: NodeResolverOptions = {}) {
    const { timeout = -1, tries = -1 } = options;
    const patience = { ...(timeout > 0 ? { timeout: millis(timeout) } : {}), ...(tries > 0 ? { tries } : {}) };
    const mine = (): readonly NameServer[] =>
      (this.own ?? settings.servers).map((server) => {
        const source = server.address.isV4 ? this.sources.v4 : this.sources.v6;
        return source === undefined ? server : { ...server, source };
      });
    this.asking = { core, stub: shared ?? new StubResolver(core, mine, patience), servers: mine, hosts: () => settings.hosts };
  }

  /** Every question under way ends with ECANCELLED. */
  cancel(): void {
    this.asking.stub.cancel();
  }

  getServers(): string[] {
    return this.asking.servers().map((server) => formatServer(this.asking.core, server));
  }

  /** Throws ERR_INVALID_IP_ADDRESS for what is none. */
  setServers(servers: readonly string[]): void {
    this.own = parseServers(this.asking.core, servers);
    this.asking.stub.cache.flush();
  }

  /** Asks from these addresses of ours. Throws ERR_INVALID_ARG_VALUE for what is none; '0.0.0.0' and '::' are any. */
  setLocalAddress(...addresses: readonly string[]): void {
    const parsed = addresses.map((text) => {
      const address = parseAddress(checkedString(text, 'address'));
      if (address === null) throw new ArgumentTypeError('ERR_INVALID_ARG_VALUE', `Invalid IP address: ${text}`);
      return address;
    });
    const of = (isV4: boolean): Address | undefined => parsed.find((a) => a.isV4 === isV4 && !a.isUnspecified);
    const [v4, v6] = [of(true), of(false)];
    this.sources = { ...(v4 === undefined ? {} : { v4 }), ...(v6 === undefined ? {} : { v6 }) };
  }

  resolve(name: string, type: RrType | 'ANY' | DnsCallback, callback?: DnsCallback): void {
    if (typeof type === 'function') this.ask('A', [name, type]);
    else if (type === 'ANY') this.resolveAny(name, callback as DnsCallback);
    else if (Object.hasOwn(shapes, type)) this.ask(type, [name, callback]);
    else throw new ArgumentTypeError('ERR_INVALID_ARG_VALUE', `The argument 'rrtype' is invalid. Received '${String(type)}'`);
  }

  /** With `{ ttl: true }` each address comes with its TTL. */
  resolve4(...args: readonly unknown[]): void {
    this.ask('A', args);
  }

  resolve6(...args: readonly unknown[]): void {
    this.ask('AAAA', args);
  }

  resolveCaa(...args: readonly unknown[]): void {
    this.ask('CAA', args);
  }

  resolveCname(...args: readonly unknown[]): void {
    this.ask('CNAME', args);
  }

  resolveMx(...args: readonly unknown[]): void {
    this.ask('MX', args);
  }

  resolveNaptr(...args: readonly unknown[]): void {
    this.ask('NAPTR', args);
  }

  resolveNs(...args: readonly unknown[]): void {
    this.ask('NS', args);
  }

  resolvePtr(...args: readonly unknown[]): void {
    this.ask('PTR', args);
  }

  resolveSoa(...args: readonly unknown[]): void {
    this.ask('SOA', args);
  }

  resolveSrv(...args: readonly unknown[]): void {
    this.ask('SRV', args);
  }

  resolveTlsa(...args: readonly unknown[]): void {
    this.ask('TLSA', args);
  }

  resolveTxt(...args: readonly unknown[]): void {
    this.ask('TXT', args);
  }

  resolveAny(name: string, callback: DnsCallback): void {
    this.find(name, Type.ANY, 'queryAny', callback, ({ records }) => records.map(showAny).filter((shown) => shown !== null));
  }

  /** Names of an address. Throws NetError EINVAL when it is none, as Node does. */
  reverse(address: string, callback: DnsCallback): void {
    const name = reverseName(checkedString(address, 'name'));
    checkedFunction(callback, 'callback');
    if (name === null) throw new NetError('EINVAL', 'getHostByAddr', address);
    const parsed = parseAddress(address);
    const known = [...this.asking.hosts()].filter(([, all]) => parsed !== null && all.some((a) => a.equals(parsed))).map(([host]) => host);
    if (known.length > 0) {
      process.nextTick(callback, null, known);
      return;
    }
    this.find(name, Type.PTR, 'getHostByAddr', callback, ({ records }) => records.map(shapes.PTR.show), address);
  }

  private ask(rrtype: RrType, args: readonly unknown[]): void {
    const [name, options] = args;
    const shape = shapes[rrtype];
    const ttl = typeof options === 'object' && options !== null && (options as { ttl?: boolean }).ttl === true;
    this.find(name, shape.type, shape.syscall, args[args.length - 1] as DnsCallback, ({ records }) => {
      if (rrtype === 'SOA') return shape.show(records[0] as (typeof records)[number]);
      return records.map((record) => (ttl ? shape.any(record) : shape.show(record)));
    });
  }

  private find(name: unknown, type: number, syscall: string, callback: DnsCallback, show: (found: Found) => unknown, shown?: string): void {
    const text = checkedString(name, 'name');
    checkedFunction(callback, 'callback');
    this.asking.stub.find(text, type, (result: Found | DnsCode) => {
      if (typeof result === 'string') callback(new DnsError(result, syscall, shown ?? text));
      else callback(null, show(result));
    });
  }
}

/** Throws ERR_INVALID_IP_ADDRESS for what is no address of a server. */
export function parseServers(core: Stack, servers: readonly string[]): NameServer[] {
  return servers.map((text) => {
    const server = parseServer(core, checkedString(text, 'servers'));
    if (server === null) throw new ArgumentTypeError('ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${text}`);
    return server;
  });
}

/** RFC 1035 §3.5, RFC 3596 §2.5; null when the text is no address. */
export function reverseName(text: string): string | null {
  const address = parseAddress(text);
  if (address === null) return null;
  const words = [address.w0, address.w1, address.w2, address.w3];
  if (address.isV4 && !text.includes(':')) return `${[0, 8, 16, 24].map((shift) => (address.w3 >>> shift) & 255).join('.')}.in-addr.arpa`;
  const digits = words.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  return `${[...digits].reverse().join('.')}.ip6.arpa`;
}
