import type { AnyStack } from '../anystack.js';
import type { LinkChange } from '../api/link.js';
import type { FlowSpec, RouteSpec } from '../api/route.js';
import type { RuleSpec } from '../api/rule.js';
import type { Config } from '../config/config.js';
import type { CaptureOptions } from '../observe/capture.js';
import type { TraceOptions as TraceFilter } from '../observe/trace.js';
import type { PingOptions } from '../services/ping.js';
import type { ForwardSpec } from '../services/relay/forwards.js';
import type { TracerouteOptions } from '../services/traceroute.js';
import { type NcOptions, nc } from './nc.js';
import type { ControlHooks } from './server.js';
import type { Stream } from './stream.js';

/** What a method works on. */
export interface Call {
  readonly stack: AnyStack;
  readonly hooks: ControlHooks;
  readonly stream: Stream;
}

type Method = (call: Call, ...params: never[]) => unknown;
type Dev = { readonly dev: string };
type Neighbor = Dev & { readonly lladdr: string };

const table = {
  about: ({ stack, hooks }: Call) => ({
    name: stack.name,
    pid: process.pid,
    state: stack.core.state,
    services: stack.services.names,
    ...hooks.about,
  }),
  status: ({ stack }: Call) => stack.status(),
  config: ({ stack }: Call) => stack.config,
  down: ({ hooks }: Call) => hooks.down(),
  reload: ({ stack, hooks }: Call, config: Config | null) => (config === null ? hooks.reload() : stack.reload(config)),

  'link.show': ({ stack }: Call, name?: string) => stack.link.show(name ?? undefined),
  'link.set': ({ stack }: Call, name: string, change: LinkChange) => stack.link.set(name, change),
  'addr.show': ({ stack }: Call, dev?: string) => stack.addr.show(dev ?? undefined),
  'addr.add': ({ stack }: Call, prefix: string, where: Dev) => stack.addr.add(prefix, where),
  'addr.del': ({ stack }: Call, prefix: string, where: Dev) => stack.addr.del(prefix, where),
  'route.show': ({ stack }: Call) => stack.route.show(),
  'route.add': ({ stack }: Call, to: string, spec: RouteSpec) => stack.route.add(to, spec),
  'route.del': ({ stack }: Call, to: string, spec: RouteSpec) => stack.route.del(to, spec),
  'route.replace': ({ stack }: Call, to: string, spec: RouteSpec) => stack.route.replace(to, spec),
  'route.get': ({ stack }: Call, address: string, from: FlowSpec) => stack.route.get(address, from),
  'rule.show': ({ stack }: Call) => stack.rule.show(),
  'rule.add': ({ stack }: Call, spec: RuleSpec) => stack.rule.add(spec),
  'rule.del': ({ stack }: Call, spec: RuleSpec) => stack.rule.del(spec),
  'neigh.show': ({ stack }: Call, dev?: string) => stack.neigh.show(dev ?? undefined),
  'neigh.add': ({ stack }: Call, to: string, spec: Neighbor) => stack.neigh.add(to, spec),
  'neigh.del': ({ stack }: Call, to: string, where: Dev) => stack.neigh.del(to, where),
  'neigh.replace': ({ stack }: Call, to: string, spec: Neighbor) => stack.neigh.replace(to, spec),

  'ipsec.status': ({ stack }: Call) => stack.ipsec.status(),
  'ipsec.sad': ({ stack }: Call) => stack.ipsec.sad(),
  'ipsec.spd': ({ stack }: Call) => stack.ipsec.spd(),
  'ipsec.up': ({ stack }: Call, name: string) => stack.ipsec.up(name),
  'ipsec.down': ({ stack }: Call, name: string) => stack.ipsec.down(name),
  'filter.show': ({ stack }: Call) => stack.filter.show(),
  'filter.connections': ({ stack }: Call) => stack.filter.connections(),
  'filter.flush': ({ stack }: Call) => stack.filter.flush(),

  'forward.show': ({ stack }: Call) => stack.forward.show(),
  'forward.add': ({ stack }: Call, spec: ForwardSpec) => stack.forward.add(spec),
  'forward.del': ({ stack }: Call, spec: ForwardSpec) => stack.forward.del(spec),

  'multicast.show': ({ stack }: Call) => stack.multicast.show(),
  'vrrp.show': ({ stack }: Call) => stack.vrrp.show(),

  'mdns.lookup': ({ stack }: Call, name: string) => stack.mdns.lookup(name),
  'mdns.browse': ({ stack, stream }: Call, type: string) => browse(stack, stream, type),
  'dns.status': ({ stack }: Call) => stack.names.status(),
  'dns.ask': ({ stack }: Call, name: string, type?: string) => stack.names.ask(name, type ?? undefined),
  'dhcp.show': ({ stack }: Call) => stack.dhcp.show(),

  ss: ({ stack }: Call) => stack.ss(),
  nstat: ({ stack }: Call, options: { zeros?: boolean } = {}) => stack.nstat(options),
  'sysctl.list': ({ stack }: Call) => stack.sysctl.list().map(({ name, value, entry }) => ({ name, value, effect: entry.effect })),
  'sysctl.get': ({ stack }: Call, name: string) => stack.sysctl.get(name),
  'sysctl.set': ({ stack }: Call, name: string, value: unknown) => {
    stack.sysctl.set(name, value);
    return stack.sysctl.get(name);
  },

  ping: ({ stack, stream }: Call, target: string, options: PingOptions) => {
    const run = stack.ping(target, options, (event) => stream.event(event));
    stream.onCancel = () => run.stop();
    return run.done;
  },
  traceroute: ({ stack, stream }: Call, target: string, options: TracerouteOptions) => {
    const run = stack.traceroute(target, options, (event) => stream.event(event));
    stream.onCancel = () => run.stop();
    return run.done;
  },
  nc: ({ stack, stream }: Call, options: NcOptions) => nc(stack, stream, options),
  capture: ({ stack, stream }: Call, options: CaptureOptions) => capture(stack, stream, options),
  trace: ({ stack, stream }: Call, options: TraceFilter) => {
    const running = stack.trace(options, (event) => stream.event(event));
    stream.onCancel = () => void running.stop();
    return running.done;
  },
  events: ({ stack, stream }: Call) => events(stack, stream),
} satisfies Record<string, Method>;

