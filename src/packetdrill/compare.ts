/** Is what the stack sent what the script expects? The first difference, in words. */
import { Flag } from '../wire/tcp.js';
import type { IpFields, PacketAction, TcpBody, TcpOption } from './ast.js';
import type { Flow } from './flow.js';
import { icmpNumbers } from './icmp-names.js';
import type { LivePacket, LiveSegment } from './live-packet.js';
import { AE } from './parse-packet.js';
import { firstForeign } from './payload.js';
import { formatOption } from './tcp-option-octets.js';

/** How closely to look. */
export interface CompareOptions {
  /** Leave out window values, the scale of windows, and the order and padding of options. */
  readonly normalize: boolean;
  /** Microseconds a tick of the stack's timestamp clock lasts; 0: do not look at timestamps. */
  readonly timestampTick: number;
  /** By how much a timestamp may be off, µs. */
  readonly tolerance: number;
  /** Look at payloads: false when the script writes octets of its own. */
  readonly payload: boolean;
}

/** '' when they agree. */
export function difference(expected: PacketAction, live: LivePacket, flow: Flow, options: CompareOptions): string {
  const { body } = expected;
  const ip = ipDifference(expected.ip, live, flow);
  if (ip !== '') return ip;
  if (body.kind === 'tcp') return live.tcp === null ? 'expected a TCP segment' : tcpDifference(body, live, live.tcp, flow, options);
  if (body.kind === 'udp') return live.end - live.at - 8 === body.octets ? '' : field('UDP payload', body.octets, live.end - live.at - 8);
  if (body.kind !== 'icmp') return `expected ${body.protocol}`;
  const { type, code } = icmpNumbers(live.family, body.type, body.code);
  return field('ICMP type', type, live.view.getUint8(live.at)) || field('ICMP code', code, live.view.getUint8(live.at + 1));
}

const field = (name: string, expected: number, actual: number): string => (expected === actual ? '' : `${name}: expected ${expected}, got ${actual}`);

function ipDifference(ip: IpFields, live: LivePacket, flow: Flow): string {
  const { trafficClass } = live;
  if (ip.anyEct && (trafficClass & 3) !== 1 && (trafficClass & 3) !== 2) return `ECN: expected ect0 or ect1, got ${trafficClass & 3}`;
  const traffic = field(ip.classMask === 3 ? 'ECN' : 'traffic class', ip.classValue, trafficClass & ip.classMask);
  if (traffic !== '') return traffic;
  if (ip.ttl !== null && ip.ttl !== live.ttl) return field('hop limit', ip.ttl, live.ttl);
  return ip.flowLabel === null ? '' : labelDifference(ip.flowLabel, live.flowLabel, flow);
}

/** The script's labels say only which packets share one. */
function labelDifference(expected: number, actual: number, flow: Flow): string {
  if (expected === flow.scriptLabel) return field('flow label', flow.liveLabel, actual);
  if (flow.scriptLabel !== 0 && actual === flow.liveLabel) return 'flow label: expected another one than before';
  flow.scriptLabel = expected;
  flow.liveLabel = actual;
  return actual === 0 ? 'flow label: expected one, got none' : '';
}

function tcpDifference(body: TcpBody, live: LivePacket, seg: LiveSegment, flow: Flow, options: CompareOptions): string {
  const syn = (seg.flags & Flag.Syn) !== 0;
  const seq = body.absolute ? seg.seq : (seg.seq - flow.localOffset(syn)) >>> 0;
  const ack = (seg.flags & Flag.Ack) === 0 ? seg.ack : (seg.ack - flow.remoteOffset(syn)) >>> 0;
  return (
    flagDifference(body, seg) ||
    (body.anySeq ? '' : field('sequence number', body.seq >>> 0, seq)) ||
    field('payload', body.octets, seg.octets) ||
    field('acknowledgement', (body.ack ?? 0) >>> 0, ack) ||
    (body.window === null || options.normalize ? '' : field('window', body.window, seg.window)) ||
    (body.options === null ? '' : optionsDifference(body.options, seg.options, flow, options)) ||
    field('urgent pointer', body.urgent, seg.urgent) ||
    (options.payload && !body.anySeq && !body.absolute ? payloadDifference(live, seg, flow) : '')
  );
}

