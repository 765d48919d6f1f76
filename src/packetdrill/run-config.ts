import { type Address, parsePrefix } from '../base/address.js';
import { millis } from '../base/time.js';
import type { ScriptOption } from './ast.js';
import { Unsupported } from './outcome.js';
import { ScriptError } from './script-error.js';

/** What a script's option lines decide, over the defaults that the public forks share. */
export interface RunConfig {
  /** Of the packets. */
  readonly wire: 4 | 6;
  /** Of the sockets: 46 speaks IPv4 through an IPv6 socket. */
  readonly sockets: 4 | 6 | 46;
  readonly local: Address;
  readonly localLength: number;
  readonly remote: Address;
  readonly bindPort: number;
  readonly connectPort: number;
  readonly mtu: number;
  /** By how much an event may miss its time: the greater of a fixed span and a part of the time since the event before. */
  readonly tolerance: number;
  readonly tolerancePart: number;
  readonly timestampTick: number;
  /** Expected segments are segments on the wire; else shorter ones in a row make up a longer expected one. */
  readonly strictSegments: boolean;
  /** A packet that differs is passed over. */
  readonly forgivePackets: boolean;
}

/** Options that change nothing here: they speak of tun devices, processes and wire servers. */
const IGNORED = new Set([
  'define',
  'verbose',
  'dry_run',
  'gateway_ip',
  'netmask_ip',
  'speed',
  'tun_dev',
  'persistent_tun_dev',
  'init_scripts',
  'code_command',
  'code_format',
  'code_sockopt',
  'wire_client',
  'wire_server',
  'wire_server_ip',
  'wire_server_port',
  'wire_client_dev',
  'wire_server_dev',
  'tcp_ts_ecr_scaled',
  'send_omit_free',
  'is_anyip',
]);

const DEFAULTS = {
  4: { local: '192.168.0.1/16', remote: '192.0.2.1' },
  6: { local: 'fd3d:fa7b:d17d::1/48', remote: '2001:db8::1' },
} as const;

/** Reads option lines; `given` are those of the command line, which come first and are overridden. */
export function runConfig(options: readonly ScriptOption[], given: readonly ScriptOption[] = []): RunConfig {
  const set = new Map<string, ScriptOption>();
  for (const option of [...given, ...options]) set.set(option.name, option);
  const text = (name: string, or: string): string => take(set, name)?.value ?? or;
  const version = text('ip_version', 'ipv4');
  const wire = version === 'ipv6' ? 6 : 4;
  const local = prefixOf(text('local_ip', ''), DEFAULTS[wire].local);
  const config: RunConfig = {
    wire,
    sockets: version === 'ipv6' ? 6 : version === 'ipv4-mapped-ipv6' ? 46 : 4,
    local: local.address,
    localLength: local.length,
    remote: prefixOf(text('remote_ip', ''), DEFAULTS[wire].remote).address,
    bindPort: number(set, 'bind_port', 8_080),
    connectPort: number(set, 'connect_port', 8_080),
    mtu: number(set, 'mtu', 1_500),
    tolerance: number(set, 'tolerance_usecs', millis(4)),
    tolerancePart: number(set, 'tolerance_percent', 12.5) / 100,
    timestampTick: number(set, 'tcp_ts_tick_usecs', 0),
    strictSegments: take(set, 'strict_segments') !== undefined,
    forgivePackets: text('non_fatal', '').includes('packet'),
  };
  for (const { name, value } of set.values()) if (!IGNORED.has(name)) throw new Unsupported(`option --${name}${value === '' ? '' : `=${value}`}`);
  return config;
}

function take(set: Map<string, ScriptOption>, name: string): ScriptOption | undefined {
  const option = set.get(name);
  set.delete(name);
  return option;
}

function number(set: Map<string, ScriptOption>, name: string, or: number): number {
  const option = take(set, name);
  if (option === undefined) return or;
  const value = Number(option.value);
  if (option.value === '' || !Number.isFinite(value)) throw new ScriptError(option.line, `--${name}=${option.value}: a number expected`);
  return value;
}

/** A local address without a length lies in the default's prefix. */
function prefixOf(text: string, or: string): { address: Address; length: number } {
  const fallback = parsePrefix(or) as { address: Address; length: number };
  if (text === '') return fallback;
  const prefix = parsePrefix(text);
  if (prefix === null) throw new ScriptError(0, `'${text}' is no address`);
  return text.includes('/') ? prefix : { address: prefix.address, length: prefix.address.isV4 ? 16 : 48 };
}
