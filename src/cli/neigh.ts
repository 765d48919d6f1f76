import type { OptionValues } from 'commander';
import type { NeighInfo } from '../api/neigh.js';
import { UsageError } from './failure.js';
import { ask, tellFamily } from './remote.js';
import { action, keywords, needed } from './words.js';

/** `anystack neigh`. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  const verb = action(words[0], ['show', 'add', 'del', 'replace'], 'neigh');
  if (verb === 'show')
    return tellFamily(
      options,
      (n: NeighInfo) => n.to.includes(':'),
      lines,
      'neigh.show',
      keywords(words.slice(1), { dev: 'string' }, 'neigh show').dev,
    );
  const to = needed(words, 1, `neigh ${verb}`, 'an address');
  const { dev, lladdr } = keywords(words.slice(2), { dev: 'string', lladdr: 'string' }, `neigh ${verb}`);
  if (dev === undefined) throw new UsageError(`neigh ${verb} needs 'dev' and an interface`);
  if (lladdr === undefined && verb !== 'del') throw new UsageError(`neigh ${verb} needs 'lladdr' and a station address`);
  await ask(options, `neigh.${verb}`, to, { dev, ...(lladdr === undefined ? {} : { lladdr }) });
  return 0;
}

const lines = (neighbors: readonly NeighInfo[]): string[] =>
  neighbors.map(
    (n) =>
      `${n.to} dev ${n.dev}${n.lladdr === null ? '' : ` lladdr ${n.lladdr}`}${n.router ? ' router' : ''} ${n.state}${n.waiting === 0 ? '' : ` waiting ${n.waiting}`}`,
  );
