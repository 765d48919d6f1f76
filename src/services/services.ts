import type { Lookup } from '../api/lookup.js';
import { NetError } from '../base/errors.js';
import type { Stack } from '../net/stack.js';
import { Dhcp6Clients } from './dhcpv6/clients.js';
import { type FpmSpec, fpm } from './fpm.js';
import type { StartCapture } from './http-capture.js';
import { type HttpSpec, statusServer } from './http-status.js';
import { Mdns } from './mdns/mdns.js';
import type { MdnsSpec } from './mdns/responder.js';
import { type OtlpSpec, pushMetrics } from './otlp.js';
import { chargen, discard, echo, type Running, type SmallServiceSpec } from './small.js';

/** Services by name; true is an empty object, false the same as leaving it out. */
export interface ServiceSpecs {
  readonly echo?: boolean | SmallServiceSpec;
  readonly discard?: boolean | SmallServiceSpec;
  readonly chargen?: boolean | SmallServiceSpec;
  readonly http?: boolean | HttpSpec;
  readonly fpm?: boolean | FpmSpec;
  readonly mdns?: boolean | MdnsSpec;
  readonly otlp?: boolean | OtlpSpec;
}

export type ServiceName = keyof ServiceSpecs;

type Starter<K extends ServiceName> = (core: Stack, spec: Exclude<ServiceSpecs[K], boolean | undefined>, services: Services) => Running;

/** One line for each service. */
const starters: { readonly [K in ServiceName]-?: Starter<K> } = {
  echo,
  discard,
  chargen,
  http: (core, spec, { world }) => statusServer(core, spec, world.capture),
  otlp: (core, spec, { world }) => pushMetrics(core, spec, world.lookup),
  fpm,
  mdns: (_core, spec, { mdns }) => mdns.serve(spec),
};

/** What services need of the rest of their stack. */
export interface ServiceWorld {
  readonly capture: StartCapture;
  readonly lookup: Lookup;
  /** Told whether names under .local are the link's to tell. */
  linkNames(active: boolean): void;
}

/** The services of one stack. Off unless started. */
export class Services {
  private readonly core: Stack;
  readonly world: ServiceWorld;
  private readonly running = new Map<ServiceName, Running>();

  /** DHCPv6 clients, one to an interface. */
  readonly dhcp6: Dhcp6Clients;
  /** Names and services of the link. */
  readonly mdns: Mdns;
  private readonly parts = new Map<string, Running>();

  constructor(core: Stack, world: ServiceWorld) {
    this.core = core;
    this.dhcp6 = new Dhcp6Clients(core);
    this.mdns = new Mdns(core, world.linkNames);
    this.world = world;
  }

  /** Keeps what runs for a section of the configuration, until `end` or the stack's. */
  keep(key: string, part: Running): void {
    this.end(key);
    this.parts.set(key, part);
  }

  end(key: string): void {
    this.parts.get(key)?.close();
    this.parts.delete(key);
  }

  /** Starts one. NetError EALREADY when it runs, EADDRINUSE when its port is taken. */
  start<K extends ServiceName>(name: K, spec: Exclude<ServiceSpecs[K], undefined> | true = true): void {
    if (this.running.has(name)) throw new NetError('EALREADY', 'service start', name);
    if (spec === false) return;
    const starter = starters[name] as Starter<ServiceName>;
    this.running.set(name, starter(this.core, spec === true ? {} : spec, this));
  }

  /** Stops one if it runs; its connections are reset. */
  stop(name: ServiceName): void {
    this.running.get(name)?.close();
    this.running.delete(name);
  }

  /** Names of those that run. */
  get names(): ServiceName[] {
    return [...this.running.keys()];
  }

  close(): void {
    for (const name of this.names) this.stop(name);
    for (const key of [...this.parts.keys()]) this.end(key);
    void this.mdns.close();
    this.dhcp6.close();
  }
}
