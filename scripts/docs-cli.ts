import type { Command, Option } from 'commander';
import { createProgram } from '#src/cli/program.js';
import { cell } from './docs-schema.js';

/** docs/cli.md without its head: every verb as the argument parser has it. */
export function cliSections(): string[] {
  const program = createProgram();
  return program.commands.flatMap((command) => ['', `## ${command.name()}`, '', ...section(program, command)]);
}

function section(program: Command, command: Command): string[] {
  const also = command.aliases().length === 0 ? '' : ` Also: ${command.aliases().map(code).join(', ')}.`;
  const text = command.description();
  const options = command.options.filter(({ hidden }) => !hidden);
  return [
    code(`${program.name()} ${command.name()} ${command.usage()}`),
    '',
    `${text.charAt(0).toUpperCase()}${text.slice(1)}.${also}`,
    ...(options.length === 0 ? [] : ['', '| Option | |', '| --- | --- |', ...options.map(row)]),
  ];
}

const row = ({ flags, description, defaultValue }: Option): string =>
  `| ${code(cell(flags))} | ${cell(description)}${defaultValue === undefined ? '' : ` (default ${cell(String(defaultValue))})`} |`;

const code = (text: string): string => `\`${text}\``;
