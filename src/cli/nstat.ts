import type { OptionValues } from 'commander';
import type { CounterTable } from '../observe/tables.js';
import { ask, columns, print } from './remote.js';

/** `anystack nstat`. */
export async function run([pattern]: readonly string[], options: OptionValues): Promise<number> {
  const table = (await ask(options, 'nstat', { zeros: options['zeros'] === true })) as CounterTable;
  const wanted = (values: Readonly<Record<string, number>>): Record<string, number> =>
    Object.fromEntries(Object.entries(values).filter(([name]) => pattern === undefined || name.toLowerCase().includes(pattern.toLowerCase())));
  print(options, { ...table, counters: wanted(table.counters), drops: wanted(table.drops) }, lines);
  return 0;
}

function lines({ counters, drops, held }: CounterTable): string[] {
  const rows = (values: Readonly<Record<string, number>>): string[] => columns(Object.entries(values).map(([name, n]) => [name, String(n)]));
  const dropped = Object.entries(drops).sort((a, b) => b[1] - a[1]);
  return [
    ...rows(counters),
    ...(dropped.length === 0 ? [] : ['dropped (anystack drops NAME explains):', ...rows(Object.fromEntries(dropped)).map((row) => `  ${row}`)]),
    `held: ${held.packets} packets, ${held.slots} slots, ${held.chunks} chunks`,
  ];
}
