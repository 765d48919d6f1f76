import type { OptionValues } from 'commander';
import type { TraceHop } from '../services/traceroute.js';
import { remote } from './remote.js';
import { seconds, whole } from './words.js';

/** `anystack traceroute`. */
export function run([target]: readonly string[], options: OptionValues): Promise<number> {
  const { hops, probes, timeout, dev, json } = options as Record<string, string | undefined>;
  const asked = {
    ...(hops === undefined ? {} : { hops: whole(hops, 'traceroute -m') }),
    ...(probes === undefined ? {} : { probes: whole(probes, 'traceroute -q') }),
    ...(timeout === undefined ? {} : { timeout: seconds(timeout, 'traceroute -w') }),
    ...(dev === undefined ? {} : { dev }),
  };
  return remote(options, async (client) => {
    const event = (given: Record<string, unknown>): void => {
      const h = given as unknown as TraceHop;
      const times = h.times.map((t) => (t === null ? '*' : `${t.toFixed(3)} ms`)).join('  ');
      process.stdout.write(
        json
          ? `${JSON.stringify(h)}\n`
          : `${String(h.hop).padStart(2)}  ${h.from === null ? '' : `${h.from}  `}${times}${h.error === undefined ? '' : `  ${h.error}`}\n`,
      );
    };
    const running = client.start('traceroute', [target, asked], { event });
    process.once('SIGINT', () => running.cancel());
    const found = (await running.result) as TraceHop[];
    return found.at(-1)?.last === true && found.at(-1)?.error === undefined ? 0 : 1;
  });
}
