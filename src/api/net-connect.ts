/** From connect's options to a connected core socket: names, local address, and a race of addresses. */
import { isIP } from 'node:net';
import { Errno } from '../base/errors.js';
import { Ready } from '../net/socket/socket.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { Stack } from '../net/stack.js';
import { type Endpoint, interfaceIndex, parseEndpoint } from './endpoint.js';
import { type Lookup, type LookupAddress, LookupError } from './lookup.js';
import type { ConnectOptions, Target } from './net-arguments.js';
import { ArgumentTypeError, callError, StateError } from './node-errors.js';
import { stackEndError } from './stack-end.js';

/** RFC 8305 §3, §8: how long an answer of IPv4 alone waits for IPv6's. Milliseconds. */
const RESOLUTION_DELAY = 50;

/** What a connect reports to: the net.Socket. */
export interface Connecting {
  readonly stack: Stack;
  emit(event: string, ...args: unknown[]): boolean;
  /** May this address be spoken to? */
  blocked(address: string, family: number): boolean;
  /** Sets the options that were given before there was a core socket. */
  prepare(core: TcpSocket): void;
  /** One of several addresses is being tried: 'address:port'. */
  attempted(address: string): void;
  connected(core: TcpSocket): void;
  failed(error: Error): void;
}

/** Every address of a name failed: what went wrong with each, and the first one's code. Of no class of its own: programs ask for Node's. */
const connectError = (errors: readonly Error[]): AggregateError =>
  Object.assign(new AggregateError(errors), { code: (errors[0] as { code?: string } | undefined)?.code });

/** One connect under way. Nothing is reported after `cancel`. */
export class Attempt {
  private readonly owner: Connecting;
  private readonly target: Target;
  private readonly device: string | undefined;
  private readonly open: TcpSocket[] = [];
  private readonly errors: Error[] = [];
  private addresses: LookupAddress[] = [];
  private next = 0;
  /** More addresses may come. */
  private resolving = false;
  /** The last attempt has had its time, and none was left to follow it. */
  private due = true;
  private timer: NodeJS.Timeout | null = null;
  private over = false;

  constructor(owner: Connecting, options: ConnectOptions, target: Target, lookup: Lookup) {
    this.owner = owner;
    this.target = target;
    this.device = options.interface;
    const family = isIP(target.host);
    if (family !== 0) process.nextTick(() => this.literal(target.host, family));
    else this.resolve(options.lookup ?? lookup);
  }

  /** Gives every core socket back. */
  cancel(): void {
    this.over = true;
    if (this.timer !== null) clearTimeout(this.timer);
    for (const core of this.open) core.close();
    this.open.length = 0;
  }

  private literal(address: string, family: number): void {
    this.addresses = [{ address, family }];
    this.advance();
  }

  private resolve(lookup: Lookup): void {
    const { host, port, family, hints, localAddress, race } = this.target;
    const { owner } = this;
    const all = race && family !== 4 && family !== 6 && localAddress === undefined;
    this.resolving = true;
    const partial = (addresses: LookupAddress[]): void => this.partial(addresses);
    lookup(host, all ? { family, hints, all, partial } : { family, hints }, (error, found, kind) => {
      if (this.over) return;
      this.resolving = false;
      const addresses: LookupAddress[] = typeof found === 'string' ? [{ address: found, family: kind ?? isIP(found) }] : (found ?? []);
      if (error) owner.emit('lookup', error, undefined, undefined, host);
      // Listeners of the error are attached after this call where the lookup answers at once.
      const wrong = this.next > 0 ? null : (error ?? unusable(addresses, host, port));
      if (wrong !== null) process.nextTick(() => !this.over && this.end(wrong));
      else this.found(addresses);
    });
  }

  /** One family has answered. RFC 8305 §3: IPv6 is begun with at once, IPv4 gives it a moment. */
  private partial(addresses: LookupAddress[]): void {
    if (this.over) return;
    if (addresses.some((a) => a.family === 6)) this.found(addresses);
    else this.timer = setTimeout(() => this.found(addresses), RESOLUTION_DELAY);
  }

  /** Addresses in the order to try them: behind those tried already, families by turns (RFC 8305 §4), each once. */
  private found(addresses: readonly LookupAddress[]): void {
    const known = new Set(this.addresses.map((a) => a.address));
    for (const { address, family } of addresses) {
      if (known.has(address)) continue;
      known.add(address);
      this.owner.emit('lookup', null, address, family, this.target.host);
      if (this.over) return;
    }
    const tried = this.addresses.slice(0, this.next);
    const rest = new Map([...addresses, ...this.addresses].map((a) => [a.address, a]));
    for (const { address } of tried) rest.delete(address);
    this.addresses = [...tried, ...interleaved([...rest.values()], tried.at(-1)?.family)];
    if (this.due) this.advance();
  }

  /** The next attempt, if there is one; the end when none goes on and none can come. */
  private advance(): void {
    if (this.over) return;
    if (this.next < this.addresses.length) this.start();
    else if (this.open.length === 0 && !this.resolving) this.end(this.errors.length === 1 ? (this.errors[0] as Error) : connectError(this.errors));
    else this.due = true;
  }

