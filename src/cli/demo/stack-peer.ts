import type { IncomingMessage } from 'node:http';
import type { AnyStack } from '../../anystack.js';
import { type PingEvent, ping } from '../../services/ping.js';
import { CHARGEN, DISCARD, type Echo, type Peer, type Transfer, transfer } from './peer.js';

/** A second stack in the same process. */
export class StackPeer implements Peer {
  readonly name = 'second stack';
  readonly stack: AnyStack;

  constructor(stack: AnyStack) {
    this.stack = stack;
  }

  async ping(address: string): Promise<Echo> {
    let ttl = 0;
    const told = (event: PingEvent): void => {
      ttl = event.ttl;
    };
    const { transmitted, received, avg } = await ping(this.stack.core, address, { count: 10, interval: 50 }, told).done;
    return { rtt: avg, ttl, sent: transmitted, received };
  }

  fetch(address: string, path: string): ReturnType<Peer['fetch']> {
    const from = performance.now();
    return new Promise((resolve, reject) => {
      const answered = (response: IncomingMessage): void => {
        let octets = 0;
        response.on('data', (chunk: Buffer) => (octets += chunk.length));
        response.on('end', () => resolve({ by: "the second stack's http", status: response.statusCode ?? 0, octets, ms: performance.now() - from }));
      };
      this.stack.http
        .get(
          `http://${address}${path}`,
          { agent: false, createConnection: () => this.stack.net.connect({ host: address.replace(/[[\]]/g, ''), port: 80 }) },
          answered,
        )
        .on('error', reject);
    });
  }

  bulk(address: string, way: 'in' | 'out', ms: number): Promise<Transfer> {
    return transfer(this.connect(address, way === 'in' ? DISCARD : CHARGEN), way, ms);
  }

  connect(address: string, port: number): ReturnType<Peer['connect']> {
    return this.stack.net.connect({ host: address, port });
  }
}
