// hot: bench/packet
import { Drop } from '../../base/drops.js';
import type { Packet } from '../../base/packet.js';
import { seqLt } from '../../base/sequence.js';
import { EtherType } from '../../wire/ethernet.js';
import * as wire from '../../wire/gre.js';
import { Protocol } from '../../wire/protocol.js';
import type { Path } from '../ip/path.js';
import { TunnelDevice, type TunnelGround, type TunnelOptions } from './tunnel.js';

/** What GRE packets carry besides. */
export interface GreOptions {
  /** [0, 2^32), in both directions; −1: none. */
  readonly key: number;
  readonly checksum: boolean;
  /** Numbers what is sent, and drops what comes out of order. */
  readonly sequence: boolean;
}

/** GRE: RFC 2784 with key and sequence number of RFC 2890, over IPv6 as RFC 7676 has it. */
export class GreTunnel extends TunnelDevice {
  readonly kind = 'gre';
  readonly medium = 'ip';
  readonly gre: GreOptions;
  private readonly word: number;
  private sent = 0;
  private received = 0;
  private numbered = false;

  constructor(ground: TunnelGround, options: TunnelOptions, gre: GreOptions) {
    const word = (gre.key >= 0 ? wire.Flag.Key : 0) | (gre.checksum ? wire.Flag.Checksum : 0) | (gre.sequence ? wire.Flag.Sequence : 0);
    super(ground, options, wire.lengthOf(word), Protocol.Gre);
    this.gre = gre;
    this.word = word;
  }

  protected override get flat(): boolean {
    return this.gre.checksum;
  }

  protected encapsulate(packet: Packet, _path: Path, version: number): void {
    packet.push(wire.lengthOf(this.word));
    wire.put(packet.view, packet.head, this.word, version === 4 ? EtherType.Ipv4 : EtherType.Ipv6, this.gre.key, this.sent);
    if (this.gre.checksum) wire.finishPacket(packet.view, packet.head, packet.tail);
    if (this.gre.sequence) this.sent = (this.sent + 1) | 0;
    packet.protocol = Protocol.Gre;
  }

  /** GRE of the far end with our key, head at its header, which has been checked. Owns the packet. */
  input(packet: Packet): void {
    const { view, head } = packet;
    const type = wire.type(view, head);
    if (this.gre.sequence && !this.inOrder(wire.sequence(view, head))) this.ground.ctx.drop(packet, Drop.GreSequence);
    else if (type !== EtherType.Ipv4 && type !== EtherType.Ipv6) this.ground.ctx.drop(packet, Drop.EthernetUnknownType);
    else this.enter(packet, head + wire.headerLength(view, head), type === EtherType.Ipv4 ? 4 : 6);
  }

  /** RFC 2890 §2.2. */
  private inOrder(sequence: number): boolean {
    if (sequence < 0 || (this.numbered && !seqLt(this.received, sequence | 0))) return false;
    this.received = sequence | 0;
    this.numbered = true;
    return true;
  }
}
