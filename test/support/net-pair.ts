import { createNet, type Net, type Server, type Socket } from '#src/api/net.js';
import { next, Pair } from './live-pair.js';

/** An error of a socket, as Node shapes them. */
export type Failure = NodeJS.ErrnoException & { address?: string; port?: number };

/** Within a describe: each test has two stacks of its own with the `net` of each, which `assign` takes; nothing is left of them afterwards. */
export function netPair(assign: (a: Net, b: Net, pair: Pair) => void) {
  let pair: Pair;
  let a: Net;
  let b: Net;

  beforeEach(() => {
    pair = new Pair();
    a = createNet(pair.a);
    b = createNet(pair.b);
    assign(a, b, pair);
  });

  afterEach('nothing is left', () => pair.close());

  /** The server, once it listens. */
  const listening = async (server: Server, ...args: unknown[]): Promise<Server> => {
    (server.listen as (...a: unknown[]) => void)(...args);
    await next(server, 'listening');
    return server;
  };

  /** A connection: its two ends and the server. */
  const joined = async (options: object = {}, dial: object = {}): Promise<[Socket, Socket, Server]> => {
    const server = await listening(b.createServer(options), 80);
    const client = a.connect({ port: 80, host: '10.0.0.2', ...dial });
    const [peer] = await next<[Socket]>(server, 'connection');
    if (client.connecting) await next(client, 'connect');
    return [client, peer, server];
  };

  /** Destroys and closes, one after the other, and waits for each. */
  const ended = async (...all: (Socket | Server)[]): Promise<void> => {
    for (const one of all) {
      const gone = next(one, 'close');
      if ('destroy' in one) {
        if (one.closed) continue;
        one.destroy();
      } else one.close();
      await gone;
    }
  };

  /** All that comes until the end. */
  const text = async (socket: Socket): Promise<string> => {
    let all = '';
    socket.on('data', (chunk) => {
      all += chunk;
    });
    await next(socket, 'end');
    return all;
  };

  return { listening, joined, ended, text };
}
