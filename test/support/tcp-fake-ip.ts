import { type Address, parseAddress } from '#src/base/address.js';
import type { Packet } from '#src/base/packet.js';
import type { Interface } from '#src/net/interface.js';
import { type Flow, Path } from '#src/net/ip/path.js';
import type { Ip, Transport } from '#src/net/ip/service.js';

/** Ours and the peer's, by family. */
export const addresses = {
  4: { local: parseAddress('10.0.0.1') as Address, remote: parseAddress('10.0.0.2') as Address },
  6: { local: parseAddress('fd00::1') as Address, remote: parseAddress('fd00::2') as Address },
};

/** IP for tests: one interface, one path; what is sent goes to `sink`. */
export class FakeIp implements Ip {
  transport: Transport | null = null;
  generation = 1;
  mtu: number;
  error = 0;
  readonly confirmed: Path[] = [];
  readonly suspected: Path[] = [];
  sink: (packet: Packet) => void = (packet) => packet.release();
  private readonly iface: Interface;
  readonly own: Address[];

  constructor(mtu: number, own: Address[]) {
    this.mtu = mtu;
    this.own = own;
    this.iface = { index: 1, name: 'test0', mtu, vrf: 0 } as unknown as Interface;
  }

  register(_protocol: number, transport: Transport): void {
    this.transport = transport;
  }

  path(flow: Flow): Path | number {
    if (this.error !== 0) return this.error;
    const own = this.own.find((a) => a.isV4 === flow.destination.isV4) as Address;
    return new Path(this.iface, own, flow.destination.clone(), null, this.mtu, 'unicast', this.generation);
  }

  valid(path: Path): boolean {
    return path.generation === this.generation;
  }

  output(packet: Packet, _path: Path): void {
    this.sink(packet);
  }

  isLocal(address: Address, _vrf: number): boolean {
    return this.own.some((a) => a.equals(address));
  }

  vrfOf(_index: number): number {
    return 0;
  }

  learnMtu(_destination: Address, _index: number, mtu: number): void {
    this.mtu = mtu;
    this.generation++;
  }

  confirm(path: Path): void {
    this.confirmed.push(path);
  }

  suspect(path: Path): void {
    this.suspected.push(path);
  }
}
