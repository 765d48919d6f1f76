// hot: bench/packet
/**
 * Devices joined in memory: a link of two, or a hub of many where every frame reaches all others. A frame is copied
 * once, into a slot of each receiving end's own slab (a frame in flight pins nothing of its sender), and waits there
 * in a bounded queue. Slabs and queues grow as they are used: an idle link costs a few hundred octets.
 */
import { ConfigError, type NetError } from '../base/errors.js';
import { Checksum, Gso, type Packet, type PacketPool } from '../base/packet.js';
import type { Micros } from '../base/time.js';
import type { FrameQueueLimits } from './frame-queue.js';
import { type Device, type DeviceEvents, Offload } from './hypercalls.js';
import { type DeviceStatistics, QueuedDevice } from './queued-device.js';

/** All offloads: what a link does unless told otherwise, so that frames of 64 KB pass whole and nobody sums them. */
export const ALL_OFFLOADS = Offload.TxChecksum | Offload.Tso4 | Offload.Tso6 | Offload.Uso | Offload.RxBig;

/** The limits are those of each end. */
export interface MemoryLinkOptions extends FrameQueueLimits {
  /** Default 'ethernet'. */
  readonly medium?: 'ethernet' | 'ip';
  /** Greatest IP packet. Default 1,500. Longer plain frames are dropped by the link. */
  readonly mtu?: number;
  /** Offload bits. Default ALL_OFFLOADS; what a frame needs and the link lacks drops it. */
  readonly offloads?: number;
  /** Station addresses of the ends, 6 octets each. Default 02:00:00:00:00:01 and so on. */
  readonly macs?: readonly Uint8Array[];
  /** Clock of `packet.time`. Default: 0, the poll's. */
  readonly now?: () => Micros;
}

/** One end. `setCarrier` and `setMtu` are the cable's doing, `fail` the device's; all three reach the stack as events. */
export interface MemoryDevice extends Device {
  setCarrier(up: boolean): void;
  setMtu(octets: number): void;
  fail(error: NetError): void;
  statistics(): DeviceStatistics;
}

/** Two devices joined: what one transmits the other receives. */
export function memoryLink(options: MemoryLinkOptions = {}): [MemoryDevice, MemoryDevice] {
  return memoryHub(2, options) as [MemoryDevice, MemoryDevice];
}

/** `ports` devices on one wire: what one transmits all others receive. */
export function memoryHub(ports: number, options: MemoryLinkOptions = {}): MemoryDevice[] {
  if (!(ports >= 1)) throw new ConfigError(`a hub has at least one port, not ${ports}`);
  const made = Array.from({ length: ports }, (_, i) => new Port(options, i));
  for (const port of made) port.others.push(...made.filter((other) => other !== port));
  return made;
}

/** Ethernet and one VLAN tag: what may precede the IP packet that the MTU bounds. */
const LINK_OVERHEAD = 18;

class Port extends QueuedDevice implements MemoryDevice {
  readonly others: Port[] = [];
  private readonly now: (() => Micros) | null;
  private plugged = true;

  constructor(options: MemoryLinkOptions, index: number) {
    const medium = options.medium ?? 'ethernet';
    const mac = options.macs?.[index] ?? (medium === 'ip' ? undefined : new Uint8Array([2, 0, 0, 0, (index + 1) >> 8, index + 1]));
    super({ ...options, kind: 'memory', medium, mac, offloads: options.offloads ?? ALL_OFFLOADS });
    this.now = options.now ?? null;
  }

  /** Of a link: both ends are open and plugged in. A hub's port stands for itself. */
  get carrier(): boolean {
    return this.open && (this.others.length !== 1 || (this.others[0] as Port).open);
  }

  private get open(): boolean {
    return this.plugged && this.events !== null;
  }

  override start(events: DeviceEvents): void {
    super.start(events);
    this.tellOther();
  }

  setCarrier(up: boolean): void {
    if (this.plugged === up) return;
    const before = this.carrier;
    this.plugged = up;
    if (this.carrier !== before) this.events?.carrier(this.carrier);
    this.tellOther();
  }

  setMtu(octets: number): void {
    this.mtu = octets;
    this.events?.mtu(octets);
  }

  fail(error: NetError): void {
    this.failed(error);
  }

  override close(): void {
    super.close();
    this.tellOther();
  }

  transmit(packets: Packet[], count: number): number {
    const { others } = this;
    const { carrier } = this;
    for (let i = 0; i < count; i++) {
      const packet = packets[i] as Packet;
      if (!carrier || !this.fits(packet)) {
        this.txDropped++;
      } else {
        this.txFrames++;
        this.txOctets += packet.length;
        for (let k = 0; k < others.length; k++) (others[k] as Port).enqueue(packet);
      }
      packet.release();
    }
    for (let k = 0; k < others.length; k++) (others[k] as Port).announce();
    return count;
  }

  override receive(pool: PacketPool, into: Packet[], max: number): number {
    const n = super.receive(pool, into, max);
    if (this.now !== null) {
      const time = this.now();
      for (let i = 0; i < n; i++) (into[i] as Packet).time = time;
    }
    return n;
  }

  private fits(packet: Packet): boolean {
    if (packet.checksum === Checksum.Partial && (this.offloads & Offload.TxChecksum) === 0) return false;
    if (packet.gsoType === Gso.None) return packet.length <= this.mtu + (this.medium === 'ethernet' ? LINK_OVERHEAD : 0);
    const needed = packet.gsoType === Gso.Tcp4 ? Offload.Tso4 : packet.gsoType === Gso.Tcp6 ? Offload.Tso6 : Offload.Uso;
    return (this.offloads & needed) !== 0;
  }

  /** Copies the frame; drops and counts it when this end is closed or full. */
  private enqueue(packet: Packet): void {
    if (!this.open || !this.queue.putPacket(packet)) this.rxDropped++;
  }

  /** The far end of a link sees this one come or go. */
  private tellOther(): void {
    const other = this.others.length === 1 ? (this.others[0] as Port) : null;
    if (other?.open) other.events?.carrier(other.carrier);
  }
}
