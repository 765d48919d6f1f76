/** TypeScript files as the house rules see them: their code without comments and strings, their comments, their imports. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

/** One import of a file. */
export interface Import {
  /** As written: './x.js', 'node:fs', '#src/base/time.js'. */
  readonly specifier: string;
  /** The file in the repository, `src/base/time.ts`; null when it is a package or a built-in. */
  readonly target: string | null;
  readonly typeOnly: boolean;
  readonly line: number;
}

/** One file of the repository. */
export interface Source {
  /** From the root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the insides of strings blanked: columns and lines as they were. */
  readonly code: string;
  /** The text with everything but comments blanked. */
  readonly comments: string;
  readonly imports: readonly Import[];
}

/** All TypeScript files under the folders. */
export function readSources(root: string, folders: readonly string[]): Source[] {
  const found: Source[] = [];
  for (const folder of folders) {
    if (!existsSync(join(root, folder))) continue;
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const path = relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/');
      found.push(parseSource(path, readFileSync(join(root, path), 'utf8')));
    }
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** A file from its text. */
export function parseSource(path: string, text: string): Source {
  const { code, comments } = split(text);
  return { path, text, code, comments, imports: findImports(path, text, code) };
}

/** The line of an offset, from 1 on. */
export function lineOf(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf('\n'); i >= 0 && i < offset; i = text.indexOf('\n', i + 1)) line++;
  return line;
}

/** What may stand before a slash that begins a regular expression and no division. */
const BEFORE_REGEX = /(?:^|[=(,:;!&|?{}[\n+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|new|yield|await))\s*$/;

/** Separates code from comments, keeping every character's place. */
function split(text: string): { code: string; comments: string } {
  const code = [...text];
  const comments: string[] = [...text].map((c) => (c === '\n' ? c : ' '));
  const blank = (from: number, to: number, comment: boolean): void => {
    for (let i = from; i < to; i++) {
      if (comment) comments[i] = text[i] as string;
      if (code[i] !== '\n') code[i] = ' ';
    }
  };
  /** Depths of braces at which a template goes on. */
  const templates: number[] = [];
  let depth = 0;
  let i = 0;
  while (i < text.length) {
    const two = text.slice(i, i + 2);
    const c = text[i] as string;
    if (two === '//' || two === '/*') {
      const close = two === '//' ? text.indexOf('\n', i) : text.indexOf('*/', i) + 2;
      const end = close < i ? text.length : close;
      blank(i, end, true);
      i = end;
    } else if (c === "'" || c === '"') {
      i = endOfString(text, i, blank);
    } else if (c === '`') {
      i = templatePart(text, i + 1, blank, templates, depth);
    } else if (c === '}' && templates.at(-1) === depth) {
      templates.pop();
      i = templatePart(text, i + 1, blank, templates, depth);
    } else if (c === '/' && BEFORE_REGEX.test(code.slice(Math.max(0, i - 20), i).join(''))) {
      i = endOfRegex(text, i, blank);
    } else {
      if (c === '{') depth++;
      if (c === '}') depth--;
      i++;
    }
  }
  return { code: code.join(''), comments: comments.join('') };
}

type Blank = (from: number, to: number, comment: boolean) => void;

function endOfString(text: string, start: number, blank: Blank): number {
  let i = start + 1;
  while (i < text.length && text[i] !== text[start] && text[i] !== '\n') i += text[i] === '\\' ? 2 : 1;
  blank(start + 1, i, false);
  return i + 1;
}

/** From behind a backtick or the brace that ends a substitution, to behind the next backtick or `${`. */
function templatePart(text: string, start: number, blank: Blank, templates: number[], depth: number): number {
  let i = start;
  while (i < text.length && text[i] !== '`' && !(text[i] === '$' && text[i + 1] === '{')) i += text[i] === '\\' ? 2 : 1;
  blank(start, Math.min(i, text.length), false);
  if (text[i] === '$') {
    templates.push(depth);
    return i + 2;
  }
  return i + 1;
}

function endOfRegex(text: string, start: number, blank: Blank): number {
  let i = start + 1;
  let inClass = false;
  while (i < text.length && text[i] !== '\n' && (inClass || text[i] !== '/')) {
    if (text[i] === '[') inClass = true;
    if (text[i] === ']') inClass = false;
    i += text[i] === '\\' ? 2 : 1;
  }
  blank(start + 1, i, false);
  return i + 1;
}

function findImports(path: string, text: string, code: string): Import[] {
  const imports: Import[] = [];
  const add = (at: number, quote: number, typeOnly: boolean): void => {
    const specifier = text.slice(quote + 1, text.indexOf(text[quote] as string, quote + 1));
    imports.push({ specifier, target: resolve(path, specifier), typeOnly, line: lineOf(text, at) });
  };
  for (const match of code.matchAll(/^[ \t]*(?:import|export)\b([^;'"`]*?)\bfrom\s*(['"])/gm)) {
    const clause = match[1] as string;
    const names = /\{([^}]*)\}/.exec(clause)?.[1];
    const allTypes =
      names !== undefined && !/\w\s*,?\s*\{/.test(clause) && names.split(',').every((name) => name.trim() === '' || /^type\b/.test(name.trim()));
    add(match.index, match.index + match[0].length - 1, /^\s*type\b/.test(clause) || allTypes);
  }
  for (const match of code.matchAll(/^\s*import\s*(['"])/gm)) add(match.index, match.index + match[0].length - 1, false);
  for (const match of code.matchAll(/\b(?:import\s*\(|new URL\()\s*(['"])/g)) {
    // `import('x').T` in the place of a type loads nothing.
    const type = /[:<|&]\s*$/.test(code.slice(Math.max(0, match.index - 10), match.index));
    add(match.index, match.index + match[0].length - 1, type);
  }
  return imports;
}

function resolve(path: string, specifier: string): string | null {
  const source = specifier.replace(/\.js$/, '.ts');
  if (source.startsWith('#src/')) return `src/${source.slice(5)}`;
  return source.startsWith('.') ? normalize(join(dirname(path), source)).replaceAll('\\', '/') : null;
}
