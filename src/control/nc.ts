import type { Duplex } from 'node:stream';
import type { AnyStack } from '../anystack.js';
import { NetError } from '../base/errors.js';
import type { Stream } from './stream.js';

/** What `nc` does. */
export interface NcOptions {
  /** Whom to call; left out: wait for one call. */
  readonly host?: string;
  readonly port: number;
  readonly udp?: boolean;
}

/** One connection of the stack, joined to a control stream. Resolves when both ways are over. */
export function nc(stack: AnyStack, stream: Stream, { host, port, udp = false }: NcOptions): Promise<void> {
  if (udp) return datagrams(stack, stream, host, port);
  return host === undefined ? listen(stack, stream, port) : join(stack.net.connect({ host, port, allowHalfOpen: true }) as unknown as Duplex, stream);
}

function listen(stack: AnyStack, stream: Stream, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const early: (Buffer | null)[] = [];
    let waiting = 0;
    stream.onData = (octets) => {
      early.push(octets);
      waiting += octets?.length ?? 0;
      if (waiting <= EARLY_MAX) return;
      server.close();
      reject(new NetError('ENOBUFS', 'nc', undefined, port, 'nobody has called yet, and no more octets are kept'));
    };
    const server = stack.net.createServer({ allowHalfOpen: true }, (socket) => {
      server.close();
      join(socket as unknown as Duplex, stream).then(resolve, reject);
      for (const octets of early) stream.onData(octets);
    });
    server.on('error', reject);
    server.listen(port, () => stream.event({ listening: port }));
    stream.onCancel = () => {
      server.close();
      resolve();
    };
  });
}

/** Octets kept for a caller who has not called yet. */
const EARLY_MAX = 1_048_576;

function join(socket: Duplex, stream: Stream): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.on('data', (octets: Buffer) => {
      if (!stream.data(octets)) socket.pause();
    });
    stream.onDrain = () => socket.resume();
    socket.on('end', () => stream.event({ end: true }));
    socket.on('drain', () => stream.pause(false));
    socket.on('error', reject);
    socket.on('close', () => {
      stream.pause(false);
      resolve();
    });
    stream.onData = (octets) => {
      if (octets === null) socket.end();
      else if (!socket.write(octets)) stream.pause(true);
    };
    stream.onCancel = () => socket.destroy();
  });
}

/** To one peer, or to whoever wrote last. */
function datagrams(stack: AnyStack, stream: Stream, host: string | undefined, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = stack.dgram.createSocket(host?.includes(':') ? 'udp6' : 'udp4');
    let peer = host === undefined ? null : { address: host, port };
    socket.on('error', reject);
    socket.on('message', (octets: Buffer, from: { address: string; port: number }) => {
      if (host === undefined) peer = from;
      stream.data(octets);
    });
    if (host === undefined) socket.bind(port, () => stream.event({ listening: port }));
    const over = (): void => {
      socket.close();
      resolve();
    };
    stream.onData = (octets) => {
      if (octets === null) over();
      else if (peer !== null) socket.send(octets, peer.port, peer.address);
    };
    stream.onCancel = over;
  });
}
