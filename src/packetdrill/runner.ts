import { errnoName } from '../base/errors.js';
import { type Micros, NEVER, seconds } from '../base/time.js';
import type { ProfileName } from '../net/profiles.js';
import { Flag } from '../wire/tcp.js';
import { runCode } from './assertions.js';
import type { EventTime, PacketAction, Script, ScriptEvent, ScriptOption, SyscallAction } from './ast.js';
import { buildPacket } from './build-packet.js';
import { difference, formatLive } from './compare.js';
import { Flow } from './flow.js';
import { infoValue } from './info-names.js';
import { dissect, type LivePacket } from './live-packet.js';
import { Machine } from './machine.js';
import { Mismatch, Unsupported } from './outcome.js';
import { type Attempt, Process, resultDifference } from './process.js';
import { type RunConfig, runConfig } from './run-config.js';
import { type ReadFile, runShell } from './shell.js';
import { prepare } from './syscalls.js';
import { Values } from './values.js';

/** How a script is run, all defaults filled in. */
export interface RunOptions {
  readonly profile: ProfileName;
  /** Compare without window values and without the order of options. */
  readonly normalize: boolean;
  /** Packets that no event asks for fail the script even where none is asked for later. */
  readonly strict: boolean;
  /** Option lines of the command. */
  readonly given: readonly ScriptOption[];
  readonly readFile: ReadFile;
}

/** How long after its time a packet is waited for, to say when it came. */
const LATE = seconds(2);
/** How long a packet or a call's end at any time is waited for. */
const ANY_TIME_MAX = seconds(3_600);
/** First port of the script's side. */
const FIRST_PORT = 40_000;

/** A blocking call under way. */
interface Pending {
  readonly call: SyscallAction;
  readonly attempt: Attempt;
  readonly line: number;
  readonly end: Micros;
  readonly tolerance: Micros;
}

/** Runs one script against one stack, event by event, on virtual time. */
export class Runner {
  /** Line of the event in hand, for messages. */
  line = 0;
  private readonly script: Script;
  private readonly options: RunOptions;
  private readonly config: RunConfig;
  private readonly machine: Machine;
  private readonly process: Process;
  private readonly start: Micros;
  private readonly variables = new Map<string, number | string>();
  private readonly flows: Flow[] = [];
  /** Which connection the next packets are of: the newest flow, or one still to begin. */
  private expecting: 'flow' | 'listening' | 'connecting' = 'listening';
  private connectingTo = { protocol: 'tcp', port: 0 };
  private pending: Pending | null = null;
  /** Time of the last event on the script's clock: tolerances grow with the span since then. */
  private lastTime: Micros = 0;

  constructor(script: Script, options: RunOptions) {
    this.script = script;
    this.options = options;
    this.config = runConfig(script.options, options.given);
    this.machine = new Machine(this.config, options.profile);
    this.process = new Process(this.machine, this.config, new Values(options.profile === 'bsd' ? 'bsd' : 'linux'), {
      listening: () => {
        this.expecting = 'listening';
      },
      connecting: (protocol, port) => {
        if (protocol === 'udp' && this.expecting === 'flow') return;
        this.expecting = 'connecting';
        this.connectingTo = { protocol, port };
      },
      peerPort: () => this.flows.at(-1)?.remotePort ?? 0,
    });
    this.start = this.machine.host.clock.now;
  }

  /** Throws Mismatch or Unsupported; returns when all has come as the script says. */
  run(): void {
    for (const command of this.script.init) runShell(command, this.process, this.options.readFile);
    for (const event of this.script.events) {
      this.line = event.line;
      this.step(event);
    }
    this.awaitPending();
    this.advance(this.machine.host.clock.now);
    if (this.options.strict) this.refuseLeftovers(NEVER);
  }

