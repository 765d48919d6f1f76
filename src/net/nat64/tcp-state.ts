import type { Packet } from '../../base/packet.js';
import { Flag } from '../../wire/tcp.js';
import { type Connection, Idle } from '../filter/connection.js';
import type { TcpTracker } from '../filter/track-tcp.js';

/** States of a translated TCP session: RFC 6146 §3.5.2.1. */
export const Tcp64 = { Closed: 0, V4Init: 1, V6Init: 2, Established: 3, V4Fin: 4, V6Fin: 5, BothFin: 6, Trans: 7 } as const;

/** Their names, in the RFC's words. */
export const tcp64Names = ['CLOSED', 'V4_INIT', 'V6_INIT', 'ESTABLISHED', 'V4_FIN_RCV', 'V6_FIN_RCV', 'V4_FIN_V6_FIN_RCV', 'TRANS'] as const;

/** The state behind a segment: RFC 6146 §3.5.2.2. */
export function after(state: number, fromV6: boolean, flags: number): number {
  const syn = (flags & (Flag.Syn | Flag.Rst)) === Flag.Syn;
  switch (state) {
    case Tcp64.Closed:
      return syn ? (fromV6 ? Tcp64.V6Init : Tcp64.V4Init) : state;
    case Tcp64.V4Init:
      return syn && fromV6 ? Tcp64.Established : state;
    case Tcp64.V6Init:
      return syn && !fromV6 ? Tcp64.Established : state;
    case Tcp64.Established:
      if (flags & Flag.Rst) return Tcp64.Trans;
      return flags & Flag.Fin ? (fromV6 ? Tcp64.V6Fin : Tcp64.V4Fin) : state;
    case Tcp64.V4Fin:
      return flags & Flag.Fin && fromV6 ? Tcp64.BothFin : state;
    case Tcp64.V6Fin:
      return flags & Flag.Fin && !fromV6 ? Tcp64.BothFin : state;
    case Tcp64.BothFin:
      // Departure: a host that uses the ports again (RFC 6191) begins a session anew, instead of losing it when the old one's time ends.
      return syn && fromV6 && (flags & Flag.Ack) === 0 ? Tcp64.V6Init : state;
    default: // TRANS: what follows a RST shows that its receiver did not believe it
      return flags & Flag.Rst ? state : Tcp64.Established;
  }
}

/** RFC 6146's machine for a tracking table; sequence numbers are the ends' business. */
export const track64: TcpTracker = {
  opens: (packet) => (flagsOf(packet) & (Flag.Syn | Flag.Ack | Flag.Rst | Flag.Fin)) === Flag.Syn,
  track(connection: Connection, packet: Packet): boolean {
    connection.tcp = after(connection.tcp, packet.family === 6, flagsOf(packet));
    const open = connection.tcp === Tcp64.Established || connection.tcp === Tcp64.V4Fin || connection.tcp === Tcp64.V6Fin;
    connection.idle = open ? Idle.TcpEstablished : Idle.TcpTransitory; // TCP_EST, TCP_TRANS
    return true;
  },
};

const flagsOf = ({ view, transport, tail }: Packet): number => (tail - transport < 14 ? 0 : view.getUint8(transport + 13));
