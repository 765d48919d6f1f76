import type { OptionValues } from 'commander';
import type { TraceEvent, TraceStats } from '../observe/trace.js';
import { remote } from './remote.js';
import { whole } from './words.js';

/** `anystack trace`: one line for each thing that happens to a packet, until Ctrl-C or -c packets. */
export function run(words: readonly string[], options: OptionValues): Promise<number> {
  const { count, json } = options as Record<string, string | undefined>;
  const asked = {
    ...(words.length === 0 ? {} : { filter: words.join(' ') }),
    ...(count === undefined ? {} : { count: whole(count, 'trace -c') }),
  };
  return remote(options, async (client) => {
    const say = (text: string): void => void process.stdout.write(`${text}\n`);
    const event = (given: Record<string, unknown>): void => {
      if (json) say(JSON.stringify(given));
      else for (const line of lines(given as unknown as TraceEvent)) say(line);
    };
    const running = client.start('trace', [asked], { event });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => running.cancel());
    const stats = (await running.result) as TraceStats;
    if (json) say(JSON.stringify(stats));
    else process.stderr.write(`${stats.packets} packets followed${stats.lost === 0 ? '' : `, ${stats.lost} events lost`}\n`);
    return 0;
  });
}

/** The summary stands where a packet comes in or leaves, since it may have been rewritten between. */
function lines({ packet, time, where, what, summary, cause, remedy }: TraceEvent): string[] {
  const shown = where === 'rx' || where === 'tx' || where === 'output' || where === 'drop' ? `  ${summary}` : '';
  const line = `${(time / 1_000).toFixed(3).padStart(10)}  #${packet}  ${where.padEnd(10)} ${what}${shown}`;
  return cause === undefined ? [line] : [line, `${' '.repeat(14)}${cause} ${remedy}`];
}
