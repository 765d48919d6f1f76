/**
 * The house rules of ARCHITECTURE.md and STYLE.md as a check: `npm run tidy`, and a test. Each rule is a function from the
 * sources to what is wrong.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { dropNames } from '#src/base/drops.js';
import { lineOf, readSources, type Source } from './source.js';
import { allowLong, entryPoints, untestedDrops } from './tidy-lists.js';

/** One thing that is wrong. */
export interface Problem {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

type Rule = (sources: readonly Source[], root: string) => Problem[];

/** Lines past which a file has a second idea in it (STYLE.md rule 13). */
const LINES_MAX = 400;

/** Folders of src in the order of ARCHITECTURE.md: each imports those before it. '.' are the files beside them. */
const LAYERS = ['base', 'wire', 'hyper', 'net', 'api', 'observe', 'services', 'config', '.', 'control', 'sim', 'packetdrill', 'bench', 'cli'];
/** The contract of the hypercall layer, all of it that net may import but for types. */
const CONTRACT = ['src/hyper/hypercalls.ts', 'src/hyper/crypto.ts'];

const layerOf = (path: string): string => (path.split('/').length === 2 ? '.' : (path.split('/')[1] as string));
const under = (path: string, ...folders: string[]): boolean => folders.some((folder) => path.startsWith(`${folder}/`));
const pure = (path: string): boolean => under(path, 'src/base', 'src/wire', 'src/net');
const atLine = (source: Source, rule: string, offset: number, text: string): Problem => ({
  rule,
  path: source.path,
  line: lineOf(source.text, offset),
  text,
});

/** Every match of `pattern` in `where` of the sources that `applies` to. */
function matches(rule: string, pattern: RegExp, text: string, applies: (path: string) => boolean, where: 'code' | 'comments' = 'code'): Rule {
  return (sources) =>
    sources
      .filter((source) => applies(source.path))
      .flatMap((source) =>
        [...source[where].matchAll(pattern)].map((match) => atLine(source, rule, match.index, text.replace('%', match[0].trim()))),
      );
}

const inSource = (path: string): boolean => under(path, 'src');
const everywhere = (): boolean => true;

const importDirection: Rule = (sources) => {
  const problems: Problem[] = [];
  for (const source of sources.filter(({ path }) => inSource(path))) {
    const from = layerOf(source.path);
    for (const { target, line, typeOnly, specifier } of source.imports) {
      if (target === null || !inSource(target)) continue;
      const to = layerOf(target);
      const wrong = LAYERS.indexOf(to) > LAYERS.indexOf(from) || (from === 'net' && to === 'hyper' && !CONTRACT.includes(target) && !typeOnly);
      if (wrong)
        problems.push({ rule: 'direction', path: source.path, line, text: `${from} does not import ${specifier}: see the house in ARCHITECTURE.md` });
    }
  }
  return problems;
};

/** Nothing under base, wire and net, and nothing that core.ts loads, needs Node. */
const noNode: Rule = (sources) => {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const core = closure(byPath, ['src/core.ts']);
  return sources
    .filter(({ path }) => pure(path) || core.has(path))
    .flatMap((source) =>
      source.imports
        .filter(({ specifier }) => specifier.startsWith('node:'))
        .map(({ line, specifier }) => ({ rule: 'node', path: source.path, line, text: `${specifier} where no host may be assumed` })),
    );
};

/** Files that the given ones load, themselves included. */
function closure(byPath: ReadonlyMap<string, Source>, from: readonly string[]): Set<string> {
  const reached = new Set<string>();
  const waiting = [...from];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const source = byPath.get(path);
    if (source === undefined || reached.has(path)) continue;
    reached.add(path);
    for (const { target, typeOnly } of source.imports) if (target !== null && !typeOnly) waiting.push(target);
  }
  return reached;
}

