import type { Store } from './hypercalls.js';

/** A store that forgets with the process. Values are copied on the way in and out. */
export function memoryStore(): Store {
  const values = new Map<string, Uint8Array>();
  return {
    get: (key) => values.get(key)?.slice() ?? null,
    set: (key, value) => void values.set(key, value.slice()),
    delete: (key) => void values.delete(key),
  };
}