  private step(event: ScriptEvent): void {
    const { action } = event;
    if (action.kind === 'syscall') this.awaitPending();
    const from = this.scriptTime(event.time);
    const to = from + event.time.to - event.time.from;
    const tolerance = Math.max(this.config.tolerance, this.config.tolerancePart * (from - this.lastTime));
    if (action.kind === 'packet' && !action.inbound) {
      this.forgivingly(() => this.expectPacket(action, event.time.kind === 'any', from, to, tolerance));
    } else {
      if (event.time.kind === 'any' || to !== from) throw new Mismatch('only outbound packets come at any time or in a range');
      this.waitUntil(from, tolerance, action.kind);
      if (this.options.strict) this.refuseLeftovers(this.now - tolerance);
      if (action.kind === 'packet') this.receivePacket(action);
      else if (action.kind === 'syscall') this.call(action, event.time, from, tolerance);
      else if (action.kind === 'command') runShell(action.text, this.process, this.options.readFile);
      else this.assert(action.text);
      this.advance(this.machine.host.clock.now);
    }
    this.lastTime = event.time.kind === 'any' ? this.now : from;
  }

  /** Microseconds since the script's start. */
  private get now(): Micros {
    return this.machine.host.clock.now - this.start;
  }

  private scriptTime(time: EventTime): Micros {
    return time.kind === 'absolute' ? time.from : this.now + time.from;
  }

  private forgivingly(what: () => void): void {
    try {
      what();
    } catch (error) {
      if (!(error instanceof Mismatch) || !this.config.forgivePackets) throw error;
    }
  }

  // ---- time

  private waitUntil(time: Micros, tolerance: Micros, what: string): void {
    if (this.now > time + tolerance) throw new Mismatch(`${what} at ${secs(time)}: it is ${secs(this.now)} already`);
    this.advance(Math.max(this.start + time, this.machine.host.clock.now));
  }

  /** Runs the stack up to `until`; a blocking call ends at the instant it can. */
  private advance(until: Micros): void {
    const { clock } = this.machine.host;
    while (clock.pending > 0 && clock.next() <= until) {
      clock.step();
      this.tryPending();
    }
    clock.run(until);
    if (this.machine.fault !== '') throw new Mismatch(`the stack failed: ${this.machine.fault}`);
  }

  // ---- packets

  private receivePacket(packet: PacketAction): void {
    const flow = this.inboundFlow(packet);
    // The first SYN-ACK answers a connection the program opens: what follows is counted from it.
    if (flow.opening && packet.body.kind === 'tcp' && (packet.body.flags & (Flag.Syn | Flag.Ack)) === (Flag.Syn | Flag.Ack)) {
      flow.opening = false;
      flow.remoteIsn = packet.body.seq;
    }
    this.machine.device.inject(buildPacket(packet, flow));
  }

  private inboundFlow(packet: PacketAction): Flow {
    const newest = this.flows.at(-1);
    if (newest !== undefined && this.expecting !== 'listening') return newest;
    if (packet.body.kind === 'icmp' && newest !== undefined) return newest;
    const { config } = this;
    const flow = new Flow(config.local, config.remote, config.bindPort, FIRST_PORT + this.flows.length);
    if (packet.body.kind === 'tcp') flow.remoteIsn = packet.body.seq;
    this.expecting = 'flow';
    this.flows.push(flow);
    return flow;
  }

  /** Waits for the next packet of the flow and compares it. Short segments in a row may make up one that is expected long. */
  private expectPacket(expected: PacketAction, any: boolean, from: Micros, to: Micros, tolerance: Micros): void {
    const deadline = any ? this.now + ANY_TIME_MAX : Math.max(to, this.now) + tolerance + LATE;
    let live = this.nextPacket(expected, deadline);
    const flow = this.flows.at(-1) as Flow;
    if (
      expected.body.kind === 'tcp' &&
      (expected.body.flags & Flag.Syn) !== 0 &&
      live.tcp !== null &&
      (live.tcp.flags & Flag.Syn) !== 0 &&
      !flow.localIsnKnown
    ) {
      flow.localIsnKnown = true;
      flow.localIsn = live.tcp.seq;
      flow.scriptIsn = expected.body.seq;
    }
    const at = live.sent.time - this.start;
    if (!this.config.strictSegments) live = this.putTogether(expected, live, deadline);
    const { normalize } = this.options;
    const { timestampTick } = this.config;
    const wrong = difference(expected, live, flow, { normalize, timestampTick, tolerance, payload: !this.process.ownOctets });
    if (wrong !== '') throw new Mismatch(`outbound packet: ${wrong}; it was ${formatLive(live, flow)} at ${secs(at)}`);
    if (!any && (at < from - tolerance || at > to + tolerance)) {
      const range = to === from ? secs(from) : `${secs(from)}~${secs(to)}`;
      throw new Mismatch(`outbound packet: expected at ${range}, came at ${secs(at)} (tolerance ${secs(tolerance)})`);
    }
  }