  /** Starts on the next address; those before it go on. */
  private start(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.due = false;
    const { address, family } = this.addresses[this.next++] as LookupAddress;
    const { port, attemptDelay } = this.target;
    this.owner.emit('connectionAttempt', address, port, family);
    if (this.over) return;
    if (this.addresses.length > 1) this.owner.attempted(`${address}:${port}`);
    const error = this.owner.blocked(address, family)
      ? new StateError('ERR_IP_BLOCKED', `IP(${address}) is blocked by net.BlockList`)
      : this.dial(address, family, port);
    if (error !== null) this.lost(error, address, family);
    // RFC 8305 §5: the next address has its turn when this one is slow, and the first to answer wins.
    else if (!this.over && (this.resolving || this.next < this.addresses.length)) this.timer = setTimeout(() => this.advance(), attemptDelay);
  }

  private dial(address: string, family: number, port: number): Error | null {
    const { stack } = this.owner;
    // "Any" as a destination is ourselves, as on Linux.
    const to = parseEndpoint(stack, address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address);
    if (to === null) return callError(-Errno.EINVAL, 'connect', address, port);
    // Nothing would ever tell: an ended stack polls no more.
    if (stack.ctx.ended !== 0) return stackEndError(stack.ctx, 'connect') ?? callError(-Errno.ECANCELED, 'connect', address, port);
    const core = stack.tcp.openSocket(family === 6 && !to.address.isV4 ? 6 : 4);
    this.owner.prepare(core);
    const local = this.bindLocal(core, family);
    const result = local === null ? core.connect(to.address, port, to.zone) : 0;
    if (local !== null || (result < 0 && result !== -Errno.EINPROGRESS)) {
      core.close();
      return local ?? callError(result, 'connect', address, port);
    }
    this.open.push(core);
    core.onReady = () => this.ready(core, address, family);
    if (result === 0) this.ready(core, address, family);
    return null;
  }

  private bindLocal(core: TcpSocket, family: number): Error | null {
    const { localAddress, localPort } = this.target;
    const { stack } = this.owner;
    if (this.device !== undefined) {
      const index = interfaceIndex(stack, this.device);
      if (index < 0) return callError(-Errno.ENODEV, 'setsockopt', this.device);
      core.boundIndex = index;
    }
    if (localAddress === undefined && localPort === 0) return null;
    const from: Endpoint | null = localAddress === undefined ? null : parseEndpoint(stack, localAddress);
    const result = core.bind(from?.address ?? null, localPort, from?.zone ?? 0);
    return result < 0 ? callError(result, 'bind', localAddress ?? (family === 6 ? '::' : '0.0.0.0'), localPort) : null;
  }

  private ready(core: TcpSocket, address: string, family: number): void {
    if (core.ctx.ended !== 0) {
      this.end(stackEndError(core.ctx, 'connect') ?? callError(-core.ctx.ended, 'connect', address, this.target.port));
      return;
    }
    const error = core.takeError();
    if (error === 0 && (core.readiness() & Ready.Writable) === 0) return;
    this.open.splice(this.open.indexOf(core), 1);
    core.onReady = null;
    if (error !== 0) {
      core.close();
      this.lost(callError(-error, 'connect', address, this.target.port), address, family);
      return;
    }
    this.cancel();
    this.owner.connected(core);
  }

  private lost(error: Error, address: string, family: number): void {
    this.errors.push(error);
    this.owner.emit('connectionAttemptFailed', address, this.target.port, family, error);
    this.advance();
  }

  private end(error: Error): void {
    this.cancel();
    this.owner.failed(error);
  }
}

function unusable(addresses: readonly LookupAddress[], host: string, port: number): Error | null {
  const [first] = addresses;
  if (first === undefined) return new LookupError(host);
  if (addresses.some(usable)) return null;
  if (!isIP(first.address)) return new ArgumentTypeError('ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${first.address}`);
  return Object.assign(new ArgumentTypeError('ERR_INVALID_ADDRESS_FAMILY', `Invalid address family: ${first.family} ${host}:${port}`), {
    host,
    port,
  });
}

const usable = ({ address, family }: LookupAddress): boolean => (family === 4 || family === 6) && isIP(address) !== 0;

/** RFC 8305 §4: families by turns, the first answer's family first unless `last` went before; what cannot be dialled is left out. */
function interleaved(addresses: readonly LookupAddress[], last: number | undefined): LookupAddress[] {
  const good = addresses.filter(usable);
  const lead = good.find((a) => a.family !== last)?.family ?? last;
  const ours = good.filter((a) => a.family === lead);
  const others = good.filter((a) => a.family !== lead);
  const turns: LookupAddress[] = [];
  for (let i = 0; i < Math.max(ours.length, others.length); i++) {
    const pair = [ours[i], others[i]];
    for (const one of pair) if (one !== undefined) turns.push(one);
  }
  return turns;
}
