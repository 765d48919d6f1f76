/**
 * node:tls over our socket, beside node:tls over a plain Duplex wrapped around the kernel's socket: what every stream that is not a
 * handle of Node costs. A child process is the other end, over a TAP or over loopback; rounds interleaved, medians, rate and CPU of this
 * process. `npm run bench -- wire/tls [seconds] [rounds]`; needs root and ip.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import * as net from 'node:net';
import { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import { createStack } from '#src/index.js';
import { cert, key } from '../../test/support/certificate.js';
import { makeNetns } from '../../test/support/netns.js';
import { median } from './served.js';

const seconds = Number(process.argv[3] ?? 1);
const rounds = Number(process.argv[4] ?? 5);

/** Sends or reads until it is ended. */
const CLIENT = `
const [host, port, way] = process.argv.slice(1);
const socket = require('node:tls').connect({ host, port: Number(port), rejectUnauthorized: false }, () => {
  socket.write(way);
  if (way === 'r') return socket.resume();
  const data = Buffer.alloc(65536);
  const fill = () => { while (socket.write(data)); };
  socket.on('drain', fill);
  fill();
});
socket.on('error', () => process.exit());
socket.on('close', () => process.exit());
`;

/** The kernel's socket as streams are that Node knows nothing of. */
class Wrapped extends Duplex {
  private readonly socket: net.Socket;

  constructor(socket: net.Socket) {
    super();
    this.socket = socket;
    socket.on('data', (data) => {
      if (!this.push(data)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(data: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.socket.write(data, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.socket.cork();
    for (const [i, { chunk }] of chunks.entries()) this.socket.write(chunk, i === chunks.length - 1 ? done : undefined);
    this.socket.uncork();
  }

  override _final(done: () => void): void {
    this.socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }
}

/** Octets in and out since the start. */
const moved = { octets: 0 };

/** Reads what comes, or sends without end, as the client's first octet asks. */
function serve(socket: tls.TLSSocket): void {
  const data = Buffer.alloc(65_536);
  const fill = (): void => {
    while (socket.writable && socket.write(data)) moved.octets += data.length;
  };
  socket.on('error', () => {});
  socket.once('data', (first: Buffer) => {
    if (first[0] === 0x72) {
      socket.on('drain', () => {
        moved.octets += data.length;
        fill();
      });
      fill();
    } else socket.on('data', (octets) => (moved.octets += octets.length));
  });
}

/** MB/s, and ns of this process per octet. */
async function measured(client: ChildProcess): Promise<[number, number]> {
  await new Promise((resolve) => setTimeout(resolve, 300 + 200 * seconds));
  const before = moved.octets;
  const cpu = process.cpuUsage();
  const begin = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 1_000 * seconds));
  const octets = moved.octets - before;
  const { user, system } = process.cpuUsage(cpu);
  const took = performance.now() - begin;
  const gone = new Promise((resolve) => client.once('exit', resolve));
  client.kill();
  await gone;
  return [octets / took / 1e3, ((user + system) * 1e3) / octets];
}

const ns = makeNetns('bench');
const stack = createStack({
  interfaces: { eth0: { device: { type: 'tap', name: 'bench0', hostAddress: '10.9.0.1/24', netns: ns.path }, addresses: ['10.9.0.2/24'] } },
});
const secureContext = tls.createSecureContext({ key, cert });
const ours = stack.tls.createServer({ key, cert }, serve);
const kernel = net.createServer((socket) => serve(new tls.TLSSocket(new Wrapped(socket), { isServer: true, secureContext })));
try {
  await stack.ready;
  await new Promise<void>((resolve) => ours.listen(443, () => resolve()));
  await new Promise<void>((resolve) => kernel.listen(0, '127.0.0.1', resolve));
  const { port } = kernel.address() as net.AddressInfo;
  const words = ['--eval', CLIENT, '--'];
  const subjects: readonly (readonly [string, (way: string) => ChildProcess])[] = [
    ['our socket', (way) => ns.start(process.execPath, ...words, '10.9.0.2', '443', way)],
    ['kernel, Duplex', (way) => spawn(process.execPath, [...words, '127.0.0.1', String(port), way], { stdio: 'ignore' })],
  ];
  for (const [title, way] of [
    ['TLS in', 'w'],
    ['TLS out', 'r'],
  ] as const) {
    const figures = subjects.map(() => [[], []] as [number[], number[]]);
    for (let round = 0; round < rounds; round++) {
      for (const [s, [, start]] of subjects.entries()) {
        const [rate, cost] = await measured(start(way));
        figures[s]?.[0].push(rate);
        figures[s]?.[1].push(cost);
      }
    }
    const [a, b] = figures.map(([rates, costs]) => [median(rates), median(costs)]) as [[number, number], [number, number]];
    console.log(
      `${title}: our socket ${a[0].toFixed(0)} MB/s, ${a[1].toFixed(2)} ns an octet; kernel through a Duplex ${b[0].toFixed(0)} MB/s, ${b[1].toFixed(2)};` +
        ` ratio ${(a[0] / b[0]).toFixed(2)}, asked 0.9`,
    );
  }
} finally {
  kernel.close();
  await stack.close();
  ns.remove();
}
