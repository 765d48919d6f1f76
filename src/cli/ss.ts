import type { OptionValues } from 'commander';
import type { TcpInfo } from '../net/tcp/info.js';
import type { SocketInfo } from '../observe/tables.js';
import { ask, columns, print } from './remote.js';

/** `anystack ss`. */
export async function run(_words: readonly string[], options: OptionValues): Promise<number> {
  const { tcp, udp, listening, info } = options;
  const all = (await ask(options, 'ss')) as SocketInfo[];
  const chosen = all
    .filter((s) => (!tcp && !udp) || (tcp && s.kind === 'tcp') || (udp && s.kind === 'udp'))
    .filter((s) => !listening || s.state === 'LISTEN');
  print(options, chosen, (sockets) => lines(sockets, info === true));
  return 0;
}

function lines(sockets: readonly SocketInfo[], withInfo: boolean): string[] {
  const rows = columns([
    ['Netid', 'State', 'Recv-Q', 'Send-Q', 'Local Address:Port', 'Peer Address:Port'],
    ...sockets.map((s) => [
      s.kind,
      s.state,
      String(s.receiveQueue),
      String(s.sendQueue),
      `${end(s.localAddress, s.localPort)}${s.dev === null ? '' : `%${s.dev}`}`,
      end(s.remoteAddress, s.remotePort),
    ]),
  ]);
  if (!withInfo) return rows;
  return [rows[0] as string, ...sockets.flatMap((s, i) => [rows[i + 1] as string, ...(s.info === undefined ? [] : [`\t ${details(s.info)}`])])];
}

const end = (address: string | null, port: number | null): string => {
  if (address === null) return '*:*';
  const host = address === '0.0.0.0' || address === '::' ? '*' : address.includes(':') ? `[${address}]` : address;
  return `${host}:${port === 0 || port === null ? '*' : port}`;
};

/** In the order and the words of ss(8). */
function details(i: TcpInfo): string {
  const ms = (us: number): string => (us / 1_000).toFixed(3).replace(/\.?0+$/, '');
  const parts = [
    i.options.timestamps ? 'ts' : '',
    i.options.sack ? 'sack' : '',
    i.congestion,
    `wscale:${i.snd_wscale},${i.rcv_wscale}`,
    `rto:${ms(i.rto)}`,
    `rtt:${ms(i.rtt)}/${ms(i.rttvar)}`,
    `mss:${i.snd_mss} pmtu:${i.pmtu}`,
    `cwnd:${i.snd_cwnd}`,
    i.snd_ssthresh >= 0x7fffffff ? '' : `ssthresh:${i.snd_ssthresh}`,
    `bytes_sent:${i.bytes_sent} bytes_acked:${i.bytes_acked} bytes_received:${i.bytes_received}`,
    `segs_out:${i.segs_out} segs_in:${i.segs_in}`,
    i.delivery_rate > 0 ? `delivery_rate ${(i.delivery_rate / 1e6).toFixed(1)}MB/s` : '',
    i.unacked === 0 ? '' : `unacked:${i.unacked}`,
    i.total_retrans === 0 ? '' : `retrans:${i.retrans}/${i.total_retrans}`,
    i.lost === 0 ? '' : `lost:${i.lost}`,
    `rcv_space:${i.rcv_space}`,
    `minrtt:${ms(i.min_rtt)}`,
  ];
  return parts.filter((p) => p !== '').join(' ');
}
