import type { OptionValues } from 'commander';
import type { MulticastInfo } from '../api/multicast.js';
import { UsageError } from './failure.js';
import { tell } from './remote.js';

/** `anystack multicast`: what listeners want, link by link. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  if (words.length > 0 && words[0] !== 'show') throw new UsageError(`multicast shows, and takes no word '${words[0]}'`);
  return tell(options, lines, 'multicast.show');
}

const lines = (all: readonly MulticastInfo[]): string[] =>
  all.flatMap(({ dev, family, querier, groups }) => [
    `${dev} ${family === 4 ? 'IGMP' : 'MLD'} ${querier ? 'querier' : 'another router asks'} groups ${groups.length}`,
    ...groups.map((g) => `  ${g.group} ${g.mode}${g.sources.length === 0 ? '' : ` ${g.sources.join(', ')}`}`),
  ]);
