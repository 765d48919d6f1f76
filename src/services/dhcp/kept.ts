import type { Hypercalls, Store } from '../../hyper/hypercalls.js';

/** The host's store for leases: where it fails (a full or read-only disk) they are as good as before until the next restart, and the log says so. */
export function leaseStore(hyper: Hypercalls): Store {
  const attempt = <T>(run: () => T, otherwise: T): T => {
    try {
      return run();
    } catch (error) {
      hyper.log('warn', `dhcp: a lease could not be kept or read: ${(error as Error).message}`);
      return otherwise;
    }
  };
  return {
    get: (key) => attempt(() => hyper.store.get(key), null),
    set: (key, value) => attempt(() => hyper.store.set(key, value), undefined),
    delete: (key) => attempt(() => hyper.store.delete(key), undefined),
  };
}
