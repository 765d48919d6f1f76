import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NetError } from '../base/errors.js';
import type { Store } from './hypercalls.js';

/** Greatest value. */
const VALUE_MAX = 65_536;

/**
 * A store of one file per key in `folder`, readable by its owner alone: the RFC 7217 secret lies in it. A value is
 * written beside its file and renamed, so that a crash leaves the old one. Throws NetError of the file system's code.
 */
export function fileStore(folder: string): Store {
  const pathOf = (key: string): string => {
    if (!/^[a-z0-9-]+$/.test(key)) throw new NetError('EINVAL', 'store', undefined, undefined, `key '${key}' is not of [a-z0-9-]+`);
    return join(folder, key);
  };
  return {
    get(key) {
      const path = pathOf(key);
      try {
        return new Uint8Array(readFileSync(path));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw storeError(error, path);
      }
    },
    set(key, value) {
      const path = pathOf(key);
      if (value.length > VALUE_MAX) throw new NetError('EMSGSIZE', 'store', undefined, undefined, `a value has at most ${VALUE_MAX} octets`);
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        writeFileSync(`${path}.new`, value, { mode: 0o600, flush: true });
        renameSync(`${path}.new`, path);
      } catch (error) {
        throw storeError(error, path);
      }
    },
    delete(key) {
      rmSync(pathOf(key), { force: true });
    },
  };
}

function storeError(error: unknown, path: string): NetError {
  const { code = 'EIO' } = error as NodeJS.ErrnoException;
  return new NetError(code as 'EIO', 'store', undefined, undefined, path);
}