/** As closure, types followed too: a file of types alone is alive when somebody uses them. */
function alive(byPath: ReadonlyMap<string, Source>, from: readonly string[]): Set<string> {
  const all = new Map([...byPath].map(([path, source]) => [path, { ...source, imports: source.imports.map((i) => ({ ...i, typeOnly: false })) }]));
  return closure(all, from);
}

const deadFiles: Rule = (sources) => {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const tests = sources.map(({ path }) => path).filter((path) => path.endsWith('.test.ts'));
  const product = alive(byPath, entryPoints);
  const all = alive(byPath, [...entryPoints, ...tests]);
  return sources
    .filter(({ path }) => !(inSource(path) ? product : all).has(path))
    .map(({ path }) => ({ rule: 'dead', path, line: 1, text: 'no entry point imports it (entry points: scripts/tidy-lists.ts)' }));
};

const fileSize: Rule = (sources) => {
  const problems: Problem[] = [];
  for (const source of sources) {
    const lines = source.text.split('\n').length - 1;
    const reason = allowLong[source.path];
    if (lines > LINES_MAX && reason === undefined)
      problems.push({ rule: 'size', path: source.path, line: lines, text: `${lines} lines: find the second idea in it` });
    if (lines <= LINES_MAX && reason !== undefined)
      problems.push({ rule: 'size', path: source.path, line: 1, text: 'is short now: take it from allowLong' });
  }
  return problems;
};

/**
 * A doc comment on every export, where it can say more than the signature: not on one-line arrows and aliases, not on members of a
 * run whose first is documented, not on an interface whose members are. A file's head serves its first export.
 */
