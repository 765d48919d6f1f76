import type { TcpInfo } from '../net/tcp/info.js';

/** A member of Linux's struct tcp_info by its name there: times that it counts in milliseconds come in these. Undefined when we do not know it. */
export function infoValue(info: TcpInfo, name: string): number | undefined {
  if (!name.startsWith('tcpi_')) return undefined;
  const member = name.slice('tcpi_'.length);
  if (member === 'options') {
    const { timestamps, sack, wscale, ecn, ecn_seen, syn_data } = info.options;
    return [timestamps, sack, wscale, ecn, ecn_seen, syn_data].reduce((bits, on, i) => bits | (on ? 1 << i : 0), 0);
  }
  if (member === 'last_data_sent' || member === 'last_data_recv' || member === 'last_ack_recv') {
    const value = info[member as 'last_data_sent'];
    return value === undefined ? undefined : Math.floor(value / 1_000);
  }
  const value = info[member as keyof TcpInfo];
  return typeof value === 'number' ? value : undefined;
}
