import { seconds } from '../../base/time.js';
import { TimeExceeded } from '../../wire/icmpv4.js';
import * as wire from '../../wire/ipv4.js';
import type { Context } from '../context.js';
import type { FragmentFormat } from '../ip/reassembly.js';
import type { Icmp4 } from './icmp.js';

/** IPv4's side of reassembly: RFC 791 §3.2, RFC 1122 §3.3.2. */
export function fragmentFormat4(ctx: Context, icmp: Icmp4): FragmentFormat {
  return {
    uncounted: 0,
    identification: (packet) => wire.identification(packet.view, packet.network),
    offset: (packet) => wire.fragmentOffset(packet.view, packet.network),
    more: (packet) => wire.moreFragments(packet.view, packet.network),
    data: (packet) => packet.transport,
    restore(packet) {
      wire.setTotalLength(packet.view, packet.network, packet.tail - packet.network);
      wire.setFragmentWord(packet.view, packet.network, 0);
      wire.finishHeader(packet.view, packet.network);
    },
    lifetime: () => seconds(ctx.sysctl.v['net.ipv4.ipfrag_time']),
    expired: (first) => icmp.timeExceeded(first, TimeExceeded.Reassembly),
  };
}
