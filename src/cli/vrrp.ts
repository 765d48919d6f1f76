import type { OptionValues } from 'commander';
import type { VrrpInfo } from '../api/vrrp.js';
import { UsageError } from './failure.js';
import { columns, tell } from './remote.js';

/** `anystack vrrp`: virtual routers and who is active. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  if (words.length > 0 && words[0] !== 'show') throw new UsageError(`vrrp shows, and takes no word '${words[0]}'`);
  return tell(options, lines, 'vrrp.show');
}

const lines = (all: readonly VrrpInfo[]): string[] =>
  columns(
    all.map((r) => [
      r.dev,
      `vrid ${r.id}`,
      `inet${r.family === 6 ? '6' : ''}`,
      r.state,
      `priority ${r.priority}`,
      `active ${r.active ?? 'unknown'}`,
      `takeovers ${r.takeovers}`,
      r.addresses.join(', '),
    ]),
  );
