import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import type { OptionValues } from 'commander';
import type { CaptureStats } from '../observe/capture.js';
import { UsageError } from './failure.js';
import { remote } from './remote.js';
import { whole } from './words.js';

/** `anystack capture`: `anystack capture -w - | wireshark -k -i -`. */
export function run(words: readonly string[], options: OptionValues): Promise<number> {
  const { iface, write: file = '-', count, snaplen, json } = options as Record<string, string | undefined>;
  if (file === '-' && process.stdout.isTTY) throw new UsageError('capture writes pcapng: give it a file with -w FILE, or a pipe');
  const asked = {
    ...(words.length === 0 ? {} : { filter: words.join(' ') }),
    ...(iface === undefined ? {} : { iface }),
    ...(count === undefined ? {} : { count: whole(count, 'capture -c') }),
    ...(snaplen === undefined ? {} : { snapLength: whole(snaplen, 'capture -s') }),
  };
  return remote(options, async (client) => {
    const to: Writable = file === '-' ? process.stdout : createWriteStream(file, { mode: 0o600 });
    let broken: Error | null = null;
    const running = client.start('capture', [asked], {
      data: (octets) => {
        if (to.write(octets)) return;
        client.socket.pause();
        to.once('drain', () => client.socket.resume());
      },
    });
    // A reader that has gone away (wireshark closed) is an end like another.
    to.on('error', (error) => {
      broken ??= error;
      running.cancel();
      client.socket.resume();
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => running.cancel());
    const stats = (await running.result) as CaptureStats;
    if (to !== process.stdout) await new Promise<void>((resolve) => to.end(() => resolve()));
    if (broken !== null && (broken as NodeJS.ErrnoException).code !== 'EPIPE') throw broken as Error;
    process.stderr.write(json ? `${JSON.stringify(stats)}\n` : `${stats.frames} frames captured, ${stats.lost} lost\n`);
    return 0;
  });
}
