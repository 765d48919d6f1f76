/** ICMP types and codes by the names scripts give them. */
import { Unsupported } from './outcome.js';

interface IcmpType {
  readonly number: number;
  readonly codes: readonly string[];
}

const type = (number: number, codes: readonly string[] = []): IcmpType => ({ number, codes });

/** Codes of RFC 792, RFC 1122 §3.2.2.1 and RFC 1812 §5.2.7.1 in their order. */
const UNREACHABLE_V4 = [
  'net_unreachable',
  'host_unreachable',
  'protocol_unreachable',
  'port_unreachable',
  'frag_needed',
  'source_route_failed',
  'net_unknown',
  'host_unknown',
  'source_host_isolated',
  'net_prohibited',
  'host_prohibited',
  'net_unreachable_for_tos',
  'host_unreachable_for_tos',
  'packet_filtered',
  'precedence_violation',
  'precedence_cutoff',
] as const;

const V4: Readonly<Record<string, IcmpType>> = {
  echo_reply: type(0),
  unreachable: type(3, UNREACHABLE_V4),
  source_quench: type(4),
  redirect: type(5),
  echo_request: type(8),
  time_exceeded: type(11, ['exceeded_ttl', 'exceeded_frag_time']),
  parameter_problem: type(12),
  timestamp_request: type(13),
  timestamp_reply: type(14),
  information_request: type(15),
  information_reply: type(16),
  address_mask_request: type(17),
  address_mask_reply: type(18),
};

/** RFC 4443 §3. */
const V6: Readonly<Record<string, IcmpType>> = {
  unreachable: type(1, ['no_route', 'admin_prohibited', 'not_neighbour', 'address_unreachable', 'port_unreachable']),
  packet_too_big: type(2),
  time_exceeded: type(3, ['exceeded_hop_limit', 'exceeded_frag_time']),
  parameter_problem: type(4, ['header_field', 'unknown_next_header', 'unknown_option']),
  echo_request: type(128),
  echo_reply: type(129),
  router_solicitation: type(133),
  router_advertisement: type(134),
};

/** Names that other forks give the same codes. */
const ALIASES: Readonly<Record<string, string>> = { ttl_exceeded_in_transit: 'exceeded_ttl', frag_reass_exceeded: 'exceeded_frag_time' };

/** Type and code; `type_3` and `code_1` give the numbers themselves. */
export function icmpNumbers(family: 4 | 6, typeName: string, codeName: string): { type: number; code: number } {
  const entry = (family === 4 ? V4 : V6)[typeName] ?? numbered(typeName, 'type');
  if (codeName === '') return { type: entry.number, code: 0 };
  const code = entry.codes.indexOf(ALIASES[codeName] ?? codeName);
  // Some forks call code 0 of IPv6 by IPv4's name.
  if (code < 0 && codeName === 'net_unreachable') return { type: entry.number, code: 0 };
  return { type: entry.number, code: code >= 0 ? code : numbered(codeName, 'code').number };
}

function numbered(name: string, prefix: string): IcmpType {
  const found = new RegExp(`^(?:${prefix}_)?(\\d+)$`).exec(name);
  if (found === null) throw new Unsupported(`icmp ${prefix} ${name}`);
  return type(Number(found[1]));
}
