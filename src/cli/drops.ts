import type { OptionValues } from 'commander';
import { type DropName, drops } from '../base/drops.js';
import { nearest } from '../net/sysctl.js';
import { UsageError } from './failure.js';
import { columns, print } from './remote.js';

/** `anystack drops`: from the table of the source, without a running stack. */
export async function run([given]: readonly string[], options: OptionValues): Promise<number> {
  const names = Object.keys(drops) as DropName[];
  if (given === undefined) {
    print(options, drops, () => columns(names.map((name) => [name, drops[name].cause])));
    return 0;
  }
  const name = names.find((n) => n.toLowerCase() === given.toLowerCase());
  if (name === undefined) throw new UsageError(`no drop reason '${given}'; did you mean '${nearest(given, names)}'?`);
  print(options, { name, ...drops[name] }, ({ cause, remedy }) => [name, `  cause:  ${cause}`, `  remedy: ${remedy}`]);
  return 0;
}
