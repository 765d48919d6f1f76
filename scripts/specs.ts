/**
 * `npm run specs [-- rfcNNNN]`: what is done of each RFC's requirements. specs/*.json hold them in our own words; a test checks
 * that whatever is called done names a test that exists.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** One requirement. */
export interface Requirement {
  /** The RFC's number (MUST-7) where it has one, else ours: the section and a name or place. */
  readonly id: string;
  readonly level: 'MUST' | 'MUST NOT' | 'SHOULD' | 'SHOULD NOT' | 'MAY';
  readonly section: string;
  /** In our own words. */
  readonly requirement: string;
  readonly status: 'todo' | 'done' | 'exception';
  /** The file that does it. With done. */
  readonly code?: string;
  /** The test that shows it. With done. */
  readonly test?: { readonly file: string; readonly title: string };
  /** Why not. With exception. */
  readonly reason?: string;
}

/** One file of specs/. */
export interface Spec {
  readonly rfc: number;
  readonly title: string;
  readonly note?: string;
  readonly requirements: readonly Requirement[];
}

const LEVELS = ['MUST', 'MUST NOT', 'SHOULD', 'SHOULD NOT', 'MAY'];

/** All specs, by number. */
export function readSpecs(root: string): Spec[] {
  return readdirSync(join(root, 'specs'))
    .filter((name) => /^rfc\d+\.json$/.test(name))
    .map((name) => JSON.parse(readFileSync(join(root, 'specs', name), 'utf8')) as Spec)
    .sort((a, b) => a.rfc - b.rfc);
}

/** What is wrong with a spec: unknown words, ids twice, and things called done that nothing shows. */
export function specProblems(root: string, spec: Spec): string[] {
  const problems: string[] = [];
  const ids = new Set<string>();
  for (const row of spec.requirements) {
    const problem = ids.has(row.id) ? 'stands twice' : rowProblem(root, row);
    if (problem !== null) problems.push(`rfc${spec.rfc}.json ${row.id}: ${problem}`);
    ids.add(row.id);
  }
  return problems;
}

function rowProblem(root: string, { level, section, requirement, status, code, test, reason }: Requirement): string | null {
  if (!LEVELS.includes(level)) return `the level ${level} is none of RFC 2119`;
  if (section === '' || requirement === '') return 'section and requirement are needed';
  if (status === 'exception') return reason ? null : 'an exception needs its reason';
  if (status === 'todo') return null;
  if (status !== 'done') return `the status ${status as string} is none of todo, done, exception`;
  if (code === undefined || !existsSync(join(root, code))) return `the code ${code} does not exist`;
  if (test === undefined || !existsSync(join(root, test.file))) return `the test file ${test?.file} does not exist`;
  return titles(readFileSync(join(root, test.file), 'utf8')).some((title) => title.test(test.title))
    ? null
    : `${test.file} has no test "${test.title}"`;
}

/** Patterns of the titles in a test file (`both` is a test for each family): what a template puts in matches anything. */
function titles(text: string): RegExp[] {
  const found = text.matchAll(/\b(?:it|both)\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g);
  const quote = (part: string): string => part.replace(/\\(.)/g, '$1').replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return [...found].map(([, single, double, template]) => {
    const parts = template === undefined ? [single ?? double ?? ''] : template.split(/\$\{[^}]*\}/);
    return new RegExp(`^${parts.map(quote).join('.+')}$`, 's');
  });
}

function print(spec: Spec, all: boolean): void {
  const count = (status: string, must: boolean): number =>
    spec.requirements.filter((row) => row.status === status && row.level.startsWith('MUST') === must).length;
  const of = (must: boolean): string => {
    const total = count('done', must) + count('exception', must) + count('todo', must);
    return `${must ? 'MUST' : 'SHOULD, MAY'} ${count('done', must)} of ${total} done, ${count('exception', must)} exceptions`;
  };
  process.stdout.write(`RFC ${spec.rfc} ${spec.title}: ${of(true)}; ${of(false)}\n`);
  if (!all) return;
  for (const row of spec.requirements) {
    const shown = row.status === 'done' ? `${row.test?.file}: ${row.test?.title}` : (row.reason ?? '');
    process.stdout.write(
      `  ${row.status.padEnd(9)} ${row.level.padEnd(10)} ${row.id.padEnd(24)} §${row.section.padEnd(10)} ${row.requirement}${shown ? `\n${' '.repeat(22)}${shown}` : ''}\n`,
    );
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const wanted = process.argv[2]?.replace(/\D/g, '');
  const specs = readSpecs(process.cwd()).filter((spec) => !wanted || String(spec.rfc) === wanted);
  for (const spec of specs) print(spec, Boolean(wanted));
  const problems = specs.flatMap((spec) => specProblems(process.cwd(), spec));
  for (const problem of problems) process.stdout.write(`${problem}\n`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
