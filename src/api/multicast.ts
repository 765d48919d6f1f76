import type { FilterMode } from '../net/ip/multicast.js';
import type { Stack } from '../net/stack.js';

/** What listeners on one link want, as the router of the link knows it. */
export interface MulticastInfo {
  readonly dev: string;
  readonly family: 4 | 6;
  /** This node asks; else another router does, and forwards. */
  readonly querier: boolean;
  readonly groups: readonly { readonly group: string; readonly mode: FilterMode; readonly sources: readonly string[] }[];
}

/** Multicast forwarding of one stack to look at. */
export class MulticastApi {
  private readonly core: Stack;

  constructor(core: Stack) {
    this.core = core;
  }

  /** The downstream links, each family by itself; none without a proxy. */
  show(): MulticastInfo[] {
    const { now } = this.core.ctx;
    return (this.core.proxy?.queriers ?? []).map(({ iface, v4, active, groups }) => ({
      dev: iface.name,
      family: v4 ? 4 : 6,
      querier: active,
      groups: [...groups.values()].map((m) => ({ group: `${m.group}`, mode: m.mode, sources: m.list(now).map(String) })),
    }));
  }
}
