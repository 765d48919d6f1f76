/** A name server for tests: answers as a table says, over UDP and TCP, and remembers what it was asked. */
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import type { Stack } from '#src/net/stack.js';
import { TcpService } from '#src/services/tcp-service.js';
import { type Data, Flag, IN, type Message, parse, type ResourceRecord, Type, typeName } from '#src/wire/dns.js';
import { type Draft, write } from '#src/wire/dns-writer.js';
import { address } from './stacks.js';

/** What it answers to a question; null for silence. */
export type Zone = (question: Message, overTcp: boolean) => Partial<Message> | null;

export const record = (name: string, type: number, data: Data, ttl = 60): ResourceRecord => ({ name, type, class: IN, ttl, data });
export const a = (name: string, text: string, ttl?: number): ResourceRecord =>
  record(name, text.includes(':') ? Type.AAAA : Type.A, { kind: 'address', address: address(text) }, ttl);
export const cname = (name: string, to: string, ttl?: number): ResourceRecord => record(name, Type.CNAME, { kind: 'name', name: to }, ttl);
export const soa = (name: string, minimum: number, ttl = 3_600): ResourceRecord =>
  record(name, Type.SOA, { kind: 'soa', nsname: `ns.${name}`, hostmaster: `root.${name}`, numbers: [1, 2, 3, 4, minimum] }, ttl);

/** Serves on port 53 of `stack` until it closes. */
export class NameServerForTests {
  /** 'A www.example.org' and so on, with ' tcp' behind what came so. */
  readonly asked: string[] = [];
  /** Ports and identifiers of the questions over UDP. */
  readonly marks: { port: number; id: number }[] = [];
  /** Told the address a question over UDP came from. */
  heard: (from: string) => void = () => {};
  zone: Zone;
  readonly socket: UdpSocket;

  constructor(stack: Stack, zone: Zone, port = 53) {
    this.zone = zone;
    this.socket = stack.udp.openSocket(4);
    this.socket.bind(null, port);
    const octets = new Uint8Array(65_535);
    const info = new DatagramInfo();
    this.socket.onReady = () => {
      for (let n = this.socket.receive(octets, 0, octets.length, info); n >= 0; n = this.socket.receive(octets, 0, octets.length, info)) {
        const question = parse(octets, 0, n) as Message;
        this.heard(info.address.toString());
        this.marks.push({ port: info.port, id: question.id });
        const answer = this.answer(question, false);
        if (answer === null) continue;
        const end = write(octets, 0, answer, question.edns?.udpSize ?? 512);
        this.socket.sendTo(octets, 0, end, info.address, info.port, info.index);
      }
    };
    new TcpService(stack, port, [], () => (socket) => {
      const into = new Uint8Array(65_535);
      const n = socket.read(into);
      if (n <= 2) return n < 0;
      const answer = this.answer(parse(into, 2, n) as Message, true);
      if (answer === null) return true;
      const end = write(into, 2, answer, 65_533);
      new DataView(into.buffer).setUint16(0, end - 2);
      socket.write(into, 0, end);
      return true;
    });
  }

  private answer(question: Message, overTcp: boolean): Draft | null {
    const { name, type } = question.questions[0] as { name: string; type: number };
    this.asked.push(`${typeName(type)} ${name}${overTcp ? ' tcp' : ''}`);
    const said = this.zone(question, overTcp);
    if (said === null) return null;
    const edns = question.edns === null ? null : { udpSize: 1_232, version: 0, dnssecOk: false };
    return { id: question.id, questions: question.questions, edns, ...said, flags: Flag.Response | Flag.Available | (said.flags ?? 0) };
  }
}

/** Answers from a list of records: those of the name and type, or an alias; else NXDOMAIN with an SOA of `minimum` seconds. */
export function zoneOf(records: readonly ResourceRecord[], minimum = 30): Zone {
  return ({ questions: [question] }) => {
    const { name, type } = question as { name: string; type: number };
    const here = records.filter((r) => r.name === name.toLowerCase());
    const answers = here.filter((r) => r.type === type || r.type === Type.CNAME);
    if (answers.length > 0) return { answers };
    return { rcode: here.length > 0 ? 0 : 3, authorities: [soa('example.org', minimum)] };
  };
}
