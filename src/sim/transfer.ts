import type { AnyStack } from '../anystack.js';
import type { Address } from '../base/address.js';
import { errnoName } from '../base/errors.js';
import type { Micros } from '../base/time.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import { InvariantError, invariant } from './invariants.js';

/** Octets read and written at once. */
const CHUNK = 16_384;

/** The octet at a place of the stream numbered `stream`: tells lost, doubled and swapped octets, and streams mixed up. */
export const octetAt = (stream: number, place: number): number => (Math.imul(place + stream * 7_919, 0x9e3779b1) >>> 23) & 255;

/** What one connection is to carry. */
export interface TransferPlan {
  readonly port: number;
  /** Octets from the side that connects, and back. */
  readonly up: number;
  readonly down: number;
}

/** One side of a connection: sends so many octets, then ends its direction; takes what comes and looks at each octet. */
class Side {
  readonly socket: TcpSocket;
  received = 0;
  sent = 0;
  ended = false;
  private readonly name: string;
  private readonly out: number;
  private readonly outStream: number;
  private readonly inStream: number;
  private readonly into = new Uint8Array(CHUNK);
  private readonly data = new Uint8Array(CHUNK);
  private shut = false;

  constructor(name: string, socket: TcpSocket, out: number, outStream: number, inStream: number) {
    this.name = name;
    this.socket = socket;
    this.out = out;
    this.outStream = outStream;
    this.inStream = inStream;
    socket.onReady = () => this.work();
  }

  work(): void {
    this.read();
    this.write();
    if (this.ended && this.shut) this.socket.close();
  }

  /** Octets of the stream that were read are what was written there. */
  private look(n: number): void {
    for (let i = 0; i < n; i++) {
      const place = this.received + i;
      if (this.into[i] !== octetAt(this.inStream, place))
        throw new InvariantError(`${this.name}: octet ${place} of the stream is not what was written`);
    }
  }

  private read(): void {
    while (!this.ended) {
      const n = this.socket.read(this.into);
      if (n === 0) {
        this.ended = true;
        return;
      }
      if (n < 0) return this.unlessPatient(n);
      this.look(n);
      this.received += n;
    }
  }

  private write(): void {
    while (this.sent < this.out) {
      // Not more than fits: octets are made anew for each write.
      const length = Math.min(CHUNK, this.out - this.sent, Math.max(1, this.socket.writableSpace));
      for (let i = 0; i < length; i++) this.data[i] = octetAt(this.outStream, this.sent + i);
      const n = this.socket.write(this.data, 0, length);
      if (n < 0) return this.unlessPatient(n);
      this.sent += n;
    }
    if (this.shut || this.socket.state === 'SYN-SENT') return;
    this.shut = this.socket.shutdown('write') === 0;
  }

  private unlessPatient(result: number): void {
    const name = errnoName(result);
    invariant(name === 'EAGAIN', `${this.name}: the connection failed with ${name}`);
  }
}

/** A connection that carries its plan and looks at every octet of it. */
export class Transfer {
  readonly plan: TransferPlan;
  private readonly client: Side;
  private server: Side | null = null;
  private readonly stream: number;
  private readonly clock: () => Micros;
  /** When the last octet was read, µs; −1 before. */
  doneAt: Micros = -1;

  /** Listens on `to`, connects from `from` to `address`. `stream` numbers the transfer: its octets are like no other's. */
  constructor(from: AnyStack, to: AnyStack, address: Address, plan: TransferPlan, stream: number, clock: () => Micros) {
    this.plan = plan;
    this.stream = 2 * stream;
    this.clock = clock;
    const family = address.isV4 ? 4 : 6;
    const listener = to.core.tcp.openSocket(family);
    const bound = listener.bind(null, plan.port) || listener.listen(16);
    invariant(bound === 0, `listen on port ${plan.port}: ${errnoName(bound)}`);
    listener.onReady = () => {
      const socket = listener.accept();
      if (socket === null) return;
      listener.close();
      this.server = new Side(`${to.name}:${plan.port}`, socket, plan.down, this.stream + 1, this.stream);
      this.server.work();
    };
    const socket = from.core.tcp.openSocket(family);
    this.client = new Side(`${from.name} to port ${plan.port}`, socket, plan.up, this.stream, this.stream + 1);
    const result = socket.connect(address, plan.port);
    invariant(errnoName(result) === 'EINPROGRESS', `connect: ${errnoName(result)}`);
  }

  /** True when both sides have read all of it, and the end. */
  get done(): boolean {
    const { client, server } = this;
    if (server === null || !client.ended || !server.ended) return false;
    if (this.doneAt < 0) this.doneAt = this.clock();
    return true;
  }

  /** Throws InvariantError unless each side has read exactly what the other wrote. */
  check(): void {
    const { client, server, plan } = this;
    const arrived = `port ${plan.port}: ${server?.received ?? 0} of ${plan.up} octets up, ${client.received} of ${plan.down} down, ended ${server?.ended ?? false}/${client.ended}`;
    invariant(this.done && server?.received === plan.up && client.received === plan.down, arrived);
  }
}
