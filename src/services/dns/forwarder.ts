import { anyFamily } from '../../api/endpoint.js';
import { interfaceNamed } from '../../api/link.js';
import type { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { errnoName, NetError } from '../../base/errors.js';
import { TokenBucket } from '../../base/token-bucket.js';
import { parsePrefix64, WELL_KNOWN } from '../../net/nat64/prefix.js';
import { DatagramInfo } from '../../net/socket/datagram-queue.js';
import { Ready } from '../../net/socket/socket.js';
import type { TcpSocket } from '../../net/socket/tcp-socket.js';
import type { UdpSocket } from '../../net/socket/udp-socket.js';
import type { Stack } from '../../net/stack.js';
import { Flag, HEADER_LEN, IN, type Message, opcodeOf, PLAIN_MAX, parse, Rcode } from '../../wire/dns.js';
import { labelsOf } from '../../wire/dns-name.js';
import { write } from '../../wire/dns-writer.js';
import { Alarm } from '../alarm.js';
import { answerable } from '../onlink.js';
import type { Running } from '../small.js';
import { type Serve, TcpService } from '../tcp-service.js';
import { type Ask, dns64 } from './dns64.js';
import { UDP_SIZE } from './request.js';
import type { StubResolver } from './resolver.js';
import { DNS_PORT } from './settings.js';
import type { Outcome } from './transaction.js';

/** What the forwarder is told. */
export interface ForwarderSpec {
  /** Where it listens. */
  readonly interfaces: readonly string[];
  /** Questions a second that it takes over UDP. Default 1,000. */
  readonly rate?: number;
  /** IPv6 addresses for hosts that have none, behind the prefix of a NAT64 (RFC 6147). True: 64:ff9b::/96. Default false. */
  readonly dns64?: boolean | string;
}

/** Default of ForwarderSpec.rate. */
const RATE = 1_000;
/** Questions that wait for servers, over UDP and TCP together; further ones are answered SERVFAIL. Half of the resolver's: the stack's own names are not to starve. */
const PENDING_MAX = 128;
/** A connection without a question for so long is closed, that nobody holds all there can be (RFC 7766 §6.2.3). */
const IDLE_MS = 10_000;

/** Passes questions of stations on the link to the stack's own servers, and answers from the stack's cache (RFC 5625). */
export function startForwarder(core: Stack, stub: StubResolver, { interfaces, rate = RATE, dns64: prefix = false }: ForwarderSpec): Running {
  const ask: Ask = (...question) => stub.query(...question);
  return new Forwarder(
    core,
    prefix === false ? ask : dns64(core, parsePrefix64(prefix === true ? WELL_KNOWN : prefix, 'dns.forwarder.dns64'), ask),
    interfaces.map((name) => interfaceNamed(core, name, 'listen').index),
    rate,
  );
}

class Forwarder implements Running {
  private readonly core: Stack;
  private readonly ask: Ask;
  private readonly sockets: UdpSocket[] = [];
  private readonly listeners: TcpService[] = [];
  private readonly bucket: TokenBucket;
  private readonly rate: number;
  private readonly info = new DatagramInfo();
  private readonly datagram = new Uint8Array(65_535);
  private readonly cancels = new Set<() => void>();
  private readonly idle = new Set<Alarm>();

  constructor(core: Stack, ask: Ask, indices: readonly number[], rate: number) {
    this.core = core;
    this.ask = ask;
    this.rate = rate;
    this.bucket = new TokenBucket(core.ctx.now, rate);
    for (const index of indices) this.listen(index);
  }

  close(): void {
    for (const socket of this.sockets) socket.close();
    for (const listener of this.listeners) listener.close();
    for (const cancel of [...this.cancels]) cancel();
    this.cancels.clear();
    for (const alarm of this.idle) alarm.cancel();
    this.idle.clear();
  }

  private listen(index: number): void {
    const { core } = this;
    const socket = core.udp.openSocket(anyFamily(core));
    this.sockets.push(socket);
    socket.boundIndex = index;
    try {
      const result = socket.bind(null, DNS_PORT);
      if (result !== 0) throw new NetError(errnoName(result), 'bind', undefined, DNS_PORT);
      this.listeners.push(new TcpService(core, DNS_PORT, [index], () => this.connection(index)));
    } catch (error) {
      this.close();
      throw error;
    }
    socket.onReady = () => this.receive(socket);
  }

  private receive(socket: UdpSocket): void {
    const { core, datagram, info } = this;
    for (let n = socket.receive(datagram, 0, datagram.length, info); n >= 0; n = socket.receive(datagram, 0, datagram.length, info)) {
      if (!answerable(core.interfaces, info) || !this.bucket.take(core.ctx.now, this.rate, this.rate)) {
        core.ctx.countDrop(Drop.DnsNotAnswered);
        continue;
      }
      const asked = this.question(datagram, 0, n);
      if (asked === null) continue;
      const to = info.address.clone();
      const { port, index } = info;
      const from = info.destination.clone();
      const max = Math.min(UDP_SIZE, asked.edns?.udpSize ?? PLAIN_MAX);
      this.answer(asked, max, (octets) => this.sendUdp(socket, octets, to, port, index, from));
    }
  }

  /** From the address the question went to (RFC 2181 §4.1): a socket bound to it, where it is not the one that would be chosen. */
  private sendUdp(socket: UdpSocket, octets: Uint8Array, to: Address, port: number, index: number, from: Address): void {
    if (socket.closed) return;
    const iface = this.core.interfaces.at(index);
    const choice = iface?.addresses.filter((a) => a.address.isV4 === from.isV4).length ?? 0;
    if (choice <= 1) {
      socket.sendTo(octets, 0, octets.length, to, port, index);
      return;
    }
    const bound = this.core.udp.openSocket(from.isV4 ? 4 : 6);
    bound.reuse = socket.reuse = true;
    bound.boundIndex = index;
    if (bound.bind(from, DNS_PORT) === 0) bound.sendTo(octets, 0, octets.length, to, port, index);
    bound.close();
  }

  /** Serves one connection as long as it asks. */
  private connection(index: number): Serve {
    const serve = this.questions(index);
    let alarm: Alarm | null = null;
    let over = false;
    const end = (): false => {
      alarm?.cancel();
      if (alarm !== null) this.idle.delete(alarm);
      return false;
    };
    return (socket, ready) => {
      if (alarm === null) {
        alarm = new Alarm(this.core.ctx, () => {
          over = true;
          socket.onReady?.();
        });
        this.idle.add(alarm);
      }
      alarm.set(IDLE_MS);
      return !over && serve(socket, ready) ? true : end();
    };
  }

  /** A connection's questions one after the other; those behind the first wait in the receive buffer. RFC 7766 §6.2.1. */
  private questions(index: number): Serve {
    let incoming = new Uint8Array(0);
    let outgoing = new Uint8Array(0);
    let busy = false;
    const serve: Serve = (socket, ready) => {
      if (outgoing.length > 0) outgoing = outgoing.subarray(Math.max(0, socket.write(outgoing)));
      if (busy || outgoing.length > 0) return (ready & Ready.HangUp) === 0;
      incoming = readMessage(socket, incoming);
      const length = lengthOf(incoming);
      if (incoming.length >= 2 && length < HEADER_LEN) return false;
      if (incoming.length < 2 || incoming.length < 2 + length) return (ready & (Ready.ReadHangUp | Ready.HangUp)) === 0;
      const asked = onLink(this.core, socket, index) ? this.question(incoming, 2, 2 + length) : null;
      incoming = new Uint8Array(0);
      if (asked === null) return false;
      busy = true;
      this.answer(asked, 65_535, (octets) => {
        busy = false;
        if (socket.closed) return;
        outgoing = Uint8Array.of(octets.length >>> 8, octets.length & 255, ...octets);
        socket.onReady?.();
      });
      return true;
    };
    return serve;
  }

  /** Null, with the drop counted, for what is no question to us. */
  private question(bytes: Uint8Array, at: number, end: number): Message | null {
    const message = parse(bytes, at, end);
    if (typeof message === 'number') {
      this.core.ctx.countDrop(message);
      return null;
    }
    // An answer is never answered: two forwarders would talk for ever.
    if ((message.flags & Flag.Response) === 0 && message.questions.length === 1) return message;
    this.core.ctx.countDrop(Drop.DnsNotAnswered);
    return null;
  }

  private answer(asked: Message, max: number, send: (octets: Uint8Array) => void): void {
    const [question] = asked.questions;
    const refuse = (rcode: number): void => send(reply(asked, { rcode }, max));
    if (question === undefined || opcodeOf(asked.flags) !== 0) return refuse(Rcode.NotImp);
    if ((asked.edns?.version ?? 0) > 0) return refuse(Rcode.BadVers);
    if (question.class !== IN || labelsOf(question.name) === null || isTransfer(question.type)) return refuse(Rcode.Refused);
    if (this.cancels.size >= PENDING_MAX) {
      this.core.ctx.countDrop(Drop.DnsQueriesFull);
      return refuse(Rcode.ServFail);
    }
    const options = { dnssecOk: asked.edns?.dnssecOk ?? false, checkingDisabled: (asked.flags & Flag.Unchecked) !== 0 };
    let cancel = (): void => {};
    const asking = this.ask(question.name, question.type, options, (outcome: Outcome) => {
      this.cancels.delete(cancel);
      send(typeof outcome === 'object' ? reply(asked, outcome, max) : reply(asked, { rcode: Rcode.ServFail }, max));
    });
    cancel = asking;
    this.cancels.add(cancel);
  }
}

/** Octets of one message with its length, behind those in `before`; no more are taken than it has. */
function readMessage(socket: TcpSocket, before: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  let message = before;
  for (;;) {
    const wanted = message.length < 2 ? 2 : 2 + lengthOf(message);
    if (message.length >= wanted) return message;
    const more = new Uint8Array(wanted);
    more.set(message);
    const n = socket.read(more, message.length, wanted - message.length);
    if (n <= 0) return message;
    message = more.slice(0, message.length + n);
  }
}

const lengthOf = (message: Uint8Array): number => (message.length < 2 ? 0 : ((message[0] as number) << 8) | (message[1] as number));

function onLink(core: Stack, socket: TcpSocket, index: number): boolean {
  const info = new DatagramInfo();
  info.address.copy(socket.remoteAddress);
  info.destination.copy(socket.localAddress);
  info.port = socket.remotePort;
  info.index = index;
  return answerable(core.interfaces, info);
}

/** AXFR, IXFR: a zone is not ours to give. */
const isTransfer = (type: number): boolean => type === 252 || type === 251;

const OPCODE = 0x7800;

/** RFC 1035 §4.1.1: the question, its opcode and its identifier come back; AA does not, and AD only for who asked (RFC 6840 §5.8). */
function reply(asked: Message, answer: Partial<Message> & { rcode: number }, max: number): Uint8Array {
  const authentic = (answer.flags ?? 0) & Flag.Authentic & (asked.edns?.dnssecOk ? Flag.Authentic : asked.flags);
  const flags = Flag.Response | Flag.Available | (asked.flags & (OPCODE | Flag.Desired | Flag.Unchecked)) | authentic;
  const into = new Uint8Array(max);
  const { answers = [], authorities = [], additional = [], rcode } = answer;
  const edns = asked.edns === null ? null : { udpSize: UDP_SIZE, version: 0, dnssecOk: asked.edns.dnssecOk };
  const end = write(into, 0, { id: asked.id, flags, rcode, questions: asked.questions, answers, authorities, additional, edns }, max);
  return into.slice(0, end);
}
