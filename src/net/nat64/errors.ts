/** Types, codes, MTUs and pointers of ICMP errors in the other family's words: RFC 7915 §4.2, §5.2. */
import * as v4 from '../../wire/icmpv4.js';
import * as v6 from '../../wire/icmpv6.js';
import { MTU_MIN, NEXT_HEADER, Problem } from '../../wire/ipv6.js';
import { plateauBelow } from '../ip/path-mtu.js';

/** The first and second word of an error without its checksum. */
export interface ErrorHead {
  readonly type: number;
  readonly code: number;
  /** MTU or pointer, where it stands in that family's header. */
  readonly rest: number;
}

/** Octets by which the fixed headers differ. */
const DIFFERENCE = 20;

/** Unreachable codes of IPv4 in IPv6. Protocol and FragmentationNeeded are types of their own there; 14 has no counterpart. */
const unreachables4: Readonly<Record<number, number>> = {
  0: v6.Unreachable.NoRoute,
  1: v6.Unreachable.NoRoute,
  3: v6.Unreachable.Port,
  5: v6.Unreachable.NoRoute,
  6: v6.Unreachable.NoRoute,
  7: v6.Unreachable.NoRoute,
  8: v6.Unreachable.NoRoute,
  9: v6.Unreachable.AdminProhibited,
  10: v6.Unreachable.AdminProhibited,
  11: v6.Unreachable.NoRoute,
  12: v6.Unreachable.NoRoute,
  13: v6.Unreachable.AdminProhibited,
  15: v6.Unreachable.AdminProhibited,
};

/** Places in an IPv4 header that have one in IPv6: figure 3. */
const pointers4: Readonly<Record<number, number>> = {
  0: 0,
  1: 1,
  2: 4,
  3: 4,
  8: 7,
  9: 6,
  12: 8,
  13: 8,
  14: 8,
  15: 8,
  16: 24,
  17: 24,
  18: 24,
  19: 24,
};

/** The error at `at` for an IPv6 host, whose packet was `quotedLength` octets long in IPv4. Null: it has no counterpart. */
export function to6(view: DataView, at: number, quotedLength: number): ErrorHead | null {
  const code = v4.code(view, at);
  switch (v4.type(view, at)) {
    case v4.Type.Unreachable: {
      if (code === v4.Unreachable.Protocol) return { type: v6.Type.ParameterProblem, code: Problem.NextHeader, rest: NEXT_HEADER };
      if (code === v4.Unreachable.FragmentationNeeded) {
        const mtu = v4.mtu(view, at) || plateauBelow(quotedLength);
        return { type: v6.Type.PacketTooBig, code: 0, rest: Math.max(MTU_MIN, mtu + DIFFERENCE) };
      }
      const now = unreachables4[code];
      return now === undefined ? null : { type: v6.Type.Unreachable, code: now, rest: 0 };
    }
    case v4.Type.TimeExceeded:
      return { type: v6.Type.TimeExceeded, code, rest: 0 };
    case v4.Type.ParameterProblem: {
      const pointer = code === 0 || code === 2 ? pointers4[v4.pointer(view, at)] : undefined;
      return pointer === undefined ? null : { type: v6.Type.ParameterProblem, code: Problem.Field, rest: pointer };
    }
    default:
      return null;
  }
}

const unreachables6: Readonly<Record<number, number>> = {
  [v6.Unreachable.NoRoute]: v4.Unreachable.Host,
  [v6.Unreachable.AdminProhibited]: v4.Unreachable.HostProhibited,
  [v6.Unreachable.BeyondScope]: v4.Unreachable.Host,
  [v6.Unreachable.Address]: v4.Unreachable.Host,
  [v6.Unreachable.Port]: v4.Unreachable.Port,
};

/** Figure 6. */
function pointer6(at: number): number | null {
  if (at <= 1) return at;
  if (at === 4 || at === 5) return 2;
  if (at === 6) return 9;
  if (at === 7) return 8;
  if (at >= 8 && at < 24) return 12;
  return at >= 24 && at < 40 ? 16 : null;
}

/** The same the other way round. */
export function to4(view: DataView, at: number): ErrorHead | null {
  const code = v6.code(view, at);
  switch (v6.type(view, at)) {
    case v6.Type.Unreachable: {
      const now = unreachables6[code];
      return now === undefined ? null : { type: v4.Type.Unreachable, code: now, rest: 0 };
    }
    case v6.Type.PacketTooBig: {
      const mtu = Math.max(v6.mtu(view, at), MTU_MIN) - DIFFERENCE; // less than that no link has, and forgers say it
      return { type: v4.Type.Unreachable, code: v4.Unreachable.FragmentationNeeded, rest: Math.min(mtu, 65_535) };
    }
    case v6.Type.TimeExceeded:
      return { type: v4.Type.TimeExceeded, code, rest: 0 };
    case v6.Type.ParameterProblem: {
      if (code === Problem.NextHeader) return { type: v4.Type.Unreachable, code: v4.Unreachable.Protocol, rest: 0 };
      const pointer = code === Problem.Field ? pointer6(v6.pointer(view, at)) : null;
      return pointer === null ? null : { type: v4.Type.ParameterProblem, code: 0, rest: pointer << 24 };
    }
    default:
      return null;
  }
}
