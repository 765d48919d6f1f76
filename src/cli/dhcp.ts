import type { OptionValues } from 'commander';
import type { Dhcp } from '../services/dhcp/dhcp.js';
import { UsageError } from './failure.js';
import { tell } from './remote.js';

/** `anystack dhcp`: leases we have, leases we gave. */
export async function run(words: readonly string[], options: OptionValues): Promise<number> {
  if (words.length > 0) throw new UsageError(`dhcp takes no words, not '${words[0]}'`);
  return tell(options, lines, 'dhcp.show');
}

const span = (seconds: number | null): string => (seconds === null ? 'for ever' : `${seconds} s`);

const lines = ({ clients, servers }: ReturnType<Dhcp['show']>): string[] => [
  ...clients.map(({ dev, state, address, server, expires }) =>
    address === null ? `${dev} client ${state}` : `${dev} client ${state} ${address} from ${server}, expires ${span(expires)}`,
  ),
  ...servers.flatMap(({ dev, free, leases }) => [
    `${dev} server leases ${leases.length} free ${free}`,
    ...leases.map((l) => `  ${l.address} ${l.mac}${l.hostname === '' ? '' : ` ${JSON.stringify(l.hostname)}`} expires ${span(l.expires)}`),
  ]),
];
