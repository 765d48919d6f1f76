import type { Lookup } from '../../api/lookup.js';
import { NetError } from '../../base/errors.js';
import type { Stack } from '../../net/stack.js';
import { HttpProxy } from './http-proxy.js';
import { opposite, parseListening, parsePlace } from './place.js';
import { RELAY_MAX, type Relay, type RelayContext, type RelayInfo } from './relay.js';
import { createSides } from './sides.js';
import { SocksProxy } from './socks-proxy.js';
import { TcpForward } from './tcp-forward.js';
import { UDP_IDLE, UdpForward } from './udp-forward.js';
import type { Users } from './users.js';

/** A port of one network that leads to a port of the other. */
export interface ForwardSpec {
  /** 'host:127.0.0.1:8080' or 'stack:10.0.0.2:80': where it listens, and nowhere else. */
  readonly from: string;
  /** A place of the other network; a name is looked up there, for each connection. */
  readonly to: string;
  /** Default 'tcp'. */
  readonly protocol?: 'tcp' | 'udp';
  /** Connections, or UDP peers, at a time. Default 256. */
  readonly max?: number;
  /** Seconds a UDP peer may be silent. Default 300. */
  readonly idle?: number;
}

/** A proxy that listens on one network and dials in the other. */
export interface ProxySpec {
  /** 'host:127.0.0.1:1080': where it listens, and nowhere else. */
  readonly listen: string;
  /** Connections at a time. Default 256. */
  readonly max?: number;
  /** Passwords by user. Default: whoever reaches it may use it. */
  readonly users?: Users;
}

/** Proxies by kind; text is `listen` alone. */
export interface ProxyConfig {
  readonly socks5?: string | ProxySpec;
  readonly http?: string | ProxySpec;
}

const proxies = { socks5: SocksProxy, http: HttpProxy } as const;

/** Forwards one stack has at most; one more is refused. */
export const FORWARDS_MAX = 256;

/** Forwards and proxies of one stack: what joins it to the host's network for programs that know nothing of it. */
export class Forwards {
  private readonly makeContext: () => RelayContext;
  private context: RelayContext | null = null;
  private readonly relays = new Map<string, Relay>();

  /** `settled` is told when a listener has begun, or of why it cannot. */
  constructor(core: Stack, lookup: Lookup, settled: (error: Error | null) => void) {
    this.makeContext = () => ({ core, sides: createSides(core, lookup), settled });
  }

  /** Throws ConfigError for what is no place, NetError EEXIST where one listens already, ENOBUFS past FORWARDS_MAX. A taken port is told later: see `show`. */
  add({ from, to, protocol = 'tcp', max = RELAY_MAX, idle = UDP_IDLE }: ForwardSpec): void {
    const [near, far] = [parseListening(from), parsePlace(to)];
    if (far.side !== opposite(near.side)) throw new NetError('EINVAL', 'forward add', undefined, undefined, `${from} and ${to} are the same network`);
    const key = `${protocol} ${from}`;
    if (this.relays.has(key)) throw new NetError('EEXIST', 'forward add', undefined, undefined, `${key} leads somewhere already`);
    if (this.relays.size >= FORWARDS_MAX)
      throw new NetError('ENOBUFS', 'forward add', undefined, undefined, `all ${FORWARDS_MAX} forwards a stack may have are there`);
    const context = (this.context ??= this.makeContext());
    this.relays.set(key, protocol === 'udp' ? new UdpForward(context, near, far, max, idle) : new TcpForward(context, near, far, max));
  }

  /** Hangs up on everybody it has. NetError ENOENT when there is none. */
  del({ from, protocol = 'tcp' }: Pick<ForwardSpec, 'from' | 'protocol'>): void {
    if (!this.end(`${protocol} ${from}`)) throw new NetError('ENOENT', 'forward del', undefined, undefined, `nothing listens at ${protocol} ${from}`);
  }

  /** Starts a proxy. One of each kind: NetError EALREADY. */
  startProxy(kind: keyof ProxyConfig, spec: string | ProxySpec): void {
    if (this.relays.has(kind)) throw new NetError('EALREADY', 'proxy start', kind);
    const { listen, max = RELAY_MAX, users }: ProxySpec = typeof spec === 'string' ? { listen: spec } : spec;
    const context = (this.context ??= this.makeContext());
    this.relays.set(kind, new proxies[kind](context, parseListening(listen), max, users ?? null));
  }

  stopProxy(kind: keyof ProxyConfig): void {
    this.end(kind);
  }

  /** Forwards and proxies in the order they were made. */
  show(): RelayInfo[] {
    return [...this.relays.values()].map(({ info }) => info);
  }

  /** Whether one is not listening yet. */
  get pending(): boolean {
    return [...this.relays.values()].some((relay) => relay.pending);
  }

  close(): void {
    for (const key of [...this.relays.keys()]) this.end(key);
  }

  private end(key: string): boolean {
    this.relays.get(key)?.close();
    return this.relays.delete(key);
  }
}
