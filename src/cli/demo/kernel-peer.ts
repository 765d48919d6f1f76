import { spawn } from 'node:child_process';
import http from 'node:http';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { AnyStack } from '../../anystack.js';
import { ping } from '../../services/ping.js';
import { CHARGEN, DISCARD, type Echo, type Peer, type Transfer } from './peer.js';
import { run } from './run.js';

const CHILD = fileURLToPath(new URL('bulk-child.js', import.meta.url));

/** The kernel of the network this process is in, with the programs that are there: nobody here wrote them. */
export class KernelPeer implements Peer {
  readonly name = 'kernel';
  private readonly stack: AnyStack;
  private readonly kernelAddress: string;

  constructor(stack: AnyStack, kernelAddress: string) {
    this.stack = stack;
    this.kernelAddress = kernelAddress;
  }

  async ping(address: string): Promise<Echo> {
    const { code, out } = await run('ping', ['-n', '-c', '10', '-i', '0.05', '-W', '1', address]);
    const counts = /(\d+) packets transmitted, (\d+) received/.exec(out);
    if (code !== null && counts !== null) {
      const rtt = /= [\d.]+\/([\d.]+)\//.exec(out)?.[1] ?? 0;
      return { rtt: Number(rtt), ttl: Number(/ttl=(\d+)/.exec(out)?.[1] ?? 0), sent: Number(counts[1]), received: Number(counts[2]) };
    }
    // No ping here: the stack asks, the kernel answers.
    const asked = address.includes(':') ? address.replace(/2$/, '1') : this.kernelAddress;
    const { transmitted, received, avg } = await ping(this.stack.core, asked, { count: 10, interval: 50 }).done;
    return { rtt: avg, ttl: 0, sent: transmitted, received };
  }

  async fetch(address: string, path: string): ReturnType<Peer['fetch']> {
    const url = `http://${address}${path}`;
    const { code, out } = await run('curl', ['-g', '-s', '-o', '/dev/null', '-m', '3', '-w', '%{http_code} %{size_download} %{time_total}', url]);
    const [status = 0, octets = 0, seconds = 0] = out.split(' ').map(Number);
    return code === 0 ? { by: 'curl', status, octets, ms: seconds * 1_000 } : get(url);
  }

  async bulk(address: string, way: 'in' | 'out', ms: number): Promise<Transfer> {
    return child([address, String(way === 'in' ? DISCARD : CHARGEN), way, String(ms)], ms);
  }

  connect(address: string, port: number): ReturnType<Peer['connect']> {
    return connect({ host: address, port });
  }
}

/** The same transfer from kernel to kernel, over its loopback; null where that is not to be had. */
export async function kernelBulk(ms: number): Promise<Transfer | null> {
  const server = spawn(process.execPath, [CHILD, 'serve'], { stdio: ['pipe', 'pipe', 'ignore'] });
  try {
    const port = await new Promise<string>((resolve, reject) => {
      server.stdout.once('data', (octets) => resolve(String(octets).trim()));
      server.once('exit', reject);
    });
    return await child(['127.0.0.1', port, 'in', String(ms)], ms);
  } catch {
    return null;
  } finally {
    server.stdin.end();
  }
}

async function child(args: readonly string[], ms: number): Promise<Transfer> {
  const { code, out, err } = await run(process.execPath, [CHILD, ...args], ms + 4_000);
  if (code !== 0) throw new TransferError(err.trim() || 'it did not end in time');
  return JSON.parse(out) as Transfer;
}

/** A transfer of the demo failed. */
class TransferError extends Error {
  override readonly name = 'TransferError';
}

/** Without curl: Node's own client, on the kernel's sockets. */
function get(url: string): ReturnType<Peer['fetch']> {
  const from = performance.now();
  return new Promise((resolve, reject) => {
    const request = http.get(url, { timeout: 3_000 }, (response) => {
      let octets = 0;
      response.on('data', (chunk: Buffer) => (octets += chunk.length));
      response.on('end', () => resolve({ by: "Node's http (no curl here)", status: response.statusCode ?? 0, octets, ms: performance.now() - from }));
    });
    request.on('timeout', () => request.destroy(new TransferError('no answer')));
    request.on('error', reject);
  });
}
