/**
 * What a test needs of the machine. Where it is missing the test is skipped, with the reason and the way to have it run;
 * listed in ANYSTACK_REQUIRE (e.g. "tap,netns,tools") it fails instead, so that a pipeline cannot lose tests silently.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import type { Context, Hook, Test } from 'mocha';
import { loadNative } from '#src/hyper/native.js';
import { tapFfi } from '#src/hyper/tap-ffi.js';

export type Requirement = 'tap' | 'netns' | 'root' | 'addon' | 'koffi' | `package:${string}` | `tools:${string}` | `peer:${string}`;

/** Why `requirement` is missing and what would bring it, or null when it is there. */
export function missing(requirement: Requirement): string | null {
  const colon = requirement.indexOf(':');
  const kind = colon < 0 ? requirement : requirement.slice(0, colon);
  const name = requirement.slice(colon + 1);
  switch (kind) {
    case 'root':
      return process.getuid?.() === 0 ? null : 'not root: sudo npx mocha';
    case 'tap':
      return usable('/dev/net/tun')
        ? missing('koffi') && missing('addon')
        : 'no access to /dev/net/tun: sudo npx mocha, in a container --device /dev/net/tun --cap-add NET_ADMIN';
    case 'netns':
      return canUnshare() ? null : 'network namespaces need root and ip: sudo npx mocha, apt-get install iproute2';
    case 'addon':
      return loadNative() === null ? 'the addon is not built: node scripts/build-native.mjs' : null;
    case 'koffi':
      return tapFfi() === null ? 'koffi is not installed: npm install koffi' : null;
    case 'package':
      return unloadable(name);
    // 'peer' is a server of other people that one test is for: a pipeline that asks for 'tools' need not have it.
    default:
      return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0 ? null : `${name} is not installed: apt-get install ${name}`;
  }
}

/** To be called first in a test or hook with its `this`. */
export function needs(test: Context, ...requirements: readonly Requirement[]): void {
  const required = (process.env['ANYSTACK_REQUIRE'] ?? '').split(',');
  for (const requirement of requirements) {
    const reason = missing(requirement);
    if (reason === null) continue;
    if (required.includes(requirement) || required.includes(requirement.split(':')[0] as string)) throw new RequirementMissing(reason);
    skip(test, reason);
  }
  if (requirements.includes('netns')) eachOf(test, (one) => one.retries(FOREIGN_RETRIES));
}

/** Tries more for a test with the kernel and programs of other people, which answer in their own time on a machine that others use too. The summary names who needed one. */
const FOREIGN_RETRIES = 1;

/** Skips a test, or all tests of the suite whose hook it is. The reason travels as their `err`: of what a test carries, that comes through to the reporter from a worker. */
export function skip(test: Context, reason: string): never {
  const why = new Skipped(reason);
  eachOf(test, (one) => {
    one.err = why;
  });
  return test.skip();
}

/** The test of a context, or all of the suite whose hook it is. */
function eachOf(context: Context, visit: (test: Test) => void): void {
  const runnable = context.test as Test | Hook;
  if (runnable.type === 'hook') runnable.parent?.eachTest(visit);
  else visit(runnable);
}

class Skipped extends Error {
  override readonly name = 'Skipped';
}

class RequirementMissing extends Error {
  override readonly name = 'RequirementMissing';
}

function usable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Root of a container may still lack CAP_SYS_ADMIN. */
function canUnshare(): boolean {
  return spawnSync('unshare', ['-n', 'ip', 'link'], { stdio: 'ignore' }).status === 0;
}

/** Why a package cannot be had. One with a native part may be there and not be built for this Node. */
function unloadable(name: string): string | null {
  try {
    createRequire(import.meta.url)(name);
    return null;
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case 'MODULE_NOT_FOUND':
        return `${name} is not installed: npm install ${name}`;
      case 'ERR_DLOPEN_FAILED':
        return `${name} is not built for this Node: npm rebuild ${name}`;
      default:
        return null;
    }
  }
}
