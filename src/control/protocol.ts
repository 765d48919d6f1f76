/**
 * The control protocol, version 1: JSON lines over a Unix socket, many requests at a time, told apart by their id.
 *
 * ```
 *  → {"v":1,"id":1,"method":"route.add","params":["default",{"via":"10.0.0.1"}]}
 *  ← {"id":1,"result":null}                 or {"id":1,"error":{"code":"EEXIST","message":"…"}}
 *  → {"v":1,"id":2,"method":"capture","params":[{}]}
 *  ← {"id":2,"data":"…base64…"} …           octets of a stream; {"id":2,"event":{…}} for what has a shape
 *  → {"id":2,"data":"…"}  {"id":2,"end":true}  {"id":2,"cancel":true}     towards a stream: octets, no more of them, enough
 *  ← {"id":2,"result":{…}}
 * ```
 */
import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { ConfigError, NetError } from '../base/errors.js';

export const VERSION = 1;

/** Octets of one line; a longer one ends the connection. A configuration is the longest there is. */
export const LINE_MAX = 4 * 1_048_576;

/** What a client sends. */
export interface Request {
  readonly v?: number;
  readonly id: number;
  readonly method?: string;
  readonly params?: readonly unknown[];
  readonly data?: string;
  readonly end?: boolean;
  readonly cancel?: boolean;
}

/** What a server sends. */
export interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
  readonly data?: string;
  readonly event?: unknown;
}

/** Where the control sockets of this user's stacks are: $XDG_RUNTIME_DIR/anystack, else one of the two usual places. ANYSTACK_CONTROL_DIR names another. */
export function controlDirectory(): string {
  const given = process.env['ANYSTACK_CONTROL_DIR'];
  if (given) return given;
  const runtime = process.env['XDG_RUNTIME_DIR'];
  if (runtime) return join(runtime, 'anystack');
  const { uid } = userInfo();
  const user = `/run/user/${uid}`;
  return ownDirectory(user) ? join(user, 'anystack') : join(tmpdir(), `anystack-${uid}`);
}

/** The socket of the stack `name`. Throws ConfigError for a name that would leave the folder. */
export function socketPath(name: string, directory = controlDirectory()): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
    throw new ConfigError(`stack name '${name}': letters, digits, dot, dash and underscore, at most 64`);
  return join(directory, `${name}.sock`);
}

/** Makes the folder, for its owner alone. NetError EACCES when it belongs to somebody else or lets others in. */
export function ensureDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (!ownDirectory(directory)) throw new NetError('EACCES', 'control', directory, undefined, 'the folder is not ours alone: its mode is to be 0700');
}

/** A true folder of ours that nobody else may enter: another user may have made it first. */
function ownDirectory(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0;
}

/** Cuts what arrives into lines; `line` gets each, `tooLong` is called once when one passes LINE_MAX. */
export function lines(line: (text: string) => void, tooLong: () => void): (chunk: string) => void {
  let rest = '';
  return (chunk) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() as string;
    if (rest.length > LINE_MAX) {
      rest = '';
      tooLong();
      return;
    }
    for (const part of parts) if (part !== '') line(part);
  };
}
