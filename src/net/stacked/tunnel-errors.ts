import { Unreachable } from '../../wire/icmpv4.js';
import { Problem } from '../../wire/ipv6.js';
import type { Icmp4 } from '../ipv4/icmp.js';
import type { Icmp6 } from '../ipv6/icmp.js';
import type { TunnelErrors } from './tunnel.js';

/** What tunnels tell senders, in the words of both families. */
export const tunnelErrors = (icmp4: Icmp4, icmp6: Icmp6): TunnelErrors => ({
  tooBig: (packet, mtu) => {
    if (packet.family === 6) icmp6.packetTooBig(packet, mtu);
    else icmp4.unreachable(packet, Unreachable.FragmentationNeeded, mtu);
  },
  limit: (packet, pointer) => icmp6.parameterProblem(packet, Problem.Field, pointer),
});
