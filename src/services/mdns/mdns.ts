import { type Micros, seconds } from '../../base/time.js';
import type { Stack } from '../../net/stack.js';
import type { Running } from '../small.js';
import { MdnsBrowser, type MdnsFound } from './browser.js';
import { MdnsBus } from './bus.js';
import { sameName } from './records.js';
import { MdnsResponder, type MdnsSpec } from './responder.js';

/** Milliseconds until nobody is taken to answer for a name; asked three times. */
const LOOKUP_MAX = 3_000;
/** Milliseconds behind the first answer, for that of the other family. */
const COMPLETE = 20;
/** Names whose addresses are kept, as long as those who gave them say. */
const KEPT_MAX = 256;

/** Multicast DNS of one stack (RFC 6762, RFC 6763): names without a server, services without a list. */
export class Mdns {
  private readonly core: Stack;
  private readonly bus: MdnsBus;
  private readonly kept = new Map<string, { readonly addresses: readonly string[]; readonly until: Micros }>();
  private readonly users = new Set<Running>();
  private readonly changed: (active: boolean) => void;

  /** `changed` is told whether names under .local are asked for here (RFC 6762 §3). */
  constructor(core: Stack, changed: (active: boolean) => void) {
    this.core = core;
    this.changed = changed;
    this.bus = new MdnsBus(core);
  }

  get active(): boolean {
    return this.users.size > 0;
  }

  /** Begins to answer for a name and its services. */
  serve(spec: MdnsSpec): Running {
    this.bus.interfaces = spec.interfaces ?? null;
    return this.use(() => new MdnsResponder(this.core, this.bus, spec));
  }

  /** Tells of services of a type, '_http._tcp', as they come ('up') and go ('down'), until its `close`. */
  browse(type: string, tell: (event: 'up' | 'down', service: MdnsFound) => void): Running {
    return this.use(() => new MdnsBrowser(this.bus, type, tell));
  }

  /** Addresses of a name under .local; empty when nobody answers within three seconds. `family` 0: of both. */
  async lookup(name: string, family: 0 | 4 | 6 = 0): Promise<readonly string[]> {
    const key = `${name.toLowerCase()} ${family}`;
    const kept = this.kept.get(key);
    if (kept !== undefined && kept.until > this.core.hyper.monotonic()) return kept.addresses;
    const { addresses, ttl } = await this.ask(name, family === 0 ? ['A', 'AAAA'] : [family === 4 ? 'A' : 'AAAA']);
    this.kept.delete(key);
    // The oldest goes first.
    for (const old of this.kept.keys()) if (this.kept.size >= KEPT_MAX) this.kept.delete(old);
    if (addresses.length > 0) this.kept.set(key, { addresses, until: this.core.hyper.monotonic() + seconds(ttl) });
    return addresses;
  }

  private ask(name: string, types: readonly string[]): Promise<{ readonly addresses: readonly string[]; readonly ttl: number }> {
    return new Promise((resolve) => {
      const found = new Set<string>();
      let ttl = Number.POSITIVE_INFINITY;
      const asking = this.use(() => {
        const leave = this.bus.listen({
          response: (_link, { answers = [], additionals = [] }) => {
            for (const record of [...answers, ...additionals]) {
              if (record.ttl === 0 || !types.includes(record.type) || !sameName(record.name, name)) continue;
              found.add(record.data as string);
              ttl = Math.min(ttl, record.ttl);
            }
            // What belongs together comes in one message, or right behind it.
            if (found.size > 0) complete.refresh();
          },
        });
        const query = (): void => {
          for (const link of this.bus.links) link.query({ questions: types.map((type) => ({ name, type })) });
        };
        query();
        const again = setInterval(query, LOOKUP_MAX / 3);
        return {
          close: () => {
            leave();
            clearInterval(again);
            clearTimeout(late);
            clearTimeout(complete);
            resolve({ addresses: [...found], ttl });
          },
        };
      });
      const late = setTimeout(() => asking.close(), LOOKUP_MAX);
      const complete = setTimeout(() => found.size > 0 && asking.close(), COMPLETE);
    });
  }

  /** Ends what is under way, and resolves when good-bye has been said. */
  async close(): Promise<void> {
    for (const user of [...this.users]) user.close();
    while (this.bus.links.length > 0) await new Promise((resolve) => setImmediate(resolve));
  }

  private use(begin: () => Running): Running {
    const running = begin();
    const user = {
      close: () => {
        if (!this.users.delete(user)) return;
        running.close();
        this.changed(this.active);
      },
    };
    this.users.add(user);
    this.changed(true);
    return user;
  }
}
