import { domainToASCII } from 'node:url';
import { type Lookup, type LookupAddress, LookupError, localAddresses } from '../../api/lookup.js';
import { type Address, formatAddress, parseAddress } from '../../base/address.js';
import type { InterfaceAddress } from '../../net/interface.js';
import { Flow } from '../../net/ip/path.js';
import type { Stack } from '../../net/stack.js';
import { Type } from '../../wire/dns.js';
import type { DnsCode } from './codes.js';
import { Later } from './later.js';
import type { Found, StubResolver } from './resolver.js';
import type { DnsSettings } from './settings.js';

/** In what order addresses of both families are given: `verbatim` as RFC 6724 sorts them. */
export type ResultOrder = 'verbatim' | 'ipv4first' | 'ipv6first';

/** What `dns.lookup` takes beyond family, hints and all. */
interface OrderOptions {
  readonly order?: ResultOrder;
  readonly verbatim?: boolean;
}

/** AI_ADDRCONFIG and AI_V4MAPPED as Node's constants have them on Linux. */
const ADDRCONFIG = 0x20;
const V4MAPPED = 0x08;

/** Name to addresses as getaddrinfo has it: addresses and localhost at once, else the search list, both families together. */
export class NameLookup {
  order: ResultOrder = 'verbatim';
  /** Asks the link for a name under .local; null while nobody here speaks multicast DNS. */
  linkNames: ((name: string, family: 0 | 4 | 6) => Promise<readonly string[]>) | null = null;
  private readonly core: Stack;
  private readonly resolver: StubResolver;
  private readonly settings: DnsSettings;
  private readonly later: Later;

  constructor(core: Stack, resolver: StubResolver, settings: DnsSettings) {
    this.core = core;
    this.resolver = resolver;
    this.settings = settings;
    this.later = new Later(core.ctx);
  }

  /** With the signature of `dns.lookup`. */
  readonly lookup: Lookup = (hostname, options, callback) => {
    const { family: asked = 0, hints = 0, all = false, partial } = options;
    const family = this.wanted(asked, hints);
    const finish = (found: LookupAddress[] | 'ENOTFOUND' | 'EAI_AGAIN'): void => {
      const [first] = typeof found === 'string' ? [] : found;
      if (typeof found === 'string') callback(new LookupError(hostname, found), all ? [] : '');
      else if (all || first === undefined) callback(null, found);
      else callback(null, first.address, first.family);
    };
    const local = this.local(hostname);
    const fitting = local.filter((a) => family === 0 || a.family === family);
    if (local.length > 0) this.later.run(() => finish(fitting.length > 0 ? fitting : 'ENOTFOUND'));
    // RFC 6762 §3: these names are the link's, and no server is asked for them.
    else if (this.linkNames !== null && /\.local\.?$/i.test(hostname))
      void this.linkNames(hostname.replace(/\.$/, ''), family === 4 || family === 6 ? family : 0).then((found) =>
        finish(
          found.length > 0
            ? this.ordered(
                found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
                options as OrderOptions,
              )
            : 'ENOTFOUND',
        ),
      );
    else {
      const both = asked === 6 && (hints & V4MAPPED) !== 0 ? V4_IN_V6 : family;
      const early = partial && ((found: LookupAddress[]) => partial(this.ordered(found, options as OrderOptions)));
      const done = (found: LookupAddress[] | 'ENOTFOUND' | 'EAI_AGAIN'): void =>
        finish(typeof found === 'string' ? found : this.ordered(found, options as OrderOptions));
      this.try(this.candidates(hostname), 0, both, 'ENOTFOUND', done, early);
    }
  };

  /** What nobody is asked for: addresses, localhost, and the names of the configuration, with the search list too. */
  private local(hostname: string): LookupAddress[] {
    const known = localAddresses(hostname, this.core.ip.v6 !== null);
    const { hosts } = this.settings;
    if (known.length > 0 || hosts.size === 0) return known;
    const name = this.candidates(hostname).find((candidate) => hosts.has(candidate.toLowerCase()));
    return (hosts.get(name?.toLowerCase() ?? '') ?? []).map(shape);
  }

