import type { Socket as Datagrams, RemoteInfo } from 'node:dgram';
import { isIP, isIPv6, type Socket } from 'node:net';
import { parseAddress } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import type { Stack } from '../../net/stack.js';
import { datagramHeader, putDatagramHeader, where } from '../../wire/socks.js';
import type { Side } from './sides.js';

/** Names one client may have looked up at a time; what it sends to further ones is lost. */
const NAMES_MAX = 16;

/** UDP through a SOCKS server (RFC 1928 §7): datagrams of one client with a destination in front, and those that come back. */
export class SocksAssociation {
  private readonly core: Stack;
  private readonly far: Side;
  private readonly near: Datagrams;
  private readonly client: string;
  /** The client's port; 0 until its first datagram tells. */
  private clientPort: number;
  /** For destinations of IPv4 and of IPv6, opened with the first. */
  private readonly outside: [Datagrams | null, Datagrams | null] = [null, null];
  private asking = 0;
  private closed = false;

  /** `port`: where the client says it will send from; 0 when it does not know. */
  constructor(core: Stack, near: Side, far: Side, control: Socket, port: number) {
    const here = (control.localAddress ?? '').replace(/^::ffff:/, '');
    this.core = core;
    this.far = far;
    this.client = (control.remoteAddress ?? '').replace(/^::ffff:/, '');
    this.clientPort = port;
    this.near = near.datagrams(isIPv6(here));
    this.near.on('message', (datagram, sender) => this.output(datagram, sender));
    this.near.bind(0, here);
  }

  /** Where the client is to send. */
  get port(): number {
    return this.near.address().port;
  }

  ready(done: (error: Error | null) => void): void {
    this.near.once('listening', () => done(null));
    this.near.on('error', done);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.near.close();
    for (const socket of this.outside) socket?.close();
  }

  /** From the client to the destination it names. */
  private output(datagram: Buffer, sender: RemoteInfo): void {
    const { ctx } = this.core;
    if (sender.address !== this.client || (this.clientPort !== 0 && sender.port !== this.clientPort)) {
      ctx.countDrop(Drop.SocksUnexpected);
      return;
    }
    const at = datagramHeader(datagram);
    if (at < 0) {
      ctx.countDrop(-at);
      return;
    }
    this.clientPort = sender.port;
    const { host, port } = where(datagram);
    if (port === 0 || ctx.ended !== 0) return;
    const data = datagram.subarray(at);
    if (isIP(host) !== 0) {
      this.towards(isIPv6(host)).send(data, port, host, lost);
      return;
    }
    if (this.asking >= NAMES_MAX) return;
    this.asking++;
    this.far.lookup(host, {}, (error, address) => {
      this.asking--;
      if (error === null && !this.closed) this.towards(isIPv6(address as string)).send(data, port, address as string, lost);
    });
  }

  private towards(six: boolean): Datagrams {
    const i = six ? 1 : 0;
    const open = this.outside[i];
    if (open !== null) return open;
    const socket = this.far.datagrams(six);
    socket.on('error', lost);
    socket.on('message', (answer, from) => this.input(answer, from));
    this.outside[i] = socket;
    return socket;
  }

  /** Back to the client, with the sender in front. */
  private input(answer: Buffer, { address, port }: RemoteInfo): void {
    const from = parseAddress(address.replace(/%.*$/, ''));
    if (from !== null && !this.closed) this.near.send([putDatagramHeader(from, port), answer], this.clientPort, this.client, lost);
  }
}

/** What cannot be sent is lost, as datagrams are. */
const lost = (): void => {};
