import { parseAddress } from '../../base/address.js';
import { ConfigError } from '../../base/errors.js';
import type { Stack } from '../../net/stack.js';
import type { Running } from '../small.js';
import { type ForwarderSpec, startForwarder } from './forwarder.js';
import type { NameLookup } from './lookup.js';
import { createDns, type Dns } from './node-dns.js';
import type { StubResolver } from './resolver.js';
import { DnsSettings, formatServer, parseServer } from './settings.js';

/** What a configuration says of names. */
export interface DnsConfig {
  /** '192.0.2.53', '[2001:db8::53]:5353', 'fe80::1%eth0'. Default: what DHCP and router advertisements tell. */
  readonly servers?: readonly string[];
  /** Domains tried for names of few dots. Default: what is learned. */
  readonly search?: readonly string[];
  /** Dots a name must have to be tried as it stands first. Default 1. */
  readonly ndots?: number;
  /** Letters of questions in random case. Default false. */
  readonly mixedCase?: boolean;
  /** Addresses of names that nobody is asked for, as /etc/hosts has them: { 'plant.example': ['10.0.0.7'] }. */
  readonly hosts?: Readonly<Record<string, readonly string[]>>;
  readonly forwarder?: ForwarderSpec;
}

/** What `dns.status` tells. */
export interface DnsStatus {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  /** Answers kept. */
  readonly cached: number;
  /** Questions under way. */
  readonly pending: number;
  readonly forwarder: boolean;
}

/** A name as hosts are kept by. */
const hostKey = (name: string): string => name.replace(/\.$/, '').toLowerCase();

/** Names of one stack: where they are asked for, the resolver, the forwarder. */
export class Names {
  readonly settings: DnsSettings;
  readonly dns: Dns;
  readonly lookup: NameLookup;
  private readonly core: Stack;
  private readonly stub: StubResolver;
  private forwarder: Running | null = null;

  constructor(core: Stack) {
    this.core = core;
    this.settings = new DnsSettings(core);
    const { dns, lookup, stub } = createDns(core, this.settings);
    this.dns = dns;
    this.lookup = lookup;
    this.stub = stub;
  }

  /** Throws ConfigError for a server's address that is none here, NetError EADDRINUSE when the forwarder's port is taken. */
  configure({ servers = [], search = [], ndots, mixedCase = false, hosts = {}, forwarder }: DnsConfig): void {
    const parsed = servers.map((text) => {
      const server = parseServer(this.core, text);
      if (server === null) throw new ConfigError(`dns.servers: '${text}' is no address of a server, or names no interface of this stack`);
      return server;
    });
    this.forwarder?.close();
    this.forwarder = null;
    this.settings.configure({ servers: parsed, search: search.map((domain) => domain.replace(/\.$/, '')) }, ndots);
    this.settings.hosts = new Map(
      Object.entries(hosts).map(([name, addresses]) => [hostKey(name), addresses.map(parseAddress).filter((a) => a !== null)]),
    );
    this.stub.mixedCase = mixedCase;
    this.stub.cache.flush();
    if (forwarder !== undefined) this.forwarder = startForwarder(this.core, this.stub, forwarder);
  }

  status(): DnsStatus {
    const { core, settings, stub } = this;
    return {
      servers: settings.servers.map((server) => formatServer(core, server)),
      search: settings.search,
      cached: stub.cache.size,
      pending: stub.pending,
      forwarder: this.forwarder !== null,
    };
  }

  /** Records of a type in Node's shapes; without a type the names of an address, and the addresses of a name with the search list. */
  async ask(name: string, type?: string): Promise<unknown[]> {
    const { promises } = this.dns;
    if (type !== undefined) return [await promises.resolve(name, type as 'A')].flat();
    if (parseAddress(name) !== null) return promises.reverse(name);
    return (await promises.lookup(name, { all: true })).map(({ address }) => address);
  }

  /** Questions under way end with ECANCELLED. */
  close(): void {
    this.forwarder?.close();
    this.forwarder = null;
    this.stub.close();
  }
}
