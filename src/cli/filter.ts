import type { OptionValues } from 'commander';
import type { ChainInfo, ConnectionInfo } from '../api/filter.js';
import { ask, tell } from './remote.js';
import { action } from './words.js';

/** `anystack filter`. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  const verb = action(words[0], ['show', 'connections', 'flush'], 'filter');
  if (verb === 'show') return tell(options, chains, 'filter.show');
  if (verb === 'connections') return tell(options, flows, 'filter.connections');
  await ask(options, 'filter.flush');
  return 0;
}

function chains(all: readonly ChainInfo[]): string[] {
  return all.flatMap((chain) => [
    `chain ${chain.name}${chain.hook === null ? '' : ` hook ${chain.hook} policy ${chain.policy}`}`,
    ...chain.rules.map((r, i) => `  ${i}: ${r.verdict} packets ${r.packets} octets ${r.octets}${r.comment === '' ? '' : `  # ${r.comment}`}`),
  ]);
}

function flows(all: readonly ConnectionInfo[]): string[] {
  return all.map((c) => {
    const nat = c.nat.length === 0 ? '' : ` nat ${c.nat.join(',')}`;
    return `${c.protocol} ${c.state} idle ${c.idle.toFixed(0)} s  ${c.original}  [${c.reply}]${nat} packets ${c.packets.join('/')} octets ${c.octets.join('/')}`;
  });
}
