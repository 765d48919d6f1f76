import { parseEndpoint } from '../../api/endpoint.js';
import { type Address, formatAddress } from '../../base/address.js';
import type { Stack } from '../../net/stack.js';

/** A name server. `zone`: the interface that a link-local address needs, 0 for any. */
export interface NameServer {
  readonly address: Address;
  readonly port: number;
  readonly zone: number;
  /** Of ours, that it is asked from. Default: as routes say. */
  readonly source?: Address;
}

/** RFC 1035 §4.2.1. */
export const DNS_PORT = 53;
/** Servers that are asked, and search domains that are tried, at most; glibc's three and six, and some for those learned. */
export const SERVERS_MAX = 8;
export const SEARCH_MAX = 8;

/** Names and servers of one source. */
export interface Names {
  readonly servers: readonly NameServer[];
  readonly search: readonly string[];
}

/** Names with fixed addresses, as /etc/hosts has them: asked of nobody. Keys in lower case, without a dot at the end. */
export type Hosts = ReadonlyMap<string, readonly Address[]>;

/** Where names are asked for: what the configuration says, else what DHCP and router advertisements (RFC 8106) have told. */
export class DnsSettings {
  private readonly core: Stack;
  private configured: Names = { servers: [], search: [] };
  private readonly learned = new Map<string, Names>();
  /** What the program has set in the place of all others; null: nothing. */
  override: readonly NameServer[] | null = null;
  hosts: Hosts = new Map();
  /** Dots a name must have to be tried as it stands first. resolv.conf(5). */
  ndots = 1;

  constructor(core: Stack) {
    this.core = core;
  }

  /** What the configuration says; empty lists leave the matter to what is learned. */
  configure(names: Names, ndots = 1): void {
    this.configured = names;
    this.ndots = ndots;
  }

  /** What `source` (e.g. 'dhcp eth0') tells, in the place of what it told before; null: nothing any more. */
  learn(source: string, names: Names | null): void {
    if (names === null) this.learned.delete(source);
    else this.learned.set(source, names);
  }

  get servers(): readonly NameServer[] {
    const { configured, core, learned, override } = this;
    if (override !== null) return override;
    if (configured.servers.length > 0) return configured.servers;
    const advertised = core.v6.names.resolvers.map(({ iface, value }) => ({
      address: value,
      port: DNS_PORT,
      zone: value.isLinkLocal ? iface.index : 0,
    }));
    return [...[...learned.values()].flatMap((l) => l.servers), ...advertised].slice(0, SERVERS_MAX);
  }

  get search(): readonly string[] {
    const { configured, core, learned } = this;
    if (configured.search.length > 0) return configured.search;
    const domains = [...[...learned.values()].flatMap((l) => l.search), ...core.v6.names.domains.map((d) => d.value)];
    return [...new Set(domains)].slice(0, SEARCH_MAX);
  }
}

/** '192.0.2.1', '192.0.2.1:5353', '2001:db8::1', '[fe80::1%eth0]:53': null when it is no such, or the stack has no such interface. */
export function parseServer(core: Stack, text: string): NameServer | null {
  const parts = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([\d.]+):(\d{1,5})$/.exec(text);
  const endpoint = parseEndpoint(core, parts?.[1] ?? text);
  const port = parts?.[2] === undefined ? DNS_PORT : Number(parts[2]);
  return endpoint === null || port < 1 || port > 65_535 ? null : { ...endpoint, port };
}

/** As getServers of node:dns writes it: the port only where it is not 53. */
export function formatServer(core: Stack, { address, port, zone }: NameServer): string {
  const name = zone === 0 || !address.isLinkLocal ? '' : `%${core.interfaces.at(zone)?.name ?? zone}`;
  const text = `${formatAddress(address)}${name}`;
  if (port === DNS_PORT) return text;
  return address.isV4 ? `${text}:${port}` : `[${text}]:${port}`;
}
