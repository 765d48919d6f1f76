import type { Stack } from '../net/stack.js';
import type { VirtualRouterState } from '../net/vrrp/virtual-router.js';
import { formatMac } from '../wire/ethernet.js';

/** A virtual router. */
export interface VrrpInfo {
  readonly dev: string;
  readonly id: number;
  readonly family: 4 | 6;
  readonly state: VirtualRouterState;
  readonly priority: number;
  /** Its station address. */
  readonly mac: string;
  readonly addresses: readonly string[];
  /** The router that is active, null while nobody is known. */
  readonly active: string | null;
  /** Times we took over. */
  readonly takeovers: number;
}

/** The virtual routers of one stack to look at. */
export class VrrpApi {
  private readonly core: Stack;

  constructor(core: Stack) {
    this.core = core;
  }

  show(): VrrpInfo[] {
    return this.core.vrrp.all.map(({ iface, options, v4, state, station, active, takeovers }) => ({
      dev: iface.name,
      id: options.id,
      family: v4 ? 4 : 6,
      state,
      priority: options.priority,
      mac: formatMac(station.high, station.low),
      addresses: options.addresses.map(String),
      active: active === null ? null : `${active}`,
      takeovers,
    }));
  }
}
