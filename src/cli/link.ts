import type { OptionValues } from 'commander';
import type { LinkInfo } from '../api/link.js';
import { UsageError } from './failure.js';
import { ask, tell } from './remote.js';
import { action, keywords, needed } from './words.js';

/** `anystack link`. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  const verb = action(words[0], ['show', 'set'], 'link');
  const named = words[1] === 'dev' ? 2 : 1;
  if (verb === 'show') return tell(options, lines, 'link.show', words[named]);
  const name = needed(words, named, 'link set', 'an interface');
  const { up, down, mtu, promisc } = keywords(words.slice(named + 1), { up: 'flag', down: 'flag', mtu: 'number', promisc: 'string' }, 'link set');
  if (up && down) throw new UsageError("link set: 'up' or 'down', not both");
  if (promisc !== undefined && promisc !== 'on' && promisc !== 'off') throw new UsageError("link set: 'promisc' is 'on' or 'off'");
  const change = {
    ...(up || down ? { up: up === true } : {}),
    ...(mtu === undefined ? {} : { mtu }),
    ...(promisc === undefined ? {} : { promiscuous: promisc === 'on' }),
  };
  if (Object.keys(change).length === 0) throw new UsageError("link set needs 'up', 'down', 'mtu N' or 'promisc on|off'");
  await ask(options, 'link.set', name, change);
  return 0;
}

function lines(links: readonly LinkInfo[]): string[] {
  return links.flatMap((l) => [
    `${l.index}: ${l.name}: mtu ${l.mtu} state ${l.state}${l.promiscuous ? ' promisc' : ''}${l.vrf === 0 ? '' : ` vrf ${l.vrf}`}${l.error === null ? '' : ` error ${l.error}`}`,
    `    ${l.device ?? 'none'}/${l.medium}${l.mac === null ? '' : ` ${l.mac}`}`,
    `    RX ${l.rxPackets} packets ${l.rxOctets} bytes  TX ${l.txPackets} packets ${l.txOctets} bytes ${l.txDropped} dropped`,
  ]);
}
