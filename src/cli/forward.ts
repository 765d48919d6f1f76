import type { OptionValues } from 'commander';
import type { RelayInfo } from '../services/relay/relay.js';
import { ask, columns, tell } from './remote.js';
import { action, keywords, needed } from './words.js';

/** `anystack forward`. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  const verb = action(words[0], ['show', 'add', 'del'], 'forward');
  if (verb === 'show') return tell(options, lines, 'forward.show');
  const protocol = options['udp'] === true ? 'udp' : 'tcp';
  const from = needed(words, 1, `forward ${verb}`, 'a place such as host:127.0.0.1:8080');
  const to = verb === 'del' ? {} : { to: needed(words, 2, 'forward add', 'a place of the other network such as stack:10.0.0.1:80') };
  const { max } = keywords(words.slice(verb === 'del' ? 2 : 3), { max: 'number' }, `forward ${verb}`);
  await ask(options, `forward.${verb}`, { from, ...to, protocol, ...(max === undefined ? {} : { max }) });
  return 0;
}

const lines = (all: readonly RelayInfo[]): string[] =>
  columns(
    all.map((r) => [
      r.kind,
      r.from,
      r.to ?? 'as asked',
      r.error ?? r.state,
      `${r.connections} of ${r.max}, ${r.total} in all${r.refused === 0 ? '' : `, ${r.refused} refused`}`,
    ]),
  );
