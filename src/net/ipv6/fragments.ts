import type { Packet } from '../../base/packet.js';
import { seconds } from '../../base/time.js';
import { TimeExceeded } from '../../wire/icmpv6.js';
import * as wire from '../../wire/ipv6.js';
import type { Context } from '../context.js';
import type { FragmentFormat } from '../ip/reassembly.js';
import type { Icmp6 } from './icmp.js';

/** IPv6's side of reassembly: RFC 8200 §4.5. `transport` of a fragment is its fragment header. */
export function fragmentFormat6(ctx: Context, icmp: Icmp6): FragmentFormat {
  const chain = new wire.Chain();
  return {
    uncounted: wire.HEADER_LEN,
    identification: (packet) => wire.fragmentId(packet.view, packet.transport),
    offset: (packet) => wire.fragmentOffset(packet.view, packet.transport),
    more: (packet) => wire.moreFragments(packet.view, packet.transport),
    data: (packet) => packet.transport + wire.FRAGMENT_LEN,
    restore: (packet, first) => restore(packet, first, chain),
    lifetime: () => seconds(ctx.sysctl.v['net.ipv6.ip6frag_time']),
    expired: (first) => icmp.timeExceeded(first, TimeExceeded.Reassembly),
  };
}

/** The header that named the fragment header now names what followed it in the first fragment. */
function restore(packet: Packet, first: Packet, chain: wire.Chain): void {
  const { view, network } = packet;
  wire.setPayloadLength(view, network, packet.tail - network - wire.HEADER_LEN);
  wire.walk(view, network, packet.transport + wire.FRAGMENT_LEN, chain); // stops at the name of the fragment header
  view.setUint8(chain.nextField, wire.fragmentNext(first.view, first.transport));
}
