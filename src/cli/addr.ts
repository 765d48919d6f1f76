import type { OptionValues } from 'commander';
import type { AddrInfo } from '../api/addr.js';
import { UsageError } from './failure.js';
import { ask, tellFamily } from './remote.js';
import { action, keywords, needed } from './words.js';

/** `anystack addr`. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  const verb = action(words[0], ['show', 'add', 'del'], 'addr');
  if (verb === 'show') {
    const { dev } = keywords(words.slice(1), { dev: 'string' }, 'addr show');
    return tellFamily(options, (a: AddrInfo) => a.family === 6, lines, 'addr.show', dev);
  }
  const prefix = needed(words, 1, `addr ${verb}`, 'an address with its prefix length, such as 10.0.0.2/24');
  const { dev } = keywords(words.slice(2), { dev: 'string' }, `addr ${verb}`);
  if (dev === undefined) throw new UsageError(`addr ${verb} needs 'dev' and an interface`);
  await ask(options, `addr.${verb}`, prefix, { dev });
  return 0;
}

function lines(addresses: readonly AddrInfo[]): string[] {
  const names = [...new Set(addresses.map((a) => a.dev))];
  return names.flatMap((dev) => {
    const own = addresses.filter((a) => a.dev === dev);
    return [
      `${own[0]?.index}: ${dev}`,
      ...own.map(
        (a) =>
          `    inet${a.family === 6 ? '6' : ''} ${a.address}/${a.length}${a.state === 'preferred' ? '' : ` ${a.state}`}${a.origin === 'static' ? '' : ` ${a.origin}`}`,
      ),
    ];
  });
}
