/** A stack on a TAP that serves what `tcp-load serve` does, on core sockets: the subject of the wire benches. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parsePrefix } from '#src/base/address.js';
import type { Device, Hypercalls } from '#src/hyper/hypercalls.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import { DatagramInfo } from '#src/net/socket/datagram-queue.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import type { Netns } from '../../test/support/netns.js';

/** TCP: discard on PORT, chargen, echo, accept-and-close on the ports behind it. UDP: echo on 7, discard on 9. */
export const PORT = 9_000;

/** A host with one device. */
export interface Served {
  readonly host: Hypercalls;
  readonly device: Device;
}

/** Opens a TAP in `ns` whose other end is 10.9.N.1. */
export function openTap(ns: Netns, n: number, spec: Record<string, unknown> = {}): Served {
  const host = createNodeHost({ log: () => {} });
  return { host, device: host.open({ type: 'tap', name: `bench${n}`, hostAddress: `10.9.${n}.1/24`, netns: ns.path, ...spec }) };
}

/** A stack with address 10.9.N.2 that serves. Its close closes the device. */
export function servedStack(n: number, { host, device }: Served): Stack {
  const stack = new Stack(`bench${n}`, host, new Sysctl(), {
    failed: (error) => {
      throw error;
    },
    conflict: () => {},
    link: () => {},
  });
  stack.addAddress(stack.addInterface('eth0', device), parsePrefix(`10.9.${n}.2/24`) as NonNullable<ReturnType<typeof parsePrefix>>);
  serveTcp(stack);
  serveUdp(stack);
  return stack;
}

function serveTcp(stack: Stack): void {
  const into = new Uint8Array(1 << 20);
  const out = new Uint8Array(1 << 18);
  const drain = (socket: TcpSocket): void => {
    let n = 0;
    do n = socket.read(into, 0, into.length);
    while (n > 0);
    if (n !== -11) socket.close();
  };
  const fill = (socket: TcpSocket): void => {
    let n = 0;
    do n = socket.write(out, 0, out.length);
    while (n > 0);
    if (n !== -11) socket.close();
  };
  const echo = (socket: TcpSocket): void => {
    let n = 0;
    while ((n = socket.read(into, 0, into.length)) > 0) socket.write(into, 0, n);
    if (n !== -11) socket.close();
  };
  for (const [i, ready] of [drain, fill, echo, (socket: TcpSocket) => socket.close()].entries()) {
    const listener = stack.tcp.openSocket(4);
    listener.bind(null, PORT + i);
    listener.listen(1_024);
    listener.onReady = () => {
      for (let socket = listener.accept(); socket !== null; socket = listener.accept()) {
        const one = socket;
        one.setOption('TCP_NODELAY', 1);
        one.onReady = () => ready(one);
        ready(one);
      }
    };
  }
}

function serveUdp(stack: Stack): void {
  const into = new Uint8Array(65_536);
  const info = new DatagramInfo();
  for (const port of [7, 9]) {
    const socket = stack.udp.openSocket(4);
    socket.bind(null, port);
    socket.setOption('SO_RCVBUF', 1 << 20);
    socket.onReady = () => {
      for (let n = 0; (n = socket.receive(into, 0, into.length, info)) >= 0; ) if (port === 7) socket.sendTo(into, 0, n, info.address, info.port);
    };
  }
}

/** Compiles a load generator of this folder; `remove` takes it away again. */
export function compileLoad(name: string): { readonly path: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'anystack-bench-'));
  const path = join(folder, name);
  execFileSync('cc', ['-O2', '-o', path, join(dirname(fileURLToPath(import.meta.url)), `../../../bench/wire/${name}.c`), '-lm']);
  return { path, remove: () => rmSync(folder, { recursive: true }) };
}

export const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] as number;