const docComments: Rule = (sources) => {
  const problems: Problem[] = [];
  for (const source of sources.filter(({ path }) => inSource(path))) {
    const lines = source.text.split('\n');
    let served = !/^(?:\/\/ hot:.*\n)?\/\*\*/.test(source.text);
    for (const [n, line] of lines.entries()) {
      if (!/^export (?:abstract |async )?(?:function|class|interface|type|const) /.test(line)) continue;
      const first = !served;
      served = true;
      if (first || /^export (?:const \w+ = (?:<.*>)?\(.*\).* =>|type (?:\w+ = .*;$|\{))/.test(line)) continue;
      if (line.startsWith('export interface') && /^\s*\/\*\*/.test(lines[n + 1] ?? '')) continue;
      let before = n - 1;
      while (before >= 0 && /^(?:export const .*;|export type .*;|@|\/\/ )/.test(lines[before] as string)) before--;
      if (!/\*\/\s*$/.test(lines[before] ?? ''))
        problems.push({ rule: 'doc', path: source.path, line: n + 1, text: 'an export without a doc comment' });
    }
  }
  return problems;
};

const dropReasons: Rule = (sources) => {
  const text = (applies: (path: string) => boolean): string =>
    sources
      .filter(({ path }) => applies(path))
      .map((source) => source.text)
      .join('\n');
  const words = (of: string): Set<string> => new Set(of.match(/\b[A-Z]\w+/g));
  const used = new Set([...text((path) => inSource(path) && path !== 'src/base/drops.ts').matchAll(/\bDrop\.(\w+)/g)].map((match) => match[1]));
  const tested = words(text((path) => under(path, 'test')));
  const problem = (name: string, why: string): Problem => ({ rule: 'drops', path: 'src/base/drops.ts', line: 1, text: `${name} ${why}` });
  return dropNames
    .filter((name) => name !== 'None')
    .flatMap((name) => {
      if (!used.has(name)) return [problem(name, 'is dropped for nowhere: take it out')];
      if (!tested.has(name) && !untestedDrops.includes(name)) return [problem(name, 'is in no test')];
      return tested.has(name) && untestedDrops.includes(name) ? [problem(name, 'is tested now: take it from untestedDrops')] : [];
    });
};

/** `// hot: bench/…` names a file that measures. */
const hotFiles: Rule = (sources, root) =>
  sources.flatMap((source) => {
    const hot = /^\/\/ hot: (\S+)/.exec(source.text)?.[1];
    const there = hot === undefined || existsSync(join(root, `${hot}.ts`)) || existsSync(join(root, hot));
    return there ? [] : [{ rule: 'hot', path: source.path, line: 1, text: `${hot} does not exist` }];
  });

const rules: readonly Rule[] = [
  importDirection,
  noNode,
  deadFiles,
  fileSize,
  docComments,
  dropReasons,
  hotFiles,
  // STYLE.md rule 7: time, chance and I/O are arguments.
  matches(
    'host',
    /(?<![.\w])(?:Date|setTimeout|setInterval|setImmediate|queueMicrotask|performance|console|process|Buffer|fetch)\b(?=\s*[.(])|\bMath\.random\b/g,
    '% in the pure core',
    pure,
  ),
  // STYLE.md rules 8 and 14.
  matches('any', /(?::\s*|\bas\s+|<|\|\s*)any\b(?=\s*[;,)>\]=|&[{]|$)/gm, '%: say what it is', everywhere),
  matches('language', /^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?enum\s+\w+/gm, '%: a const object instead', everywhere),
  matches('language', /^\s*(?:export\s+)?(?:declare\s+)?namespace\s+\w+/gm, '%: a module instead', everywhere),
  matches('language', /^export default\b/gm, '%: named exports only', everywhere),
  matches('language', /^(?:export\s+)?(?:let|var)\s+\w+/gm, '%: module state; a thousand stacks live in one process', inSource),
  matches('language', /@ts-(?:ignore|expect-error|nocheck)/g, '%: mend the type', everywhere, 'comments'),
  matches('error', /\b(?:new\s+|throw\s+)(?:Type|Range)?Error\s*\(/g, '%: NetError, ConfigError or assert (STYLE.md rule 8)', inSource),
  // STYLE.md rule 2: RFC nnnn §x.y.
  matches(
    'citation',
    /\bRFC(?:-?\d|[- ]?\d+,? (?:[Ss]ection|[Ss]ec\.|chapter)|\s?#)|\brfc ?\d{3,5}\b(?!\.(?:json|txt))/g,
    '%: cited as RFC nnnn §x.y',
    everywhere,
    'comments',
  ),
  matches(
    'debt',
    /\b(?:TODO|FIXME|XXX|HACK)\b|\b(?:simplified|not (?:yet )?implemented|placeholder|in a real implementation)\b/gi,
    '%: finish it, or say why not',
    everywhere,
    'comments',
  ),
  // STYLE.md rule 15.
  matches('name', /\b(?:class|interface|type|function|const)\s+\w*(?:Manager|Helper|Utils?)\b/g, '%: name what it is', everywhere),
];

/** All that is wrong in the repository at `root`, by path. */
export function tidy(root: string): Problem[] {
  const sources = readSources(root, ['src', 'test', 'scripts', 'bench', 'examples']);
  const problems = rules.flatMap((rule) => rule(sources, root));
  return problems.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

/** One line of a problem. */
export const formatProblem = ({ rule, path, line, text }: Problem): string => `${path}:${line}: ${rule}: ${text}`;

/** Scripts that package.json names must exist once built. */
export function missingScripts(root: string): string[] {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  const sourceOf = (word: string): string =>
    word
      .replace(/^build\//, '')
      .replace(/^dist\//, 'src/')
      .replace(/\.js$/, '.ts');
  return Object.values(scripts)
    .flatMap((script) => script.match(/\b(?:build|dist)\/[\w./-]+\.js\b/g) ?? [])
    .filter((word) => !existsSync(join(root, sourceOf(word))));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const problems = tidy(process.cwd());
  for (const problem of problems) process.stdout.write(`${formatProblem(problem)}\n`);
  process.stdout.write(problems.length === 0 ? 'The house is tidy.\n' : `${problems.length} problems\n`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
