import type { Packet, PacketPool } from '../../base/packet.js';
import { type Device, type DeviceEvents, Offload } from '../../hyper/hypercalls.js';
import type { Ipsec } from './ipsec.js';
import { FlowKey, readFlow } from './selector.js';
import type { Policy } from './spd.js';

/**
 * The device under an `ipsec0` interface: a route-based tunnel. What is transmitted is sealed; what the SAs of the interface
 * open comes in by the interface itself. Its policy stands in no SPD: the routes are the policy.
 */
export class TunnelDevice implements Device {
  readonly kind = 'ipsec';
  readonly medium = 'ip';
  readonly mac = new Uint8Array(6);
  readonly mtu: number;
  /** Big frames are cut when they are sealed, and their checksums finished there. */
  readonly offloads = Offload.TxChecksum | Offload.Tso4 | Offload.Tso6 | Offload.Uso;
  readonly policy: Policy;
  private readonly ipsec: Ipsec;
  private readonly key = new FlowKey();
  private closed = false;

  constructor(ipsec: Ipsec, policy: Policy, mtu: number) {
    this.ipsec = ipsec;
    this.policy = policy;
    this.mtu = mtu;
  }

  /** Up from the start: the first packet asks for the SA. */
  get carrier(): boolean {
    return !this.closed;
  }

  start(_events: DeviceEvents): void {}

  receive(_pool: PacketPool, _into: Packet[], _max: number): number {
    return 0;
  }

  transmit(packets: Packet[], count: number): number {
    for (let i = 0; i < count; i++) {
      const packet = packets[i] as Packet;
      readFlow(packet, false, packet.outIndex, 0, this.key);
      this.ipsec.seal(packet, this.policy, this.key);
    }
    return count;
  }

  close(): void {
    this.closed = true;
  }
}
