import { Errno } from '../../base/errors.js';

/** Seconds to milliseconds and so on stay at the API; these are the setsockopt values themselves. */
export class ConnectionOptions {
  noDelay = 0;
  cork = 0;
  quickAck = 1;
  /** Payload octets per segment we send and ask for; 0 while the path decides. */
  maxSeg = 0;
  keepAlive = 0;
  /** Seconds; 0 takes net.ipv4.tcp_keepalive_time, _intvl and _probes. */
  keepIdle = 0;
  keepInterval = 0;
  keepCount = 0;
  /** Milliseconds that data may stay unacknowledged; 0 leaves it to tcp_retries2. RFC 5482 §3. */
  userTimeout = 0;
  /** '' takes net.ipv4.tcp_congestion_control. */
  congestion = '';
  /** Seconds a listener waits for data before it hands a connection over; 0: at once. */
  deferAccept = 0;
  /** Unsent octets above which the socket is not writable; 0 takes the sysctl. */
  notSentLowat = 0;
  /** 0 takes net.ipv4.tcp_syn_retries. */
  synCount = 0;
  /** Seconds in FIN-WAIT-2 without a socket; 0 takes net.ipv4.tcp_fin_timeout, −1: none at all. */
  linger2 = 0;
  /** Octets; 0 while autotuned. Linux doubles what is set, so that a window of the asked size fits. */
  receiveBuffer = 0;
  sendBuffer = 0;
  /** SO_LINGER's seconds, −1 when off. 0 resets on close. */
  linger = -1;
  reuseAddress = 0;
  reusePort = 0;
  tos = 0;
  /** 0 takes the default of IP. */
  ttl = 0;
  mark = 0;
  receiveLowat = 1;
  windowClamp = 0;
  /** Octets per second; 0: no limit of the application's. */
  maxPacingRate = 0;
  fastOpen = 0;
  fastOpenConnect = 0;
  /** 1: neither fragment nor exceed the path MTU (IP_PMTUDISC_DO), 0: DF off. */
  mtuDiscover = 1;

  clone(): ConnectionOptions {
    return Object.assign(new ConnectionOptions(), this);
  }
}

/** Fields of ConnectionOptions that are numbers. */
export type OptionField = Exclude<keyof ConnectionOptions, 'congestion' | 'clone'>;

interface OptionSpec {
  readonly field: OptionField;
  readonly low: number;
  readonly high: number;
}

const flag = (field: OptionField): OptionSpec => ({ field, low: 0, high: 1 });
const int = (field: OptionField, low: number, high: number): OptionSpec => ({ field, low, high });

/**
 * Socket options that are a plain number, by setsockopt name, with Linux's ranges. A flag takes any number as its truth.
 * Those with a meaning of their own (SO_ERROR, TCP_CONGESTION, SO_RCVBUF, SO_SNDBUF) are in TcpSocket.
 */
const specs: ReadonlyMap<string, OptionSpec> = new Map([
  ['TCP_NODELAY', flag('noDelay')],
  ['TCP_CORK', flag('cork')],
  ['TCP_QUICKACK', flag('quickAck')],
  ['TCP_MAXSEG', int('maxSeg', 0, 32_767)],
  ['SO_KEEPALIVE', flag('keepAlive')],
  ['TCP_KEEPIDLE', int('keepIdle', 1, 32_767)],
  ['TCP_KEEPINTVL', int('keepInterval', 1, 32_767)],
  ['TCP_KEEPCNT', int('keepCount', 1, 127)],
  ['TCP_USER_TIMEOUT', int('userTimeout', 0, 2_147_483_647)],
  ['TCP_DEFER_ACCEPT', int('deferAccept', 0, 3_600)],
  ['TCP_NOTSENT_LOWAT', int('notSentLowat', 0, 4_294_967_295)],
  ['TCP_SYNCNT', int('synCount', 1, 127)],
  ['TCP_LINGER2', int('linger2', -1, 120)],
  ['TCP_WINDOW_CLAMP', int('windowClamp', 0, 1_073_725_440)],
  ['TCP_FASTOPEN', int('fastOpen', 0, 65_535)],
  ['TCP_FASTOPEN_CONNECT', flag('fastOpenConnect')],
  ['SO_LINGER', int('linger', -1, 65_535)],
  ['SO_REUSEADDR', flag('reuseAddress')],
  ['SO_REUSEPORT', flag('reusePort')],
  ['SO_RCVLOWAT', int('receiveLowat', 1, 2_147_483_647)],
  ['SO_MAX_PACING_RATE', int('maxPacingRate', 0, 1e12)],
  ['SO_MARK', int('mark', 0, 0xffffffff)],
  ['IP_TOS', int('tos', 0, 255)],
  ['IPV6_TCLASS', int('tos', 0, 255)],
  ['IP_TTL', int('ttl', 0, 255)],
  ['IPV6_UNICAST_HOPS', int('ttl', 0, 255)],
  ['IP_MTU_DISCOVER', int('mtuDiscover', 0, 1)],
]);

/** The value of a plain option, or −ENOPROTOOPT. */
export function getPlainOption(options: ConnectionOptions, name: string): number {
  const spec = specs.get(name);
  return spec === undefined ? -Errno.ENOPROTOOPT : options[spec.field];
}

/** Sets a plain option in `options`, which must be the socket's own. 0, −ENOPROTOOPT or −EINVAL. */
export function setPlainOption(options: ConnectionOptions, name: string, value: number): number {
  const spec = specs.get(name);
  if (spec === undefined) return -Errno.ENOPROTOOPT;
  if (!Number.isSafeInteger(value)) return -Errno.EINVAL;
  if (spec.low === 0 && spec.high === 1) options[spec.field] = value === 0 ? 0 : 1;
  else if (value < spec.low || value > spec.high) return -Errno.EINVAL;
  else options[spec.field] = value;
  return 0;
}