  /** The oldest packet not yet looked at. Those to strangers are passed over, and those of earlier connections unless the run is strict. */
  private nextPacket(expected: PacketAction, deadline: Micros): LivePacket {
    for (;;) {
      const sent = this.machine.device.sent.shift();
      if (sent === undefined) {
        this.awaitPacket(deadline);
        continue;
      }
      const live = dissect(sent);
      const known = this.flows.find((flow) => belongs(live, flow, expected.body.kind)) ?? this.connected(live);
      if (known === null) continue;
      if (known !== this.flows.at(-1) || this.expecting === 'connecting') {
        if (!this.options.strict) continue;
        throw new Mismatch(`outbound packet of an earlier connection: ${formatLive(live, known)} at ${secs(sent.time - this.start)}`);
      }
      if (expected.body.kind === 'other') throw new Unsupported(`protocol ${expected.body.protocol}`);
      return live;
    }
  }

  private awaitPacket(deadline: Micros): void {
    const { clock } = this.machine.host;
    const { sent } = this.machine.device;
    const until = this.start + deadline;
    while (sent.length === 0) {
      if (clock.pending === 0 || clock.next() > until) throw new Mismatch(`outbound packet: none came until ${secs(deadline)}`);
      clock.step();
      this.tryPending();
      if (this.machine.fault !== '') throw new Mismatch(`the stack failed: ${this.machine.fault}`);
    }
  }

  /** The first packet of a connection the program opens tells its port. */
  private connected(live: LivePacket): Flow | null {
    if (this.expecting !== 'connecting' || !live.destination.equals(this.config.remote)) return null;
    const tcp = this.connectingTo.protocol === 'tcp';
    if (live.destinationPort !== this.connectingTo.port || (live.tcp !== null) !== tcp) return null;
    if (live.tcp !== null && (live.tcp.flags & Flag.Syn) === 0) return null;
    const flow = new Flow(live.source, live.destination, live.sourcePort, live.destinationPort);
    flow.opening = true;
    this.expecting = 'flow';
    this.flows.push(flow);
    return flow;
  }

  /** Adds segments that follow until there are as many octets as expected. Flags are those of the last one. */
  private putTogether(expected: PacketAction, first: LivePacket, deadline: Micros): LivePacket {
    if (expected.body.kind !== 'tcp' || first.tcp === null) return first;
    const wanted = expected.body.octets;
    let { octets } = first.tcp;
    const parts = [first];
    while (octets > 0 && octets < wanted) {
      const next = this.nextPacket(expected, deadline);
      const segment = next.tcp;
      const before = parts.at(-1)?.tcp;
      if (
        segment === null ||
        before == null ||
        segment.octets === 0 ||
        segment.seq !== (before.seq + before.octets) >>> 0 ||
        segment.ack !== before.ack
      ) {
        throw new Mismatch(
          `outbound packet: expected ${wanted} octets in a row, got ${octets} and then ${formatLive(next, this.flows.at(-1) ?? null)}`,
        );
      }
      octets += segment.octets;
      parts.push(next);
    }
    return parts.length === 1 ? first : joined(parts);
  }

  /** What was sent before `time` and nobody has asked for. */
  private refuseLeftovers(time: Micros): void {
    const { sent } = this.machine.device;
    while (sent.length > 0 && (sent[0] as { time: Micros }).time - this.start < time) {
      const live = dissect(sent.shift() as (typeof sent)[number]);
      const flow = this.flows.find((f) => belongs(live, f, 'tcp')) ?? null;
      throw new Mismatch(`outbound packet nobody asked for: ${formatLive(live, flow)} at ${secs(live.sent.time - this.start)}`);
    }
  }

  // ---- calls and code

