/** What a script says, before anything runs. Times in microseconds, sequence numbers as the script writes them. */
import type { Micros } from '../base/time.js';

/** A whole script. */
export interface Script {
  readonly options: readonly ScriptOption[];
  /** Commands before the first and after the last timed event. */
  readonly init: readonly string[];
  readonly events: readonly ScriptEvent[];
  readonly cleanup: readonly string[];
}

/** `--name=value`; `value` is '' when there is none. */
export interface ScriptOption {
  readonly name: string;
  readonly value: string;
  readonly line: number;
}

/** One line that happens at a time. */
export interface ScriptEvent {
  readonly line: number;
  readonly time: EventTime;
  readonly action: Action;
}

/** When: at a time of the script's clock, so long after the event before, whenever it comes, or within a range of either. */
export interface EventTime {
  readonly kind: 'absolute' | 'relative' | 'any';
  readonly from: Micros;
  /** Same as `from` unless it is a range. */
  readonly to: Micros;
}

/** What happens. */
export type Action = PacketAction | SyscallAction | CommandAction | CodeAction;

/** Shell commands between backquotes. */
export interface CommandAction {
  readonly kind: 'command';
  readonly text: string;
}

/** Code between `%{` and `}%`. */
export interface CodeAction {
  readonly kind: 'code';
  readonly text: string;
}

/** A system call of the program under test. */
export interface SyscallAction {
  readonly kind: 'syscall';
  readonly name: string;
  readonly args: readonly Expression[];
  readonly result: Expression;
  /** The name after a result of −1. */
  readonly errno: string | null;
  /** A blocking call ends then, on the clock its start is on; null for a call that answers at once. */
  readonly end: Micros | null;
}

/** An argument or a result. */
export type Expression =
  | { readonly kind: 'any' }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'word'; readonly name: string }
  /** `open`: the script wrote "text"...: only the beginning counts. */
  | { readonly kind: 'string'; readonly text: string; readonly open: boolean }
  | { readonly kind: 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'list'; readonly items: readonly Expression[] }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] }
  | { readonly kind: 'struct'; readonly fields: readonly Field[] };

/** A member of a structure: `name(length) = value`, or a bare value with an empty name. */
export interface Field {
  readonly name: string;
  readonly length: Expression | null;
  readonly value: Expression;
}

/** A packet in or out. */
export interface PacketAction {
  readonly kind: 'packet';
  /** Inbound is what the stack receives. */
  readonly inbound: boolean;
  readonly outer: readonly Encapsulation[];
  readonly ip: IpFields;
  /** Only where the script names them. */
  readonly ports: Ports | null;
  readonly body: Body;
}

/** Ports as the script names them. */
export interface Ports {
  readonly source: number;
  readonly destination: number;
}

/** A header around the packet. We read all and build IP in IP only. */
export interface Encapsulation {
  readonly kind: 'ipv4' | 'ipv6' | 'gre' | 'mpls';
  readonly source: string;
  readonly destination: string;
  readonly ip: IpFields;
}

/** What a script says of the IP header; null and zero masks where it says nothing. */
export interface IpFields {
  /** Bits of the traffic class that are given, and their value. */
  readonly classMask: number;
  readonly classValue: number;
  /** Either of the two ECT marks. */
  readonly anyEct: boolean;
  readonly flowLabel: number | null;
  readonly ttl: number | null;
}

/** What is in the IP packet. */
export type Body = TcpBody | UdpBody | IcmpBody | OtherBody;

/** Octets of a stream. */
export interface Range {
  readonly seq: number;
  readonly octets: number;
}

/** A segment. */
export interface TcpBody extends Range {
  readonly kind: 'tcp';
  /** Bits of wire/tcp's Flag and 256 for AE (RFC 9768 §3.1.1). */
  readonly flags: number;
  /** True when the three AccECN bits were given as a number. */
  readonly ace: boolean;
  /** `seq` is what stands on the wire. */
  readonly absolute: boolean;
  /** `...(n)`: any sequence number. */
  readonly anySeq: boolean;
  readonly ack: number | null;
  readonly window: number | null;
  readonly urgent: number;
  /** Null for `<...>`. */
  readonly options: readonly TcpOption[] | null;
  /** TCP in UDP (`/udp(9899>8080)`). */
  readonly tunnel: Ports | null;
  /** A RST with a reason (`[code 1, pen 2]`). */
  readonly diagnosis: boolean;
}

/** An option of a segment. */
export type TcpOption =
  | { readonly kind: 'nop' }
  | { readonly kind: 'eol' }
  | { readonly kind: 'mss'; readonly octets: number }
  | { readonly kind: 'wscale'; readonly shift: number }
  | { readonly kind: 'sackOK' }
  | { readonly kind: 'sack'; readonly blocks: readonly (readonly [number, number])[] }
  /** `val` null: any. `absoluteEcr`: what stands on the wire. */
  | { readonly kind: 'TS'; readonly val: number | null; readonly ecr: number; readonly absoluteEcr: boolean }
  /** Kinds we only copy: number and octets after the length. */
  | { readonly kind: 'other'; readonly number: number; readonly data: Uint8Array };

/** A datagram of so many octets. */
export interface UdpBody {
  readonly kind: 'udp';
  readonly octets: number;
}

/** An ICMP message of either family, by the names of its type and code. */
export interface IcmpBody {
  readonly kind: 'icmp';
  readonly type: string;
  readonly code: string;
  readonly mtu: number | null;
  readonly id: number;
  /** The segment or datagram it quotes. */
  readonly quoted: { readonly protocol: 'tcp' | 'udp' | 'other'; readonly seq: number; readonly octets: number } | null;
}

/** A protocol we can read and not speak. */
export interface OtherBody {
  readonly kind: 'other';
  readonly protocol: string;
}
