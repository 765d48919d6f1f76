import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { leafOf } from '#src/net/interface-sysctl.js';
import { Sysctl, type SysctlName, sysctls } from '#src/net/sysctl.js';

/** Tunables that no test sets. The list only shrinks: what a test sets must leave it, and a new tunable comes with its test. */
const UNTESTED: readonly string[] = ['net.ipv6.conf.all.regen_max_retry'];

/** Tunables that nothing reads. */
const WITHOUT_EFFECT: readonly string[] = [];

/** All TypeScript of a folder in one text. */
const text = (folder: string, except: RegExp): string =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !except.test(name))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');

describe('the table of tunables', () => {
  const names = Object.keys(sysctls) as SysctlName[];

  it('every tunable is set by a test, or on the list of those that are not yet', () => {
    const tests = text('test', /sysctl[/\\]all\.test\.ts$/);
    const untested = names.filter((name) => !tests.includes(`${name}'`) && !tests.includes(`${name}:`) && !tests.includes(`${name},`));
    assert.deepEqual(
      untested.filter((name) => !UNTESTED.includes(name)),
      [],
    );
  });

  it('every tunable is read somewhere', () => {
    const sources = text('src', /(^|[/\\])(sysctl|profiles|sysctl-words|stack-sysctl)\.ts$/);
    assert.deepEqual(
      names.filter((name) => {
        const leaf = leafOf(name); // an interface's are read from its own values
        const read = leaf === null ? sources.includes(`${name}'`) : new RegExp(`\\b${leaf.word}\\b`).test(sources);
        return !read && !WITHOUT_EFFECT.includes(name);
      }),
      [],
    );
  });

  it('every default lies in its range, says what it does, and where it comes from', () => {
    const sysctl = new Sysctl();
    for (const name of names) {
      sysctl.set(name, sysctls[name].default);
      assert.notEqual(sysctls[name].help, '', name);
      assert.notEqual(sysctls[name].source, '', name);
    }
  });
});
