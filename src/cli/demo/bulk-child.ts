/** A process of its own for one end of a transfer, so that it shares no event loop with the stack: `serve`, or `HOST PORT in|out MS`. Answers in JSON. */
import { type AddressInfo, connect, createServer } from 'node:net';
import { transfer } from './peer.js';

const [host = '', port = '', way = '', ms = ''] = process.argv.slice(2);

if (host === 'serve') {
  // A sink, for the kernel against itself.
  const server = createServer((socket) => socket.resume().on('error', () => socket.destroy()));
  server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
  process.stdin.resume().on('end', () => process.exit(0));
} else {
  transfer(connect({ host, port: Number(port) }), way as 'in' | 'out', Number(ms)).then(
    (result) => process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0)),
    (error: Error) => {
      process.stderr.write(`${error.message}\n`);
      process.exit(1);
    },
  );
}
