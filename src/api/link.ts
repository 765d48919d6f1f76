import { NetError } from '../base/errors.js';
import type { Device } from '../hyper/hypercalls.js';
import type { Interface } from '../net/interface.js';
import type { Stack } from '../net/stack.js';
import { nearest } from '../net/sysctl.js';
import { formatMac } from '../wire/ethernet.js';

/** What `link set` changes. */
export interface LinkChange {
  readonly up?: boolean;
  /** IP packet size in octets, [68, the device's MTU]. RFC 791 §3.2: 68 is the least. */
  readonly mtu?: number;
  readonly promiscuous?: boolean;
}

/** One interface as `link show` tells it. */
export interface LinkInfo {
  readonly index: number;
  readonly name: string;
  readonly state: 'UP' | 'DOWN' | 'NO-CARRIER' | 'FAILED';
  readonly mtu: number;
  readonly medium: 'ethernet' | 'ip' | 'loopback';
  /** Station address, null on media without. */
  readonly mac: string | null;
  /** The device's type, null for the loopback and where the device is gone. */
  readonly device: string | null;
  readonly vrf: number;
  readonly promiscuous: boolean;
  readonly rxPackets: number;
  readonly rxOctets: number;
  readonly txPackets: number;
  readonly txOctets: number;
  readonly txDropped: number;
  /** Why the device is gone. */
  readonly error: string | null;
  /** What the device counts itself. */
  readonly statistics: Readonly<Record<string, number>>;
}

/** `stack.link`: interfaces. */
export class Link {
  private readonly core: Stack;
  private readonly reopen: (name: string) => Device | null;

  /** `reopen` opens the device of an interface anew that lost its own; null where nobody knows how. */
  constructor(core: Stack, reopen: (name: string) => Device | null = () => null) {
    this.core = core;
    this.reopen = reopen;
  }

  /** All interfaces, or the named one. NetError ENODEV when there is none of that name. */
  show(name?: string): LinkInfo[] {
    return (name === undefined ? [...this.core.interfaces] : [interfaceNamed(this.core, name, 'link show')]).map(linkInfo);
  }

  /**
   * Takes up or down, or changes the MTU. Connections stay; what they send while it is down is lost. An interface whose device
   * died gets a new one when it is taken up; NetError when the host has none.
   */
  set(name: string, change: LinkChange): void {
    const iface = interfaceNamed(this.core, name, 'link set');
    if (change.mtu !== undefined) setMtu(iface, change.mtu);
    if (change.promiscuous !== undefined) iface.promiscuous = change.promiscuous;
    if (change.up === true && iface.error !== null) {
      const device = this.reopen(name);
      if (device !== null) this.core.startDevice(iface, device);
    }
    if (change.up !== undefined && change.up !== iface.up) {
      if (!change.up) this.core.vrrp.shutdown(iface);
      iface.up = change.up;
      this.core.vrrp.linkChanged(iface);
      // What neighbours were on the link may have changed while it was down.
      if (!change.up) iface.neighbors?.flush();
    }
    this.core.stacking.changed(iface);
    this.core.ip.routes.invalidate();
    this.core.hyper.soon();
  }
}

function setMtu(iface: Interface, mtu: number): void {
  const most = iface.device?.mtu ?? 65_536;
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > most)
    throw new NetError('EINVAL', 'link set', iface.name, undefined, `mtu ${mtu} is outside [68, ${most}], what the device carries`);
  iface.mtu = mtu;
}

/** The interface, or NetError ENODEV with the nearest name. */
export function interfaceNamed(core: Stack, name: string, call: string): Interface {
  const iface = core.interfaces.named(name);
  if (iface === null) {
    const best = nearest(
      name,
      [...core.interfaces].map((i) => i.name),
    );
    throw new NetError('ENODEV', call, name, undefined, `no such interface; did you mean '${best}'?`);
  }
  return iface;
}

function linkInfo(iface: Interface): LinkInfo {
  const { index, name, mtu, medium, vrf, promiscuous, rxPackets, rxOctets, txPackets, txOctets, txDropped } = iface;
  const mac = medium === 'ethernet' ? formatMac(iface.macHigh, iface.macLow) : null;
  const error = iface.error?.message ?? null;
  const state = error !== null ? 'FAILED' : !iface.up ? 'DOWN' : iface.running ? 'UP' : 'NO-CARRIER';
  const statistics = iface.device?.statistics?.() ?? {};
  return {
    index,
    name,
    state,
    mtu,
    medium,
    mac,
    device: iface.device?.kind ?? null,
    vrf,
    promiscuous,
    rxPackets,
    rxOctets,
    txPackets,
    txOctets,
    txDropped,
    error,
    statistics,
  };
}
