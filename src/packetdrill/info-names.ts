import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { TcpInfo } from '../net/tcp/info.js';
import { stateNames } from '../net/tcp/states.js';

/** A member of struct tcp_info by its name there: times that Linux counts in milliseconds come in these, the state in RFC 9293's order. Undefined when we do not know it. */
export function infoValue(socket: TcpSocket, name: string): number | undefined {
  if (name === 'tcpi_state') return (stateNames as readonly string[]).indexOf(socket.state);
  const info = socket.info();
  return info === null ? undefined : memberOf(info, name);
}

function memberOf(info: TcpInfo, name: string): number | undefined {
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
