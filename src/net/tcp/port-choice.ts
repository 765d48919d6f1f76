import type { Context } from '../context.js';

/**
 * An ephemeral port (RFC 6056 §3.3.3): the search begins at a place that is secret for each pair of hosts and moves on by a random step
 * each time, so that ports of other connections tell nothing. 0 when none is free.
 */
export function choosePort(ctx: Context, offset: number, free: (port: number) => boolean): number {
  const { v } = ctx.sysctl;
  const low = v['net.ipv4.ip_local_port_range_low'];
  const high = Math.max(low, v['net.ipv4.ip_local_port_range_high']);
  const count = high - low + 1;
  const first = (offset + ctx.prng.below(count)) % count;
  for (let i = 0; i < count; i++) {
    const port = low + ((first + i) % count);
    if (free(port)) return port;
  }
  return 0;
}