  private call(call: SyscallAction, time: EventTime, from: Micros, tolerance: Micros): void {
    const attempt = prepare(this.process, call);
    const result = attempt();
    if (result !== null) {
      this.finishCall(call, result);
      if (call.end !== null) this.checkEnd(call, (time.kind === 'relative' ? from - time.from : 0) + call.end, tolerance);
      return;
    }
    if (call.end === null) throw new Mismatch(`${call.name}: it blocks, which the script does not say`);
    const end = (time.kind === 'relative' ? from - time.from : 0) + call.end;
    this.pending = { call, attempt, line: this.line, end, tolerance: Math.max(tolerance, this.config.tolerancePart * (end - from)) };
  }

  private tryPending(): void {
    const { pending } = this;
    if (pending === null) return;
    const line = this.line;
    this.line = pending.line;
    const result = pending.attempt();
    if (result !== null) {
      this.pending = null;
      this.finishCall(pending.call, result);
      this.checkEnd(pending.call, pending.end, pending.tolerance);
    }
    this.line = line;
  }

  private awaitPending(): void {
    if (this.pending === null) return;
    const { call, end, tolerance, line } = this.pending;
    this.line = line;
    const { clock } = this.machine.host;
    const until = this.start + end + tolerance + LATE;
    this.tryPending();
    while (this.pending !== null && clock.pending > 0 && clock.next() <= until) {
      clock.step();
      this.tryPending();
    }
    if (this.pending !== null) {
      // A timeout of the call itself is no event of the stack's.
      clock.run(until);
      this.tryPending();
    }
    if (this.pending !== null) throw new Mismatch(`${call.name}: expected to end at ${secs(end)}, it still blocks`);
  }

  private finishCall(call: SyscallAction, result: number): void {
    const wrong = resultDifference(call, result, this.process.values, errnoName);
    if (wrong !== '') throw new Mismatch(wrong);
  }

  private checkEnd(call: SyscallAction, end: Micros, tolerance: Micros): void {
    if (Math.abs(this.now - end) > tolerance) throw new Mismatch(`${call.name}: expected to end at ${secs(end)}, it ended at ${secs(this.now)}`);
  }

  private assert(code: string): void {
    const { current } = this.process;
    const socket = current?.socket.kind === 'tcp' ? current.socket : null;
    runCode(code, this.variables, (name) => (socket === null ? undefined : infoValue(socket, name)));
  }
}

const secs = (time: Micros): string => `${(time / seconds(1)).toFixed(6)} s`;

/** An ICMP error is about the flow; answers to pings are nobody's, unless the script asks for one. */
function belongs(live: LivePacket, flow: Flow, wanted: PacketAction['body']['kind']): boolean {
  if (!live.destination.equals(flow.remote) || !live.source.equals(flow.local)) return false;
  if (live.sourcePort === 0 && live.destinationPort === 0) return wanted === 'icmp' || isIcmpError(live);
  return live.sourcePort === flow.localPort && live.destinationPort === flow.remotePort;
}

/** RFC 1122 §3.2.2, RFC 4443 §2.1. */
function isIcmpError(live: LivePacket): boolean {
  const type = live.view.getUint8(live.at);
  return live.family === 6 ? type < 128 : type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
}

/** Several segments as one. */
function joined(parts: readonly LivePacket[]): LivePacket {
  const first = parts[0] as LivePacket;
  const last = parts.at(-1) as LivePacket;
  const head = first.tcp as NonNullable<LivePacket['tcp']>;
  const octets = parts.reduce((sum, part) => sum + (part.tcp?.octets ?? 0), 0);
  const bytes = new Uint8Array(head.payload + octets);
  bytes.set(first.sent.octets.subarray(0, head.payload));
  let at = head.payload;
  for (const { tcp, sent } of parts) {
    const from = tcp?.payload ?? 0;
    bytes.set(sent.octets.subarray(from, from + (tcp?.octets ?? 0)), at);
    at += tcp?.octets ?? 0;
  }
  const flags = last.tcp?.flags ?? 0;
  return { ...first, sent: { time: first.sent.time, octets: bytes }, end: bytes.length, tcp: { ...head, octets, flags } };
}
