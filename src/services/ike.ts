/** IKEv2's driver: the pure engine of net/ipsec/ike over the stack's own UDP sockets, ports 500 and 4500. */
import { type Address, formatAddress } from '../base/address.js';
import { errnoName, NetError } from '../base/errors.js';
import { Flow } from '../net/ip/path.js';
import { Ike, type IkeEvents, type IkeTransport } from '../net/ipsec/ike/ike.js';
import { encapsulate } from '../net/ipsec/nat-t.js';
import { TunnelDevice } from '../net/ipsec/tunnel-device.js';
import { DatagramInfo } from '../net/socket/datagram-queue.js';
import type { UdpSocket } from '../net/socket/udp-socket.js';
import type { Stack } from '../net/stack.js';

/** Greatest IKE message that is taken. */
const DATAGRAM_MAX = 65_535;
/** Datagrams read in one go before others have their turn. */
const BURST = 64;

export interface IkeServiceOptions {
  readonly events?: IkeEvents;
  /** Ours. Default 500 and 4500 (RFC 7296 §2). */
  readonly ports?: readonly [number, number];
}

/** One per stack; `stack.ipsec.driver` is it while it runs. */
export class IkeService implements IkeTransport {
  readonly ike: Ike;
  private readonly stack: Stack;
  private readonly ports: readonly [number, number];
  /** By port, then by our address: one that sends from it. '' is the one that listens everywhere. */
  private readonly sockets = new Map<string, UdpSocket>();
  private readonly buffer = new Uint8Array(DATAGRAM_MAX);
  private readonly info = new DatagramInfo();
  private readonly flow = new Flow();

  /** Throws NetError when the ports are taken. */
  constructor(stack: Stack, options: IkeServiceOptions = {}) {
    this.stack = stack;
    this.ports = options.ports ?? [500, 4_500];
    for (const port of this.ports) this.open(port, null);
    this.ike = new Ike(stack.ctx, stack.ipsec, this, this.ports);
    if (options.events !== undefined) this.ike.events = options.events;
    stack.ipsec.driver = this;
  }

  private open(port: number, address: Address | null): UdpSocket {
    const socket = this.stack.udp.openSocket(46);
    socket.reuse = true;
    const result = socket.bind(address, port);
    if (result < 0) {
      socket.close();
      throw new NetError(errnoName(result), 'bind', address === null ? '*' : formatAddress(address), port);
    }
    if (port === this.ports[1]) encapsulate(this.stack.ctx, this.stack.ipsec.inbound, socket);
    socket.onReady = () => this.read(socket);
    this.sockets.set(keyOf(port, address), socket);
    return socket;
  }

  private read(socket: UdpSocket): void {
    const { buffer, info } = this;
    for (let i = 0; i < BURST; i++) {
      const n = socket.receive(buffer, 0, buffer.length, info);
      if (n < 0) return;
      this.ike.input(buffer.slice(0, n), info.destination, socket.localPort, info.address, info.port);
    }
    if (socket.nextSize >= 0) this.stack.ctx.notify(socket);
  }

  send(local: Address, port: number, remote: Address, remotePort: number, datagram: Uint8Array): void {
    let socket = this.sockets.get(keyOf(port, local));
    if (socket === undefined) {
      if (!this.stack.ip.isLocal(local, 0)) return; // the address is gone: retransmission or another address will tell
      socket = this.open(port, local);
    }
    socket.sendTo(datagram, 0, datagram.length, remote, remotePort);
  }

  watch(changed: (() => void) | null): void {
    this.stack.ip.routes.changed = changed;
  }

  isLocal(address: Address): boolean {
    return this.stack.ip.isLocal(address, 0);
  }

  addresses(): Address[] {
    const running = [...this.stack.interfaces].filter(
      (iface) => iface.running && iface.medium !== 'loopback' && !(iface.device instanceof TunnelDevice),
    );
    return running.flatMap((iface) => iface.addresses.map((a) => a.address)).filter((address) => !address.isLinkLocal);
  }

  localFor(remote: Address): Address | null {
    const { flow } = this;
    flow.source.set(0, 0, 0, 0);
    flow.destination.copy(remote);
    const path = this.stack.ip.path(flow);
    return typeof path === 'number' ? null : path.source;
  }

  close(): void {
    if (this.stack.ipsec.driver !== this) return;
    this.stack.ipsec.driver = null;
    this.ike.close();
    for (const socket of this.sockets.values()) socket.close();
    this.sockets.clear();
  }
}

const keyOf = (port: number, address: Address | null): string => `${port} ${address === null ? '' : formatAddress(address)}`;
