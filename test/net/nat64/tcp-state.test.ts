import assert from 'node:assert/strict';
import { after, Tcp64 } from '#src/net/nat64/tcp-state.js';
import { Flag } from '#src/wire/tcp.js';

const flags: Readonly<Record<string, number>> = { SYN: Flag.Syn, FIN: Flag.Fin | Flag.Ack, RST: Flag.Rst, ACK: Flag.Ack };
const names = Object.keys(Tcp64);

describe('RFC 6146 §3.5.2.2: the states of a translated TCP session', () => {
  /** Segments as they come, "6 SYN" from the IPv6 side, and the state behind each. */
  const runs: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
    [
      'opened inside, closed by both',
      [
        ['6 SYN', 'V6Init'],
        ['6 SYN', 'V6Init'],
        ['4 SYN', 'Established'],
        ['6 ACK', 'Established'],
        ['6 FIN', 'V6Fin'],
        ['4 ACK', 'V6Fin'],
        ['4 FIN', 'BothFin'],
        ['6 ACK', 'BothFin'],
      ],
    ],
    [
      'opened outside, closed there first',
      [
        ['4 SYN', 'V4Init'],
        ['4 SYN', 'V4Init'],
        ['6 SYN', 'Established'],
        ['4 FIN', 'V4Fin'],
        ['6 FIN', 'BothFin'],
      ],
    ],
    [
      'reset, and not believed',
      [
        ['6 SYN', 'V6Init'],
        ['4 SYN', 'Established'],
        ['4 RST', 'Trans'],
        ['4 RST', 'Trans'],
        ['6 ACK', 'Established'],
      ],
    ],
    [
      'no SYN, no session',
      [
        ['6 ACK', 'Closed'],
        ['4 RST', 'Closed'],
        ['4 FIN', 'Closed'],
      ],
    ],
    [
      'the same ports again after the end',
      [
        ['6 SYN', 'V6Init'],
        ['4 SYN', 'Established'],
        ['4 FIN', 'V4Fin'],
        ['6 FIN', 'BothFin'],
        ['6 SYN', 'V6Init'],
      ],
    ],
  ];
  for (const [title, steps] of runs)
    it(title, () => {
      let state: number = Tcp64.Closed;
      for (const [segment, expected] of steps) {
        const [side, kind] = segment.split(' ') as [string, string];
        state = after(state, side === '6', flags[kind] as number);
        assert.equal(names[state], expected, `after ${segment}`);
      }
    });
});
