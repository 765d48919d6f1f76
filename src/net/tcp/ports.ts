import type { Address } from '../../base/address.js';

/** Somebody's claim on a local port. */
export class Binding {
  readonly address: Address;
  readonly port: number;
  readonly vrf: number;
  readonly zone: number;
  /** 4, 6 or 46 as of the socket: an IPv6-only socket leaves the IPv4 port alone. */
  readonly family: 4 | 6 | 46;
  /** SO_BINDTODEVICE: interface index, 0 for any. */
  device = 0;
  reuseAddress = false;
  reusePort = false;
  listening = false;

  constructor(address: Address, port: number, vrf: number, zone: number, family: 4 | 6 | 46) {
    this.address = address.clone();
    this.port = port;
    this.vrf = vrf;
    this.zone = zone;
    this.family = family;
  }
}

/** Bound ports of one protocol. Keys are port and VRF. */
export class PortTable {
  private readonly byPort = new Map<number, Binding[]>();

  /** True when nobody has bound the port. */
  free(port: number, vrf: number): boolean {
    return !this.byPort.has(key(port, vrf));
  }

  /** The binding that forbids `wanted`, or null. Linux's rules for SO_REUSEADDR and SO_REUSEPORT. */
  conflict(wanted: Binding): Binding | null {
    for (const held of this.byPort.get(key(wanted.port, wanted.vrf)) ?? []) {
      if (held === wanted || !overlap(held, wanted)) continue;
      if (held.reusePort && wanted.reusePort) continue;
      if (held.reuseAddress && wanted.reuseAddress && !held.listening) continue;
      return held;
    }
    return null;
  }

  add(binding: Binding): void {
    const k = key(binding.port, binding.vrf);
    const list = this.byPort.get(k);
    if (list === undefined) this.byPort.set(k, [binding]);
    else list.push(binding);
  }

  /** Idempotent. */
  remove(binding: Binding): void {
    const k = key(binding.port, binding.vrf);
    const list = this.byPort.get(k);
    if (list === undefined) return;
    const i = list.indexOf(binding);
    if (i >= 0) list.splice(i, 1);
    if (list.length === 0) this.byPort.delete(k);
  }
}

const key = (port: number, vrf: number): number => vrf * 65_536 + port;

/** True when a segment could be for both. */
function overlap(a: Binding, b: Binding): boolean {
  if (!familiesMeet(a, b)) return false;
  if (a.device !== 0 && b.device !== 0 && a.device !== b.device) return false;
  if (a.address.isUnspecified || b.address.isUnspecified) return true;
  return a.address.equals(b.address) && a.zone === b.zone;
}

function familiesMeet(a: Binding, b: Binding): boolean {
  const takes4 = (x: Binding): boolean => x.family === 4 || (x.family === 46 && (x.address.isUnspecified || x.address.isV4));
  const takes6 = (x: Binding): boolean => x.family !== 4 && !(x.address.isV4 && !x.address.isUnspecified);
  return (takes4(a) && takes4(b)) || (takes6(a) && takes6(b));
}
