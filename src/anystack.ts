import { EventEmitter } from 'node:events';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Addr } from './api/addr.js';
import { createDgram, type Dgram } from './api/dgram.js';
import { FilterApi } from './api/filter.js';
import { createHttp, createHttp2, createHttps, createTls, type Http, type Http2, type Https, type Tls } from './api/http.js';
import { IpsecApi } from './api/ipsec.js';
import { Link } from './api/link.js';
import { MulticastApi } from './api/multicast.js';
import { Neigh } from './api/neigh.js';
import { createNet, type Net } from './api/net.js';
import { createPacket, type PacketApi } from './api/packet.js';
import { createRaw, type RawApi } from './api/raw.js';
import { Route } from './api/route.js';
import { Rule } from './api/rule.js';
import { StackClosed, StackFailure } from './api/stack-end.js';
import { VrrpApi } from './api/vrrp.js';
import { formatAddress } from './base/address.js';
import type { AssertionError } from './base/assert.js';
import { applyConfig } from './config/apply.js';
import { type Config, checkConfig } from './config/config.js';
import type { Device, DeviceSpec, Hypercalls } from './hyper/hypercalls.js';
import { createNodeHost } from './hyper/node-host.js';
import type { InterfaceAddress } from './net/interface.js';
import type { Ike } from './net/ipsec/ike/ike.js';
import { Stack } from './net/stack.js';
import { Sysctl, sysctls } from './net/sysctl.js';
import { Capture, type CaptureOptions, type CaptureSink } from './observe/capture.js';
import { Observers, type Watcher } from './observe/observers.js';
import { RECORDED, Recorder } from './observe/recorder.js';
import { type Status, statusOf } from './observe/status.js';
import { type CounterTable, nstat, type SocketInfo, ss } from './observe/tables.js';
import { Trace, type TraceEvent, type TraceOptions } from './observe/trace.js';
import { Dhcp } from './services/dhcp/dhcp.js';
import { Names } from './services/dns/names.js';
import type { Dns } from './services/dns/node-dns.js';
import type { Mdns } from './services/mdns/mdns.js';
import { type Measurement, type PingEvent, type PingOptions, type PingSummary, ping } from './services/ping.js';
import { Forwards } from './services/relay/forwards.js';
import { Services } from './services/services.js';
import { type TraceHop, type TracerouteOptions, traceroute } from './services/traceroute.js';

/** Peers that do not answer hold the end up no longer: two tries. */
const FAREWELL_MS = 1_500;

/** What a program may give besides a configuration. */
export interface StackOptions {
  /** The world the stack runs in. Default: Node, by createNodeHost. One host serves one stack. */
  readonly host?: Hypercalls;
  /** Where the last packets are written when the stack fails. Default: the system's folder for temporary files. */
  readonly crashDirectory?: string;
  /** Packets remembered for that; 0 for none, which saves 30 ns a packet. Default 1,000. */
  readonly recorded?: number;
}

/** What `events` emits. */
export interface AnyStackEvents {
  /** An interface got or lost carrier, or its device died: see stack.link.show. */
  link: [name: string, state: 'up' | 'down' | 'failed'];
  /** Another station uses our address. */
  conflict: [address: string, dev: string, mac: string];
  /** Our own bug: the stack is dead, its sockets have the error, others in the process go on. */
  failed: [error: StackFailure];
  log: [level: 'debug' | 'info' | 'warn' | 'error', message: string];
  /** Complete: no handle, timer or packet is left. */
  close: [];
}

/** The tunables of one stack, as programs and the command see them. */
export type SysctlApi = Pick<Sysctl, 'get' | 'set' | 'unset' | 'list'>;

/**
 * A TCP/IP stack with all its facades. Made by createStack. What it needs of the host it gives back in `close`.
 */