function flagDifference(body: TcpBody, seg: LiveSegment): string {
  return body.flags === seg.flags ? '' : `flags: expected ${formatFlags(body.flags)}, got ${formatFlags(seg.flags)}`;
}

/** Flags as scripts write them. */
export function formatFlags(flags: number): string {
  let text = '';
  for (const [bit, letter] of [
    [Flag.Fin, 'F'],
    [Flag.Syn, 'S'],
    [Flag.Rst, 'R'],
    [Flag.Psh, 'P'],
    [AE, 'A'],
    [Flag.Ece, 'E'],
    [Flag.Cwr, 'W'],
    [Flag.Urg, 'U'],
    [Flag.Ack, '.'],
  ] as const) {
    if ((flags & bit) !== 0) text += letter;
  }
  return text || '-';
}

function optionsDifference(expected: readonly TcpOption[], actual: readonly TcpOption[], flow: Flow, options: CompareOptions): string {
  const script = options.normalize ? ordered(expected) : expected;
  const live = (options.normalize ? ordered(actual) : actual).map((option) => inScriptNumbers(option, flow));
  const wrong = (): string => `options: expected <${script.map(formatOption).join(',')}>, got <${live.map(formatOption).join(',')}>`;
  if (script.length !== live.length) return wrong();
  for (let i = 0; i < script.length; i++) if (!sameOption(script[i] as TcpOption, live[i] as TcpOption, flow, options)) return wrong();
  return '';
}

function ordered(options: readonly TcpOption[]): TcpOption[] {
  const rank = (option: TcpOption): string => (option.kind === 'other' ? `other ${option.number}` : option.kind);
  return options.filter((option) => option.kind !== 'nop' && option.kind !== 'eol').sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

/** SACK blocks we send are of the script's own numbers. */
function inScriptNumbers(option: TcpOption, flow: Flow): TcpOption {
  if (option.kind !== 'sack') return option;
  return { kind: 'sack', blocks: option.blocks.map(([left, right]) => [(left - flow.remoteIsn) >>> 0, (right - flow.remoteIsn) >>> 0] as const) };
}

function sameOption(script: TcpOption, live: TcpOption, flow: Flow, options: CompareOptions): boolean {
  if (options.normalize && script.kind === 'wscale' && live.kind === 'wscale') return true;
  if (script.kind !== 'TS' || live.kind !== 'TS') return formatOption(script) === formatOption(live);
  if (script.val !== null) {
    const said = flow.sawTimestamp(script.val, live.val as number);
    if (options.timestampTick > 0 && Math.abs((said - script.val) | 0) * options.timestampTick > options.tolerance) return false;
  }
  return script.ecr === live.ecr;
}

function payloadDifference(live: LivePacket, seg: LiveSegment, flow: Flow): string {
  const place = ((seg.seq - flow.localIsn) | 0) - ((seg.flags & Flag.Syn) !== 0 ? 0 : 1);
  const { octets } = live.sent;
  const at = firstForeign(octets, seg.payload, seg.octets, place);
  return at < 0 ? '' : `payload: octet ${at} is not what was written`;
}

/** A packet as a script would write it. */
export function formatLive(live: LivePacket, flow: Flow | null): string {
  const seg = live.tcp;
  if (seg === null) return `protocol ${live.protocol} (${live.end - live.at} octets)`;
  const syn = (seg.flags & Flag.Syn) !== 0;
  const seq = flow === null ? seg.seq : (seg.seq - flow.localOffset(syn)) >>> 0;
  const ack = (seg.flags & Flag.Ack) === 0 ? '' : ` ack ${flow === null ? seg.ack : (seg.ack - flow.remoteOffset(syn)) >>> 0}`;
  const options =
    seg.options.length === 0 ? '' : ` <${seg.options.map((o) => formatOption(flow === null ? o : inScriptNumbers(o, flow))).join(',')}>`;
  return `${formatFlags(seg.flags)} ${seq}:${(seq + seg.octets) >>> 0}(${seg.octets})${ack} win ${seg.window}${options}`;
}
