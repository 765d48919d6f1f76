import type { OptionValues } from 'commander';
import type { PingEvent, PingSummary } from '../services/ping.js';
import { remote } from './remote.js';
import { seconds, whole } from './words.js';

/** `anystack ping`: exits 1 when nothing answered, as ping(8) does. */
export function run([target]: readonly string[], options: OptionValues): Promise<number> {
  const { count, interval, size, ttl, dev, timeout, json } = options as Record<string, string | undefined>;
  const asked = {
    ...(count === undefined ? {} : { count: whole(count, 'ping -c') }),
    ...(interval === undefined ? {} : { interval: seconds(interval, 'ping -i') }),
    ...(size === undefined ? {} : { size: whole(size, 'ping -s') }),
    ...(ttl === undefined ? {} : { ttl: whole(ttl, 'ping -t') }),
    ...(timeout === undefined ? {} : { timeout: seconds(timeout, 'ping -W') }),
    ...(dev === undefined ? {} : { dev }),
  };
  return remote(options, async (client) => {
    const say = (text: string): void => void process.stdout.write(`${text}\n`);
    const event = (given: Record<string, unknown>): void => {
      const e = given as unknown as PingEvent;
      if (json) say(JSON.stringify(e));
      else if (e.error !== undefined) say(`From ${e.from} icmp_seq=${e.seq} ${e.error}`);
      else say(`${e.size + 8} bytes from ${e.from}: icmp_seq=${e.seq} ttl=${e.ttl} time=${e.time.toFixed(3)} ms`);
    };
    const running = client.start('ping', [target, asked], { event });
    process.once('SIGINT', () => running.cancel());
    const s = (await running.result) as PingSummary;
    if (json) say(JSON.stringify(s));
    else {
      say(`--- ${s.target} ping statistics ---`);
      say(
        `${s.transmitted} packets transmitted, ${s.received} received, ${Math.round((100 * (s.transmitted - s.received)) / s.transmitted)}% packet loss`,
      );
      if (s.received > 0) say(`rtt min/avg/max = ${s.min.toFixed(3)}/${s.avg.toFixed(3)}/${s.max.toFixed(3)} ms`);
    }
    return s.received > 0 ? 0 : 1;
  });
}