export class AnyStack {
  /** What the configuration calls it. */
  readonly name: string;
  /** See AnyStackEvents. */
  readonly events = new EventEmitter<AnyStackEvents>();
  /** The stack itself: synchronous sockets, components, counters. */
  readonly core: Stack;
  /** Interfaces. */
  readonly link: Link;
  /** Addresses of interfaces. */
  readonly addr: Addr;
  /** Routes, and which one an address takes. */
  readonly route: Route;
  /** Policy rules: which table is asked for whom. */
  readonly rule: Rule;
  /** Neighbours: stations of the link by address. */
  readonly neigh: Neigh;
  /** Rules with their counters, tracked flows. */
  readonly filter: FilterApi;
  /** What listeners want, of those that multicast is forwarded to. */
  readonly multicast: MulticastApi;
  /** Virtual routers. */
  readonly vrrp: VrrpApi;
  /** SAs, policies, IKE. */
  readonly ipsec: IpsecApi;
  /** Tunables. */
  readonly sysctl: SysctlApi;
  /** Services every stack brings along: start, stop. */
  readonly services: Services;
  /** Ports of the host that lead to the stack's network and the other way round, and proxies. */
  readonly forward: Forwards;
  /** Where names are asked for, and what asks. */
  readonly names: Names;
  /** Leases: those we have, those we gave. */
  readonly dhcp: Dhcp;
  /** Resolves when every configured interface that is up has carrier, its configured addresses have been probed for, 'dhcp' has brought a lease, and forwards and proxies listen; rejects when one of these cannot, or the stack ends before. */
  readonly ready: Promise<void>;
  private readonly observers: Observers;
  private readonly recorder: Recorder | null;
  private readonly crashDirectory: string;
  private readonly started: number;
  private readonly anyDevice: boolean;
  private readonly watching = new Set<Capture | Trace>();
  private present: Config = {};
  private holding = false;
  private closing: Promise<void> | null = null;
  private settleReady: (error?: Error) => void = () => {};
  private made: { net?: Net; dgram?: Dgram; raw?: RawApi; packet?: PacketApi; http?: Http; https?: Https; tls?: Tls; http2?: Http2 } = {};

  constructor(given: Config, options: StackOptions) {
    this.anyDevice = options.host !== undefined;
    const config = checkConfig(given, { anyDevice: this.anyDevice });
    this.name = config.name ?? 'default';
    this.crashDirectory = options.crashDirectory ?? tmpdir();
    const host = options.host ?? createNodeHost({ log: (level, message) => this.log(level, message) });
    // Tunables that are felt at the start only must stand before anything is made.
    this.core = new Stack(this.name, host, new Sysctl(config.profile, config.sysctl), {
      failed: (error) => this.failed(error),
      conflict: (address, mac) => this.events.emit('conflict', formatAddress(address.address), address.iface.name, mac),
      claimed: () => this.checkReady(),
      link: (iface) => this.changed(iface),
    });
    this.observers = new Observers(this.core.ctx.observer);
    const recorded = options.recorded ?? RECORDED;
    this.recorder = recorded > 0 ? new Recorder(this.core, this.observers, recorded) : null;
    this.link = new Link(this.core, (name) => this.reopened(name));
    this.addr = new Addr(this.core);
    this.route = new Route(this.core);
    this.rule = new Rule(this.core);
    this.neigh = new Neigh(this.core);
    this.filter = new FilterApi(this.core);
    this.multicast = new MulticastApi(this.core);
    this.vrrp = new VrrpApi(this.core);
    this.ipsec = new IpsecApi(this.core);
    this.names = new Names(this.core);
    this.services = new Services(this.core, {
      capture: (sink, options) => this.capture(sink, options),
      lookup: this.names.lookup.lookup,
      linkNames: (active) => {
        this.names.lookup.linkNames = active ? (name, family) => this.services.mdns.lookup(name, family) : null;
      },
    });
    this.dhcp = new Dhcp(this.core, this.names.settings, () => this.checkReady());
    this.forward = new Forwards(this.core, this.names.lookup.lookup, (error) => (error === null ? this.checkReady() : this.settleReady(error)));
    const live = this.core.ctx.sysctl;
    this.sysctl = live;
    this.started = host.monotonic();
    this.ready = new Promise((resolve, reject) => {
      this.settleReady = (error) => (error === undefined ? resolve() : reject(error));
    });
    this.ready.catch(() => {});
    try {
      this.apply(config);
    } catch (error) {
      void this.close();
      throw error;
    }
    live.onChange('net.ipv4.ip_forward', () => this.hold());
    live.onChange('net.ipv6.conf.all.forwarding', () => this.hold());
    this.checkReady();
  }

