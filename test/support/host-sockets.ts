/** Sockets of the host, for tests of what leads from there to a stack. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** A port of the host's loopback that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

/** All that comes until it is closed, by whatever: errors are for the test to look at. */
export function all(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (octets) => (text += octets.toString('latin1')));
  return new Promise((resolve) => socket.on('error', () => {}).on('close', () => resolve(text)));
}

/** The first octets to come. */
export async function some(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const octets = socket.read(length) as Buffer | null;
    if (octets !== null) return octets;
    await once(socket, 'readable');
  }
}
