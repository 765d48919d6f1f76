import { NetError } from '../base/errors.js';
import { formatRange, type Selector } from '../net/ipsec/selector.js';
import type { Stack } from '../net/stack.js';

/** One SA of the SAD. No keys. */
export interface SaInfo {
  readonly direction: 'in' | 'out';
  readonly spi: string;
  readonly protocol: 'esp' | 'ah';
  readonly mode: string;
  readonly source: string;
  readonly destination: string;
  readonly suite: string;
  readonly esn: boolean;
  readonly packets: number;
  readonly octets: number;
  /** Packets refused: replayed or too old, and with a wrong ICV. */
  readonly replayed: number;
  readonly badIcv: number;
}

/** One policy of the SPD, in order of its trial. */
export interface PolicyInfo {
  readonly name: string;
  readonly action: string;
  readonly priority: number;
  readonly direction: 'in' | 'out' | 'both';
  readonly selectors: readonly string[];
  readonly packets: number;
  readonly sas: number;
}

/** One IKE SA with its children. */
export interface IkeInfo {
  readonly connection: string;
  readonly state: string;
  readonly role: 'initiator' | 'responder';
  readonly local: string;
  readonly remote: string;
  readonly children: readonly string[];
}

/** IPsec of one stack to look at and to start and stop. */
export class IpsecApi {
  private readonly core: Stack;

  constructor(core: Stack) {
    this.core = core;
  }

  /** The Security Association Database. */
  sad(): SaInfo[] {
    return this.core.ipsec.sas().map((sa) => ({
      direction: sa.inbound ? 'in' : 'out',
      spi: `0x${(sa.spi >>> 0).toString(16).padStart(8, '0')}`,
      protocol: sa.protocol === 51 ? 'ah' : 'esp',
      mode: sa.mode,
      source: sa.source.toString(),
      destination: sa.destination.toString(),
      suite: sa.suite.name,
      esn: sa.esn,
      packets: sa.packets,
      octets: sa.octets,
      replayed: sa.replayed,
      badIcv: sa.badIcv,
    }));
  }

  /** The Security Policy Database. */
  spd(): PolicyInfo[] {
    return this.core.ipsec.spd.list().map((policy) => ({
      name: policy.name,
      action: policy.action,
      priority: policy.priority,
      direction: policy.options.direction ?? 'both',
      selectors: policy.options.selectors.map(selector),
      packets: policy.packets,
      sas: policy.outbound.length,
    }));
  }

  /** IKE SAs; empty without a connection in the configuration. */
  status(): IkeInfo[] {
    return (this.core.ipsec.driver?.ike.list() ?? []).map((sa) => ({
      connection: sa.connection.name,
      state: sa.state,
      role: sa.initiator ? 'initiator' : 'responder',
      local: sa.local.toString(),
      remote: sa.remote.toString(),
      children: [...sa.children].map((child) => child.config.name),
    }));
  }

  /** Begins to set a connection up; `status` tells how it goes. Throws ENOENT when the configuration has none of the name. */
  up(name: string): void {
    const ike = this.core.ipsec.driver?.ike;
    const connection = ike?.connection(name);
    if (ike === undefined || connection === undefined) throw new NetError('ENOENT', 'ipsec up', name);
    ike.initiate(connection);
  }

  /** Takes its IKE SAs down, telling the peer. Says how many there were. */
  down(name: string): number {
    const own = (this.core.ipsec.driver?.ike.list() ?? []).filter((sa) => sa.connection.name === name);
    for (const sa of own) sa.close();
    return own.length;
  }
}

const selector = (s: Selector): string => `${formatRange(s.local)} <> ${formatRange(s.remote)}`;