  /** `node:net` over this stack. */
  get net(): Net {
    return (this.made.net ??= createNet(this.core, { lookup: this.names.lookup.lookup }));
  }

  /** `node:dgram` over this stack. */
  get dgram(): Dgram {
    return (this.made.dgram ??= createDgram(this.core, { lookup: this.names.lookup.lookup }));
  }

  /** `node:dns` over this stack. */
  get dns(): Dns {
    return this.names.dns;
  }

  /** Names and services of the link, by multicast DNS. */
  get mdns(): Mdns {
    return this.services.mdns;
  }

  /** Sockets for IP protocols. */
  get raw(): RawApi {
    return (this.made.raw ??= createRaw(this.core));
  }

  /** Sockets for frames. */
  get packet(): PacketApi {
    return (this.made.packet ??= createPacket(this.core));
  }

  /** `node:http` over this stack. */
  get http(): Http {
    return (this.made.http ??= createHttp(this.net));
  }

  /** `node:https` over this stack. */
  get https(): Https {
    return (this.made.https ??= createHttps(this.net));
  }

  /** `node:tls` over this stack. */
  get tls(): Tls {
    return (this.made.tls ??= createTls(this.net));
  }

  /** `node:http2` over this stack. */
  get http2(): Http2 {
    return (this.made.http2 ??= createHttp2(this.net));
  }

  /** The configuration in force; live changes by API or command are not in it. */
  get config(): Config {
    return this.present;
  }

  /** All sockets. */
  ss(): SocketInfo[] {
    return ss(this.core);
  }

  /** Counters and drops by reason. */
  nstat(options: { readonly zeros?: boolean } = {}): CounterTable {
    return nstat(this.core, options);
  }

  /** Everything at once: what the status page shows. */
  status(): Status {
    return statusOf(this.core, this.started);
  }

  /** Echo requests to an address; `tell` hears of each answer. `done` resolves with the summary, `stop()` ends it. */
  ping(target: string, options: PingOptions = {}, tell?: (event: PingEvent) => void): Measurement<PingSummary> {
    return ping(this.core, target, options, tell);
  }

  /** Routers on the way to an address; `tell` hears of each. */
  traceroute(target: string, options: TracerouteOptions = {}, tell?: (hop: TraceHop) => void): Measurement<readonly TraceHop[]> {
    return traceroute(this.core, target, options, tell);
  }

  /** Begins to write a pcapng capture to `sink`, a Writable for example. `stop()` ends it, `close()` too. */
  capture(sink: CaptureSink, options: CaptureOptions = {}): Capture {
    const capture = new Capture(this.core, this.observers, sink, options);
    this.watching.add(capture);
    const forget = (): void => void this.watching.delete(capture);
    capture.done.then(forget, forget);
    return capture;
  }

  /**
   * Follows packets that match through the stack: each event says by which interface, route, rule, translation, neighbour they went, or why
   * they were dropped. `tell` is called outside the stack. `stop()` ends it, `close()` too.
   */
  trace(options: TraceOptions, tell: (event: TraceEvent) => void): Trace {
    const trace = new Trace(this.core, this.observers, options, tell);
    this.watching.add(trace);
    void trace.done.then(() => this.watching.delete(trace));
    return trace;
  }

  /** Looks at packets as they pass; the function returned ends it. See Observer for what a watcher must not do. */
  watch(watcher: Watcher): () => void {
    return this.observers.watch(watcher);
  }

