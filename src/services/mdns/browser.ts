import type { Running } from '../small.js';
import type { MdnsBus, MdnsPacket, MdnsRecord } from './bus.js';
import { type ServerData, sameName } from './records.js';

/** A service of another station. */
export interface MdnsFound {
  /** For people: 'Boiler 2'. */
  readonly name: string;
  readonly type: string;
  readonly host: string;
  readonly port: number;
  readonly addresses: readonly string[];
  readonly txt: Readonly<Record<string, string>>;
  /** The interface it was heard on. */
  readonly dev: string;
}

/** Milliseconds between the first two questions, doubled each time up to the last. RFC 6762 §5.2. */
const FIRST = 1_000;
const LAST = 3_600_000;
/** Services one browser keeps; further ones are not told of. */
const FOUND_MAX = 1_024;

/** What is known of one instance. */
interface Instance {
  readonly dev: string;
  server?: ServerData;
  txt?: Readonly<Record<string, string>>;
  addresses: Set<string>;
  told: MdnsFound | null;
  expires: NodeJS.Timeout;
}

/** Asks for services of a type, and keeps what answers (RFC 6763 §4). */
export class MdnsBrowser implements Running {
  private readonly bus: MdnsBus;
  private readonly type: string;
  private readonly tell: (event: 'up' | 'down', service: MdnsFound) => void;
  private readonly instances = new Map<string, Instance>();
  private readonly leave: () => void;
  private next: NodeJS.Timeout | undefined;

  constructor(bus: MdnsBus, type: string, tell: (event: 'up' | 'down', service: MdnsFound) => void) {
    this.bus = bus;
    this.type = type;
    this.tell = tell;
    this.leave = bus.listen({ response: (link, packet) => this.response(link.iface.name, packet) });
    // RFC 6762 §5.2: machines that were switched on together do not ask together.
    this.next = setTimeout(() => this.ask(FIRST), bus.jitter(20, 100));
  }

  close(): void {
    clearTimeout(this.next);
    for (const { expires } of this.instances.values()) clearTimeout(expires);
    this.instances.clear();
    this.leave();
  }

  private ask(wait: number): void {
    const domain = `${this.type}.local`;
    const answers = [...this.instances].filter(([, i]) => i.told !== null).map(([name]) => ({ name: domain, type: 'PTR', ttl: 4_500, data: name }));
    const missing = [...this.instances].filter(([, i]) => i.told === null).map(([name]) => ({ name, type: 'ANY' }));
    for (const link of this.bus.links) link.query({ questions: [{ name: domain, type: 'PTR' }, ...missing], answers });
    this.next = setTimeout(() => this.ask(Math.min(2 * wait, LAST)), wait);
  }

  private response(dev: string, { answers = [], additionals = [] }: MdnsPacket): void {
    const records = [...answers, ...additionals];
    for (const record of records) {
      if (record.type === 'PTR' && sameName(record.name, `${this.type}.local`)) this.pointer(dev, record);
    }
    for (const [name, instance] of this.instances) this.complete(name, instance, records);
  }

  private pointer(dev: string, { data, ttl }: MdnsRecord): void {
    const name = data as string;
    const key = [...this.instances.keys()].find((k) => sameName(k, name)) ?? name;
    const there = this.instances.get(key);
    clearTimeout(there?.expires);
    // RFC 6762 §10.1: a good-bye counts after a second, in which another may claim the name.
    const expires = setTimeout(() => this.gone(key), Math.min(ttl === 0 ? 1_000 : ttl * 1_000, 2 ** 31 - 1));
    expires.unref();
    if (there !== undefined) there.expires = expires;
    else if (ttl > 0 && this.instances.size < FOUND_MAX) this.instances.set(key, { dev, addresses: new Set(), told: null, expires });
    else clearTimeout(expires);
  }

  private complete(name: string, instance: Instance, records: readonly MdnsRecord[]): void {
    for (const { name: of, type, ttl, data } of records) {
      if (ttl === 0) continue;
      if (type === 'SRV' && sameName(of, name)) instance.server = data as ServerData;
      if (type === 'TXT' && sameName(of, name)) instance.txt = pairs(data);
    }
    const { server, txt } = instance;
    if (server === undefined || txt === undefined) return;
    for (const { name: of, type, ttl, data } of records)
      if (ttl > 0 && (type === 'A' || type === 'AAAA') && sameName(of, server.target)) instance.addresses.add(data as string);
    if (instance.told !== null || instance.addresses.size === 0) return;
    const label = name.slice(0, -`.${this.type}.local`.length);
    instance.told = {
      name: label,
      type: this.type,
      host: server.target,
      port: server.port,
      addresses: [...instance.addresses],
      txt,
      dev: instance.dev,
    };
    this.tell('up', instance.told);
  }

  private gone(name: string): void {
    const instance = this.instances.get(name);
    this.instances.delete(name);
    if (instance?.told) this.tell('down', instance.told);
  }
}

/** RFC 6763 §6.4: the first of a key counts; one without '=' is there, and empty. */
function pairs(data: unknown): Readonly<Record<string, string>> {
  const texts = [data]
    .flat()
    .map(String)
    .filter((text) => text !== '' && !text.startsWith('='));
  return Object.fromEntries(texts.reverse().map((text) => [text.split('=', 1)[0] as string, text.slice(text.indexOf('=') + 1 || text.length)]));
}
