import type { OptionValues } from 'commander';
import type { MdnsFound } from '../services/mdns/browser.js';
import { print, remote, tell } from './remote.js';
import { seconds } from './words.js';

/** `anystack mdns NAME`: addresses of a name of the link; `anystack mdns _http._tcp`: services that answer within some seconds. */
export function run([name = '']: readonly string[], options: OptionValues): Promise<number> {
  if (!/^_[^.]+\._(tcp|udp)$/.test(name))
    return tell(options, (all: readonly string[]) => all, 'mdns.lookup', name.endsWith('.local') ? name : `${name}.local`);
  const wait = seconds((options['wait'] as string | undefined) ?? '3', 'mdns -w');
  return remote(options, async (client) => {
    const found: MdnsFound[] = [];
    const running = client.start('mdns.browse', [name], { event: (given) => void found.push(given as unknown as MdnsFound) });
    const timer = setTimeout(() => running.cancel(), wait);
    process.once('SIGINT', () => running.cancel());
    await running.result;
    clearTimeout(timer);
    print(options, found, (all) => all.map(line));
    return found.length > 0 ? 0 : 1;
  });
}

function line({ name, host, port, addresses, txt, dev }: MdnsFound): string {
  const pairs = Object.entries(txt).map(([key, value]) => ` ${JSON.stringify(`${key}=${value}`)}`);
  return `${name}  ${host}:${port}  ${addresses.join(' ')}  dev ${dev}${pairs.join('')}`;
}
