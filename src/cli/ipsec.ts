import type { OptionValues } from 'commander';
import type { IkeInfo, PolicyInfo, SaInfo } from '../api/ipsec.js';
import { ask, columns, tell } from './remote.js';
import { action, needed } from './words.js';

/** `anystack ipsec`. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  const verb = action(words[0] ?? 'status', ['status', 'sad', 'spd', 'up', 'down'], 'ipsec');
  if (verb === 'status') return tell(options, status, 'ipsec.status');
  if (verb === 'sad') return tell(options, sad, 'ipsec.sad');
  if (verb === 'spd') return tell(options, spd, 'ipsec.spd');
  await ask(options, `ipsec.${verb}`, needed(words, 1, `ipsec ${verb}`, 'the name of a connection'));
  return 0;
}

const status = (all: readonly IkeInfo[]): string[] =>
  columns(all.map((i) => [i.connection, i.state, i.role, `${i.local} <> ${i.remote}`, `children ${i.children.join(', ') || 'none'}`]));

const sad = (all: readonly SaInfo[]): string[] =>
  columns(
    all.map((sa) => [
      sa.direction,
      sa.protocol,
      sa.spi,
      sa.mode,
      `${sa.source} > ${sa.destination}`,
      `${sa.suite}${sa.esn ? ' esn' : ''}`,
      `packets ${sa.packets} octets ${sa.octets} replayed ${sa.replayed} bad ${sa.badIcv}`,
    ]),
  );

const spd = (all: readonly PolicyInfo[]): string[] =>
  columns(
    all.map((p) => [String(p.priority), p.name, p.action, p.direction, p.selectors.join('; ') || 'everything', `packets ${p.packets} SAs ${p.sas}`]),
  );
