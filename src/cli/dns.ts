import type { OptionValues } from 'commander';
import type { DnsStatus } from '../services/dns/names.js';
import { UsageError } from './failure.js';
import { tell } from './remote.js';

/** `anystack dns`: what is asked where; `anystack dns NAME [TYPE]`: answers, one a line, as `dig +short` has them. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  const [name, type, more] = words;
  if (more !== undefined) throw new UsageError(`dns: '${more}' is one word too many; dns NAME [TYPE]`);
  if (name === undefined) return tell(options, status, 'dns.status');
  return tell(options, lines, 'dns.ask', name, ...(type === undefined ? [] : [type.toUpperCase()]));
}

const status = ({ servers, search, cached, pending, forwarder }: DnsStatus): string[] => [
  `servers ${servers.length === 0 ? 'none' : servers.join(' ')}`,
  `search ${search.length === 0 ? 'none' : search.join(' ')}`,
  `cached ${cached} pending ${pending}${forwarder ? ' forwarder' : ''}`,
];

const lines = (records: readonly unknown[]): string[] => records.map(line);

/** An address or a name as it is, texts in quotes, the members of others in their order. */
function line(record: unknown): string {
  if (Array.isArray(record)) return record.map((text) => JSON.stringify(text)).join(' ');
  if (typeof record === 'object' && record !== null) return Object.values(record).join(' ');
  return String(record);
}