/** All there is to ask of a running stack. Those with a stream answer when it ends. */
export const methods: Readonly<Record<string, (call: Call, ...params: readonly unknown[]) => unknown>> = table as never;

/** A client that reads slowly fills the capture's own buffer, which counts what it loses. */
function capture(stack: AnyStack, stream: Stream, options: CaptureOptions): Promise<unknown> {
  const waiting: (() => void)[] = [];
  stream.onDrain = () => {
    for (const done of waiting.splice(0)) done();
  };
  const sink = {
    write: (octets: Uint8Array, done: () => void) => {
      if (stream.data(octets)) done();
      else waiting.push(done);
    },
  };
  const running = stack.capture(sink, options);
  stream.onCancel = () => {
    void running.stop();
    stream.onDrain();
  };
  return running.done;
}

/** Services as they come, until the client has enough. */
function browse(stack: AnyStack, stream: Stream, type: string): Promise<void> {
  const browser = stack.mdns.browse(type, (event, service) => {
    if (event === 'up') stream.event({ ...service });
  });
  return new Promise((resolve) => {
    stream.onCancel = () => {
      browser.close();
      resolve();
    };
  });
}

function events(stack: AnyStack, stream: Stream): Promise<void> {
  const stop = forwardEvents(stack, (event) => stream.event(event));
  return new Promise((resolve) => {
    stream.onCancel = () => {
      stop();
      resolve();
    };
  });
}

/** Every event of a stack as an object of one line; the function returned ends it. */
export function forwardEvents(stack: AnyStack, tell: (event: Readonly<Record<string, unknown>>) => void): () => void {
  const { events: from } = stack;
  const link = (dev: string, state: string): void => tell({ event: 'link', dev, state });
  const conflict = (address: string, dev: string, mac: string): void => tell({ event: 'conflict', address, dev, mac });
  const failed = (error: Error & { capture?: string | null }): void =>
    tell({ event: 'failed', message: error.message, capture: error.capture ?? null });
  const log = (level: string, message: string): void => tell({ event: 'log', level, message });
  from.on('link', link).on('conflict', conflict).on('failed', failed).on('log', log);
  return () => from.off('link', link).off('conflict', conflict).off('failed', failed).off('log', log);
}
