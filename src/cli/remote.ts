import type { OptionValues } from 'commander';
import { ControlClient } from '../control/client.js';

/** Connects to the stack the options name, lets `use` work with it, and hangs up. */
export async function remote<T>(options: OptionValues, use: (client: ControlClient) => Promise<T>): Promise<T> {
  const client = await ControlClient.connect(options['stack'] as string);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

/** One question. */
export const ask = (options: OptionValues, method: string, ...params: unknown[]): Promise<unknown> =>
  remote(options, (client) => client.call(method, ...params));

/** One question whose answer is printed: as JSON when asked for, else as `lines` puts it. */
export async function tell<T>(options: OptionValues, lines: (result: T) => readonly string[], method: string, ...params: unknown[]): Promise<number> {
  print(options, (await ask(options, method, ...params)) as T, lines);
  return 0;
}

/** `tell` of a list whose members have a family: -4 and -6 leave out the other one's, as iproute2 does. */
export async function tellFamily<T>(
  options: OptionValues,
  six: (member: T) => boolean,
  lines: (members: readonly T[]) => readonly string[],
  method: string,
  ...params: unknown[]
): Promise<number> {
  const all = (await ask(options, method, ...params)) as readonly T[];
  print(options, options['six'] === true ? all.filter(six) : options['four'] === true ? all.filter((member) => !six(member)) : all, lines);
  return 0;
}

/** A result for a person or for a program. */
export function print<T>(options: OptionValues, result: T, lines: (result: T) => readonly string[]): void {
  const text = options['json'] === true ? [JSON.stringify(result)] : lines(result);
  if (text.length > 0) process.stdout.write(`${text.join('\n')}\n`);
}

/** Columns of equal width, two blanks apart; the last one is as long as it likes. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] as number)))
      .join('  ')
      .trimEnd(),
  );
}
