import type { OptionValues } from 'commander';
import { UsageError } from './failure.js';
import { remote } from './remote.js';
import { whole } from './words.js';

/** `anystack nc`: stdin to the connection, the connection to stdout. */
export function run(words: readonly string[], options: OptionValues): Promise<number> {
  const listen = options['listen'] === true;
  const [first, second] = words;
  const port = listen ? first : second;
  if (port === undefined || words.length > (listen ? 1 : 2)) throw new UsageError('nc takes HOST PORT, or -l PORT');
  const asked = { port: whole(port, 'nc: the port'), udp: options['udp'] === true, ...(listen ? {} : { host: first }) };
  return remote(options, async (client) => {
    const running = client.start('nc', [asked], {
      data: (octets) => void process.stdout.write(octets),
      event: (event) => event['listening'] !== undefined && process.stderr.write(`listening on ${String(event['listening'])}\n`),
    });
    process.stdin.on('data', (octets: Buffer) => {
      if (running.write(octets)) return;
      process.stdin.pause();
      client.socket.once('drain', () => process.stdin.resume());
    });
    process.stdin.on('end', () => running.end());
    process.once('SIGINT', () => running.cancel());
    try {
      await running.result;
    } finally {
      process.stdin.destroy();
    }
    return 0;
  });
}
