import type { OptionValues } from 'commander';
import { UsageError } from './failure.js';
import { print, remote } from './remote.js';

interface Row {
  readonly name: string;
  readonly value: unknown;
  readonly effect?: string;
}

/** `anystack sysctl`. */
export function run(words: readonly string[], options: OptionValues): Promise<number> {
  const writes = options['write'] === true || words.some((w) => w.includes('='));
  if (words.length === 0 && !options['all']) throw new UsageError('sysctl needs a NAME, -w NAME=VALUE, or -a for all');
  return remote(options, async (client) => {
    const all = (await client.call('sysctl.list')) as Required<Row>[];
    let rows: Row[] = [];
    if (options['all']) rows = all;
    for (const word of words) {
      const [name, value] = writes ? assignment(word) : [word];
      const answer = value === undefined ? await client.call('sysctl.get', name) : await client.call('sysctl.set', name, value);
      rows.push({ name, value: answer });
      const effect = all.find((row) => row.name === name)?.effect;
      if (value !== undefined && effect === 'start')
        process.stderr.write(`anystack: ${name} is felt by the next stack only; set it in the configuration\n`);
    }
    print(options, rows, (list) => list.map(({ name, value }) => `${name} = ${Array.isArray(value) ? value.join(' ') : String(value)}`));
    return 0;
  });
}

function assignment(word: string): [string, string] {
  const at = word.indexOf('=');
  if (at < 1) throw new UsageError(`sysctl -w takes NAME=VALUE, not '${word}'`);
  return [word.slice(0, at), word.slice(at + 1)];
}
