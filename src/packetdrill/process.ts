import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { UdpSocket } from '../net/socket/udp-socket.js';
import type { Expression, SyscallAction } from './ast.js';
import type { Epoll } from './epoll.js';
import type { Machine } from './machine.js';
import { Mismatch, Unsupported } from './outcome.js';
import type { RunConfig } from './run-config.js';
import type { Values } from './values.js';

/** A socket of the program under test. */
export interface OpenSocket {
  readonly kind: 'socket';
  readonly socket: TcpSocket | UdpSocket;
  nonBlocking: boolean;
  /** Places in the two streams: the next octet to write and to read. */
  written: number;
  read: number;
}

/** What a descriptor leads to. */
export type OpenFile = OpenSocket | Epoll;

/** One call: answers a result or a negative errno, or null while it would block. Called again when something has happened. */
export type Attempt = () => number | null;

/** What the runner learns of the program's calls: which connection the script is about. */
export interface ProcessEvents {
  listening(): void;
  connecting(protocol: 'tcp' | 'udp', port: number): void;
  /** The port the script's packets come from, 0 before the first. */
  peerPort(): number;
}

/** The program under test: its open files, and what its calls need to know. */
export class Process {
  readonly machine: Machine;
  readonly config: RunConfig;
  readonly values: Values;
  readonly events: ProcessEvents;
  readonly files = new Map<number, OpenFile>();
  /** The socket of the connection under test: whose tcp_info code asks for. */
  current: OpenSocket | null = null;
  /** True once a script has written octets of its own, or read urgent ones: contents are not looked at any more. */
  ownOctets = false;

  constructor(machine: Machine, config: RunConfig, values: Values, events: ProcessEvents) {
    this.machine = machine;
    this.config = config;
    this.values = values;
    this.events = events;
  }

  /** The file of a descriptor, or undefined where the script uses one that is not open. */
  file(e: Expression | undefined): OpenFile | undefined {
    return this.files.get(this.values.number(e));
  }

  socket(e: Expression | undefined): OpenSocket | null {
    const file = this.file(e);
    return file?.kind === 'socket' ? file : null;
  }

  tcp(e: Expression | undefined): (OpenSocket & { readonly socket: TcpSocket }) | null {
    const open = this.socket(e);
    return open?.socket.kind === 'tcp' ? (open as OpenSocket & { readonly socket: TcpSocket }) : null;
  }

  /** Enters a file under the number the script expects, or the lowest free one from 3. */
  enter(file: OpenFile, call: SyscallAction): number {
    let fd = this.values.numberOrNull(call.result) ?? -1;
    if (fd < 0) for (fd = 3; this.files.has(fd); ) fd++;
    if (this.files.has(fd)) throw new Mismatch(`descriptor ${fd} is open already`);
    this.files.set(fd, file);
    return fd;
  }

  newSocket(socket: TcpSocket | UdpSocket, nonBlocking: boolean): OpenSocket {
    return { kind: 'socket', socket, nonBlocking, written: 0, read: 0 };
  }
}

/** Is this result what the script says? '' or the difference. */
export function resultDifference(call: SyscallAction, actual: number, values: Values, name: (errno: number) => string): string {
  if (call.result.kind === 'any') return '';
  const expected = values.numberOrNull(call.result);
  if (expected === null) throw new Unsupported(`result ${call.name}`);
  const got = actual < 0 ? `-1 ${name(-actual)}` : String(actual);
  const said = `${call.name}: expected ${expected}${call.errno === null ? '' : ` ${call.errno}`}, got ${got}`;
  if (actual >= 0) return actual === expected ? '' : said;
  if (expected !== -1) return expected < -1 && actual < 0 ? '' : said;
  if (call.errno === null) return '';
  return values.numberOrNull({ kind: 'word', name: call.errno }) === -actual ? '' : said;
}