  /** RFC 6761 §6.4: names under 'invalid' are none, and nobody is asked. A name of dots enough is tried as it stands first (resolv.conf(5)). */
  private candidates(hostname: string): string[] {
    const name = domainToASCII(hostname) || hostname;
    if (name === '' || /(^|\.)invalid\.?$/i.test(name)) return [];
    if (name.endsWith('.')) return [name.slice(0, -1)];
    const searched = this.settings.search.map((domain) => `${name}.${domain}`);
    return name.split('.').length > this.settings.ndots ? [name, ...searched] : [...searched, name];
  }

  private wanted(family: number, hints: number): number {
    if (family !== 0 || (hints & ADDRCONFIG) === 0) return family;
    const [v4, v6] = [true, false].map((is4) =>
      [...this.core.interfaces].some((i) => i.addresses.some((a) => a.address.isV4 === is4 && !a.address.isLoopback)),
    );
    return v4 === v6 ? 0 : v4 ? 4 : 6;
  }

  private try(
    names: readonly string[],
    at: number,
    family: number,
    failure: 'ENOTFOUND' | 'EAI_AGAIN',
    done: (found: LookupAddress[] | 'ENOTFOUND' | 'EAI_AGAIN') => void,
    partial?: (found: LookupAddress[]) => void,
  ): void {
    const name = names[at];
    if (name === undefined || this.settings.servers.length === 0) {
      this.later.run(() => done(failure));
      return;
    }
    const types = family === 4 ? [Type.A] : family === 6 ? [Type.AAAA] : [Type.AAAA, Type.A];
    const results: (Found | DnsCode)[] = [];
    for (const type of types) {
      this.resolver.find(name, type, (result) => {
        results.push(result);
        const found = results.flatMap((r) => (typeof r === 'string' ? [] : addressesOf(r)));
        if (results.length < types.length) {
          if (found.length > 0) partial?.(found);
          return;
        }
        const mapped = family === V4_IN_V6 ? preferSixes(found) : found;
        if (mapped.length > 0) done(mapped);
        else this.try(names, at + 1, family, results.some(temporary) ? 'EAI_AGAIN' : failure, done, partial);
      });
    }
  }

  /** As RFC 6724 §6 sorts destinations, or as asked. */
  private ordered(found: readonly LookupAddress[], { order, verbatim }: OrderOptions): LookupAddress[] {
    const way = order ?? (verbatim === undefined ? this.order : verbatim ? 'verbatim' : 'ipv4first');
    if (way !== 'verbatim') {
      const lead = way === 'ipv4first' ? 4 : 6;
      return [...found].sort((a, b) => Number(b.family === lead) - Number(a.family === lead));
    }
    const addresses = found.map(({ address }) => parseAddress(address)).filter((a) => a !== null);
    if (addresses.length < found.length) return [...found];
    return this.core.v6.selection.sortDestinations(addresses, (to) => this.sourceFor(to)).map(shape);
  }

  /** The address a destination would be spoken to from; null where no way leads. */
  private sourceFor(destination: Address): InterfaceAddress | null {
    const { ip } = this.core;
    const own = ip.local(destination, 0, 0);
    if (own !== null) return own;
    const flow = new Flow();
    flow.destination.copy(destination);
    const route = ip.routes.lookup(flow);
    const iface = route === null || route.type !== 'unicast' ? null : ip.interfaces.at(route.index);
    if (iface === null || route === null) return null;
    return (destination.isV4 ? ip.v4 : ip.v6)?.source(iface, destination, route.gateway ?? destination) ?? null;
  }
}

/** Asked for IPv6, and for IPv4 in its form where there is none. */
const V4_IN_V6 = 46;

const addressesOf = ({ records }: Found): LookupAddress[] => records.flatMap(({ data }) => (data.kind === 'address' ? [shape(data.address)] : []));
const shape = (address: Address): LookupAddress => ({ address: formatAddress(address), family: address.isV4 ? 4 : 6 });
const temporary = (result: Found | DnsCode): boolean =>
  typeof result === 'string' && result !== 'ENOTFOUND' && result !== 'ENODATA' && result !== 'EBADNAME';

function preferSixes(found: readonly LookupAddress[]): LookupAddress[] {
  const sixes = found.filter((a) => a.family === 6);
  return sixes.length > 0 ? sixes : found.map(({ address }) => ({ address: `::ffff:${address}`, family: 6 }));
}