  /** Applies the difference to the configuration in force, as one transaction; throws ConfigError or NetError and changes nothing when it cannot. */
  reload(given: Config): void {
    const config = checkConfig(given, { anyDevice: this.anyDevice });
    this.apply(config);
    this.checkReady();
  }

  /** Ends everything: connections are closed or reset, devices given back. Resolves when nothing is left. Idempotent. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private apply(config: Config): void {
    applyConfig({ core: this.core, services: this.services, names: this.names, dhcp: this.dhcp, forward: this.forward }, this.present, config);
    this.present = config;
    this.hold();
  }

  private async end(): Promise<void> {
    this.settleReady(new StackClosed(this.name));
    if (this.services.mdns.active && this.core.state === 'running') await this.services.mdns.close();
    this.forward.close();
    this.services.close();
    this.names.close();
    this.dhcp.close();
    if (this.core.ipsec.driver !== null) await this.farewell(this.core.ipsec.driver.ike);
    const stopped = [...this.watching].map((capture) => capture.stop());
    this.core.close();
    this.recorder?.close();
    this.hold();
    await Promise.allSettled(stopped);
    // Sockets tell their owners in a turn of their own.
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.events.emit('close');
  }

  /** IKE peers hear of the end, and their SAs with us go. */
  private farewell(ike: Ike): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, FAREWELL_MS);
      ike.shutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  private reopened(name: string): Device | null {
    const spec = this.present.interfaces?.[name]?.device;
    return spec === undefined ? null : this.core.hyper.open(spec as DeviceSpec);
  }

  /** A gateway works without any socket: it keeps the process alive as long as it forwards. */
  private hold(): void {
    const { core } = this;
    const wanted = core.state === 'running' && forwards(core);
    if (wanted === this.holding) return;
    this.holding = wanted;
    if (wanted) core.hyper.hold();
    else core.hyper.release();
  }

  private changed(iface: InterfaceAddress['iface']): void {
    this.dhcp.linkChanged(iface);
    this.events.emit('link', iface.name, iface.error !== null ? 'failed' : iface.running ? 'up' : 'down');
    this.checkReady();
  }

  private checkReady(): void {
    const waiting = Object.keys(this.present.interfaces ?? {}).some((name) => {
      const iface = this.core.interfaces.named(name);
      if (iface === null || !iface.up) return false;
      if (this.dhcp.pending(name)) return true;
      return !iface.running || iface.addresses.some((a) => a.state === 'tentative' && a.origin === 'static');
    });
    if (!waiting && !this.forward.pending) this.settleReady();
  }

  private log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void {
    if (this.events.emit('log', level, message)) return;
    if (level === 'warn' || level === 'error') process.stderr.write(`anystack ${this.name}: ${message}\n`);
  }

  private failed(error: AssertionError): void {
    const { recorder } = this;
    let file: string | null = null;
    if (recorder !== null) {
      file = join(this.crashDirectory, `anystack-${this.name}-${process.pid}-${Date.now()}.pcapng`);
      try {
        // Never onto what is there: another user of the folder may have put a link in our way.
        writeFileSync(file, recorder.pcapng(), { mode: 0o600, flag: 'wx' });
      } catch (problem) {
        this.core.hyper.log('error', `the last packets could not be written: ${(problem as Error).message}`);
        file = null;
      }
    }
    const failure = new StackFailure(this.name, error, recorder?.size ?? 0, file);
    this.settleReady(failure);
    this.hold();
    this.core.hyper.log('error', failure.message);
    // Listeners are the application: they run when the stack's own end is complete.
    queueMicrotask(() => this.events.emit('failed', failure));
  }
}

/** Is any interface a router's? */
const forwards = (core: Stack): boolean => [...core.interfaces].some(({ conf4, conf6 }) => conf4.forwarding !== 0 || conf6.forwarding !== 0);

/** The tunables there are: names, types, ranges, defaults and help. */
export { sysctls };
