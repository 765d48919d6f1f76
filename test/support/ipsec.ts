import assert from 'node:assert/strict';
import type { Packet } from '#src/base/packet.js';
import { copyPacket } from '#src/base/packet.js';
import { seconds } from '#src/base/time.js';
import type { Crypto } from '#src/hyper/crypto.js';
import { loadNative } from '#src/hyper/native.js';
import { nodeCrypto } from '#src/hyper/node-crypto.js';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import { keyMaterial, parseSuite } from '#src/net/ipsec/algorithms.js';
import type { Mode, Sa, SaOptions } from '#src/net/ipsec/sa.js';
import { selectorOf } from '#src/net/ipsec/selector.js';
import type { Policy } from '#src/net/ipsec/spd.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import type { Stack } from '#src/net/stack.js';
import { type address, type Host, Net, type NetOptions, prefix } from './stacks.js';

/** Keys that count up from 00, as the interoperability scripts have them. */
export const keysOf = (suite: string, first = 0): Uint8Array =>
  Uint8Array.from({ length: keyMaterial(parseSuite(suite)) }, (_, i) => (first + i) & 255);

export interface LinkOptions extends NetOptions {
  readonly suite?: string;
  readonly mode?: Mode;
  readonly protocol?: 'esp' | 'ah';
  readonly sa?: Partial<SaOptions>;
  /** Inner and outer addresses of the two ends. */
  readonly outer?: readonly [string, string];
  readonly inner?: readonly [string, string];
  /** Default: the addon's where it is built. */
  readonly crypto?: Crypto;
}

/** One end with its SAs. */
export interface End {
  readonly host: Host;
  readonly stack: Stack;
  readonly inbound: Sa;
  readonly outbound: Sa;
  readonly policy: Policy;
}

export const SPI_A = 0x1001;
export const SPI_B = 0x1002;

/** Two stacks on one wire, joined by a pair of manual SAs: A has 10.1.0.1 and 192.0.2.1, B 10.2.0.1 and 192.0.2.2. */
export class ProtectedNet {
  readonly net: Net;
  readonly a: End;
  readonly b: End;
  readonly inner: readonly [string, string];

  constructor(options: LinkOptions = {}) {
    const outer = options.outer ?? ['192.0.2.1/24', '192.0.2.2/24'];
    const mode = options.mode ?? 'tunnel';
    this.inner = options.inner ?? (mode === 'tunnel' ? ['10.1.0.1/24', '10.2.0.1/24'] : outer);
    const all = (i: 0 | 1): string[] => [...new Set([outer[i], this.inner[i]])];
    this.net = new Net([all(0), all(1)], { ...options, crypto: options.crypto ?? nodeCrypto(loadNative()) });
    const [hostA, hostB] = this.net.hosts as [Host, Host];
    this.net.run(seconds(5)); // addresses are announced in clear
    this.a = this.side(hostA, options, outer, 0);
    this.b = this.side(hostB, options, outer, 1);
  }

  private side(host: Host, options: LinkOptions, outer: readonly [string, string], own: 0 | 1): End {
    const { stack } = host;
    const peer = (1 - own) as 0 | 1;
    const local = prefix(this.inner[own]);
    const remote = prefix(this.inner[peer]);
    const source = prefix(outer[own]).address;
    const destination = prefix(outer[peer]).address;
    const far = { ...remote, length: remote.address.isV4 ? 24 : 64 };
    // A next hop of the other family is none: such a route needs no neighbour, since the policy sends its packets elsewhere.
    const gateway = destination.isV4 === far.address.isV4 ? destination : null;
    if (this.inner !== outer) route(stack, far, gateway, host.eth0.index, local.address);
    const selectors = [selectorOf({ ...local, length: far.length }, far)];
    const policy = stack.ipsec.addPolicy({ name: 'net', action: 'protect', selectors });
    const name = options.suite ?? 'aes128gcm16';
    const common = {
      protocol: options.protocol ?? ('esp' as const),
      mode: options.mode ?? ('tunnel' as const),
      suite: parseSuite(name),
      selectors,
      ...options.sa,
    };
    const spis = [SPI_A, SPI_B] as const;
    const inbound = stack.ipsec.addSa({
      ...common,
      direction: 'in',
      spi: spis[own],
      source: destination,
      destination: source,
      keys: keysOf(name, own),
    });
    const outbound = stack.ipsec.addSa({ ...common, direction: 'out', spi: spis[peer], source, destination, keys: keysOf(name, peer) }, policy);
    return { host, stack, inbound, outbound, policy };
  }

  run(span = seconds(0.1)): void {
    this.net.run(span);
  }

  /** B answers on UDP port 7; A sends `data` there from port 5000, and gets the answer or null. */
  echo(data: Uint8Array | string): Uint8Array | null {
    const octets = typeof data === 'string' ? new TextEncoder().encode(data) : data;
    const client = bound(this.a.stack, 5_000);
    const server = bound(this.b.stack, 7);
    const to = prefix(this.inner[1]).address;
    assert.equal(client.sendTo(octets, 0, octets.length, to, 7), octets.length);
    this.run();
    const got = receive(server);
    if (got !== null) server.sendTo(got.data, 0, got.data.length, got.info.address, got.info.port);
    this.run();
    const answer = receive(client);
    client.close();
    server.close();
    return answer?.data ?? null;
  }

  /** Closes all; nothing is left. */
  end(): void {
    this.net.end();
  }
}

export function bound(stack: Stack, port: number): UdpSocket {
  const socket = stack.udp.openSocket(46);
  assert.equal(socket.bind(null, port), 0);
  return socket;
}

export function receive(socket: UdpSocket): { data: Uint8Array; info: DatagramInfo } | null {
  const into = new Uint8Array(65_536);
  const info = new DatagramInfo();
  const n = socket.receive(into, 0, into.length, info);
  return n < 0 ? null : { data: into.slice(0, n), info };
}

/** A static route. */
export function route(
  stack: Stack,
  to: { address: ReturnType<typeof address>; length: number },
  gateway: ReturnType<typeof address> | null,
  index: number,
  source: ReturnType<typeof address> | null,
): void {
  stack.ip.routes.add({
    family: to.address.isV4 ? 4 : 6,
    prefix: to.address,
    length: to.length,
    type: 'unicast',
    index,
    gateway,
    source,
    metric: 0,
    mtu: 0,
    table: MAIN_TABLE,
    vrf: 0,
    protocol: 'static',
  });
}

/** Copies of all frames a stack transmits, from their first octet. */
export function wiretap(stack: Stack): Uint8Array[] {
  const frames: Uint8Array[] = [];
  stack.ctx.observer.tx = (_iface, packet: Packet) => {
    const bytes = new Uint8Array(packet.length);
    copyPacket(packet, bytes, 0);
    frames.push(bytes);
  };
  return frames;
}

export const dropsOf = (stack: Stack): Record<string, number> => stack.ctx.counters.dropped();
