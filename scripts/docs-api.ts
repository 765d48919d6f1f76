/** What the entry points export, and what stands in front of it: read from the sources, as comments stand there. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { cell } from './docs-schema.js';

/** Entry points of package.json by what a program imports. */
const entries: Readonly<Record<string, string>> = {
  anystack: 'src/index.ts',
  'anystack/core': 'src/core.ts',
  'anystack/sim': 'src/sim/index.ts',
  'anystack/wire': 'src/wire/index.ts',
  'anystack/hyper/node': 'src/hyper/node-host.ts',
  'anystack/hyper/noble': 'src/hyper/noble-crypto.ts',
  'anystack/bench': 'src/bench/index.ts',
};

/** One exported name. */
interface Exported {
  readonly name: string;
  readonly kind: string;
  readonly text: string;
}

/** docs/api.md without its head. */
export function apiSections(): string[] {
  const index = Object.entries(entries).flatMap(([name, file]) => ['', `## ${name}`, '', ...intro(file), ...table(exportsOf(file))]);
  const text = readFileSync('src/anystack.ts', 'utf8');
  const members = membersOf(text.slice(text.indexOf('export class AnyStack')));
  return [...index, '', '## The stack', '', 'What `createStack` answers.', '', ...table(members)];
}

/** Declarations with their whole comments, a page for each entry point: too much to keep in the repository, made where it is wanted. */
export function writeApi(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, file] of Object.entries(entries)) {
    const behind = [...readFileSync(file, 'utf8').matchAll(/export [^;]*? from '([^']+)'/g)].map(([, from]) => resolve(file, from as string));
    const parts = [...new Set([file, ...behind])].map((source) => {
      const declared = readFileSync(source.replace(/^src/, 'dist').replace(/\.ts$/, '.d.ts'), 'utf8');
      return `## ${source}\n\n\`\`\`ts\n${declared.replace(/^(import .*|\/\/# .*)\n/gm, '').trim()}\n\`\`\`\n`;
    });
    writeFileSync(join(folder, `${name.replaceAll('/', '-')}.md`), `# ${name}\n\n${parts.join('\n')}`);
  }
}

const table = (all: readonly Exported[]): string[] => [
  '| Name | | |',
  '| --- | --- | --- |',
  ...[...all].sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, kind, text }) => `| \`${name}\` | ${kind} | ${cell(text)} |`),
];

/** What the entry point says of itself. */
function intro(file: string): string[] {
  const text = /^\/\*\*([\s\S]*?)\*\//.exec(readFileSync(file, 'utf8'))?.[1];
  return text === undefined ? [] : [prose(text), ''];
}

/** All names a file exports, its own and others'. */
function exportsOf(file: string): Exported[] {
  const text = readFileSync(file, 'utf8');
  const passed = [...text.matchAll(/export (?:type )?\{([^}]*)\} from '([^']+)'/g)].flatMap(([, names, from]) =>
    (names as string)
      .split(',')
      .map((name) => name.trim().replace(/^type /, ''))
      .filter((name) => name !== '')
      .map((name) => {
        const [inner = name, outer = name] = name.split(' as ');
        return { ...declaration(resolve(file, from as string), inner), name: outer };
      }),
  );
  const spaces = [...text.matchAll(/export \* as (\w+) from '([^']+)'/g)].map(([, name, from]) => ({
    name: name as string,
    kind: 'namespace',
    text: first(firstComment(readFileSync(resolve(file, from as string), 'utf8'))),
  }));
  const own = [...text.matchAll(DECLARED)].map(([, name]) => declaration(file, name as string));
  return [...passed, ...spaces, ...own];
}

const DECLARED = /export (?:abstract |async )?(?:function|class|const|interface|type|enum) (\w+)/g;

const resolve = (file: string, from: string): string => normalize(join(dirname(file), from.replace(/\.js$/, '.ts')));

/** A name where it is declared, which may be further on. */
function declaration(file: string, name: string): Exported {
  const text = readFileSync(file, 'utf8');
  const found = new RegExp(
    `(?:/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\s*)?export (?:abstract |async )?(function|class|const|interface|type) ${name}\\b`,
  ).exec(text);
  if (found !== null) return { name, kind: found[2] as string, text: first(prose(found[1] ?? '') || headOf(text)) };
  const further = new RegExp(`(?:export|import) (?:type )?\\{[^}]*\\b${name}\\b[^}]*\\} from '([^']+)'`).exec(text);
  return further === null ? { name, kind: '', text: '' } : declaration(resolve(file, further[1] as string), name);
}

const firstComment = (text: string): string => prose(/\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? '');

/** The comment a file begins with: what it is about. */
const headOf = (text: string): string => prose(/^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1] ?? '');

/** Public members of a class; the comment may be missing where the name says it all. */
function membersOf(text: string): Exported[] {
  const body = text.slice(0, text.indexOf('\n}'));
  const found = body.matchAll(/^ {2}(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?((?:private |readonly |async |get )*)(\w+)(\(|\??:|;| =)/gm);
  return [...found]
    .filter(([, , modifier, name]) => modifier?.startsWith('private') !== true && name !== 'constructor')
    .map(([, comment = '', modifier, name, after]) => ({
      name: after === '(' && modifier?.includes('get ') !== true ? `${name}()` : (name as string),
      kind: after === '(' && modifier?.includes('get ') !== true ? 'method' : 'property',
      text: first(prose(comment)),
    }));
}

/** A comment without its stars. */
const prose = (comment: string): string =>
  comment
    .replace(/^\s*\*? ?/gm, '')
    .replace(/\s+/g, ' ')
    .trim();

/** Its first sentence. */
const first = (text: string): string => /^.*?\.(?=\s|$)/.exec(text)?.[0] ?? text;
