import { Address } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { Checksum, type Packet, PacketFlag } from '../../base/packet.js';
import { millis } from '../../base/time.js';
import * as icmpv6 from '../../wire/icmpv6.js';
import * as ipv6 from '../../wire/ipv6.js';
import * as wire from '../../wire/mld.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import { type Dialect, type GroupRecord, GroupReports, RecordType } from '../ip/group-reports.js';
import type { IpLayer } from '../ip/ip.js';
import type { Multicast } from '../ip/multicast.js';
import { Path } from '../ip/path.js';
import { confined } from '../multicast/proxy.js';
import type { GroupQuery, Querier, QuerierDialect } from '../multicast/querier.js';
import type { Messages } from './icmp.js';
import { ALL_NODES, ALL_ROUTERS } from './nd-sender.js';
import { Scope } from './scope.js';
import { linkLocalOf } from './solicitation.js';

/** ff02::16: RFC 9777 §11. */
const MLD_ROUTERS = new Address(0xff020000, 0, 0, 0x16);
/** Octets of the headers before a message: IPv6, and hop-by-hop with the router alert. */
const HEADERS = ipv6.HEADER_LEN + 8;
const SOURCE_LEN = 16;
const ANY = new Address();

/** Multicast listener discovery, the listener's part: MLDv2 (RFC 9777), and MLDv1 (RFC 2710) where the querier speaks it. */
export class Mld implements Messages, Dialect, QuerierDialect {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  readonly reports: GroupReports;
  private readonly group = new Address();
  /** The router's part on an interface, null where another is the router. */
  querier: (iface: Interface) => Querier | null = () => null;

  constructor(ctx: Context, ip: IpLayer, multicast: Multicast) {
    this.ctx = ctx;
    this.ip = ip;
    this.reports = new GroupReports(ctx, multicast, this, false, (iface) => (iface.conf6.force_mld_version === 1 ? 1 : 0));
    multicast.mld = this.reports;
  }

  input(iface: Interface, packet: Packet): void {
    const reason = this.receive(iface, packet);
    if (reason !== 0) this.ctx.drop(packet, reason);
    else packet.release();
  }

  /** RFC 9777 §6.2, §5.1.14: from the link, through no router, with the alert that routers put. 0 or a drop reason. */
  private receive(iface: Interface, packet: Packet): number {
    const { view, head, tail } = packet;
    const reason = wire.check(view, head, tail);
    if (reason !== 0) return reason;
    const kind = view.getUint8(head);
    if (packet.ttl !== 1 || !(packet.source.isLinkLocal || (kind !== icmpv6.Type.MulticastQuery && packet.source.isUnspecified)))
      return Drop.MldNotLocal;
    if (kind === icmpv6.Type.MulticastQuery) return this.queried(iface, packet);
    const querier = this.querier(iface);
    if (kind === icmpv6.Type.MulticastReportV2) {
      querier?.heardReport(recordsOf(view, head), 0);
      return 0;
    }
    const { group } = this;
    wire.group(view, head, group);
    if (kind === icmpv6.Type.MulticastDone) querier?.heardReport([{ type: RecordType.ToInclude, group, sources: [] }], 2);
    else if (!group.equals(packet.destination)) return Drop.MldNotLocal;
    else {
      this.reports.heardReport(iface, group);
      querier?.heardReport([{ type: RecordType.IsExclude, group, sources: [] }], 2); // MLDv1 is to MLDv2 what IGMPv2 is to IGMPv3
    }
    return 0;
  }

  /** A query of the newest version; older listeners read its beginning (RFC 9777 §8.1). */
  query(iface: Interface, { group, sources, maxDelay, robustness, interval }: GroupQuery): void {
    const packet = this.begin();
    if (packet === null) return;
    const { view, head } = packet;
    const fit = sources.slice(0, Math.floor((Math.min(iface.mtu, iface.mtu6) - HEADERS - wire.QUERY_LEN) / SOURCE_LEN));
    let at = wire.putQuery(view, head, Math.round(maxDelay / millis(1)), group ?? ANY, robustness, interval, fit.length);
    for (const source of fit) {
      ipv6.putAddress(view, at, source);
      at += SOURCE_LEN;
    }
    packet.tail = at;
    this.send(iface, packet, group ?? ALL_NODES);
  }

  querierOf(iface: Interface): Address | null {
    return linkLocalOf(iface);
  }

  confined(group: Address): boolean {
    return confined(group);
  }

  private queried(iface: Interface, packet: Packet): number {
    const { view, head, tail } = packet;
    wire.group(view, head, this.group);
    const general = this.group.isUnspecified;
    const old = wire.queryVersion(head, tail) === 1;
    // A forged one of a router's group would have every listener speak; only the alert tells that a router meant it.
    if (!old && (packet.flags & PacketFlag.RouterAlert) === 0) return Drop.MldNotLocal;
    if (general && packet.destination.isMulticast && !packet.destination.equals(ALL_NODES)) return Drop.MldNotLocal;
    if (!general && !this.group.isMulticast) return Drop.MldNotLocal;
    const sources: Address[] = [];
    if (!old) {
      for (let i = 0; i < wire.sources(view, head); i++) {
        const source = new Address();
        wire.source(view, head, i, source);
        sources.push(source);
      }
    }
    this.querier(iface)?.heardQuery(packet.source, general ? null : this.group, sources, !old && wire.suppress(view, head));
    this.reports.query(iface, {
      older: old ? 1 : 0,
      group: general ? null : this.group,
      sources,
      maxDelay: millis(wire.maxDelayMs(view, head, tail)),
      robustness: old ? 0 : wire.robustness(view, head),
    });
    return 0;
  }

  /** RFC 9777 §6: all nodes, and what stays on the node. */
  silent(group: Address): boolean {
    return group.equals(ALL_NODES) || ((group.w0 >>> 16) & 15) <= Scope.InterfaceLocal;
  }

  report(iface: Interface, records: readonly GroupRecord[]): void {
    const most = Math.min(iface.mtu, iface.mtu6) - HEADERS;
    for (let i = 0; i < records.length; ) {
      const packet = this.begin();
      if (packet === null) return;
      const { view, head } = packet;
      let at = head + wire.REPORT_LEN;
      let count = 0;
      for (; i < records.length; i++) {
        const record = records[i] as GroupRecord;
        const left = head + most - at;
        if (left < wire.RECORD_LEN + SOURCE_LEN * record.sources.length && count > 0) break;
        // RFC 9777 §5.2.15: sources that do not fit one packet are left out of an EXCLUDE, which then lets more through.
        const fit = Math.min(record.sources.length, Math.floor((left - wire.RECORD_LEN) / SOURCE_LEN));
        at = wire.putRecord(view, at, record.type, fit, record.group);
        for (let s = 0; s < fit; s++, at += SOURCE_LEN) ipv6.putAddress(view, at, record.sources[s] as Address);
        count++;
      }
      wire.putReport(view, head, count);
      packet.tail = at;
      this.send(iface, packet, MLD_ROUTERS);
    }
  }

  reportOld(iface: Interface, _version: number, group: Address, leaving: boolean): void {
    const packet = this.begin();
    if (packet === null) return;
    packet.tail = wire.putV1(packet.view, packet.head, leaving ? icmpv6.Type.MulticastDone : icmpv6.Type.MulticastReport, group);
    this.send(iface, packet, leaving ? ALL_ROUTERS : group);
  }

  private begin(): Packet | null {
    const packet = this.ctx.packet();
    if (packet === null) this.ctx.countDrop(Drop.NoBuffer);
    return packet;
  }

  /** From the link-local address, or from nobody while it is probed for: snooping switches listen already (RFC 9777 §5.2.14). */
  private send(iface: Interface, packet: Packet, to: Address): void {
    packet.source.copy(linkLocalOf(iface) ?? ANY);
    packet.destination.copy(to);
    packet.family = 6;
    packet.protocol = Protocol.Icmpv6;
    packet.ttl = 1;
    packet.checksum = Checksum.Verified;
    packet.flags |= PacketFlag.Looped | PacketFlag.RouterAlert;
    icmpv6.finishMessage(packet.view, packet.head, packet.tail, packet.source, to);
    const path = new Path(iface, packet.source.clone(), to, null, Math.min(iface.mtu, iface.mtu6), 'multicast', this.ip.routes.generation);
    path.flowLabel = 0;
    this.ip.output(packet, path);
  }
}

/** The records of a version 2 report that has been checked. */
function recordsOf(view: DataView, at: number): GroupRecord[] {
  const records: GroupRecord[] = [];
  let record = wire.firstRecord(at);
  for (let left = wire.records(view, at); left > 0; left--, record = wire.nextRecord(view, record)) {
    const group = new Address();
    wire.recordGroup(view, record, group);
    const sources: Address[] = [];
    for (let i = 0; i < wire.recordSources(view, record); i++) {
      const source = new Address();
      wire.recordSource(view, record, i, source);
      sources.push(source);
    }
    records.push({ type: wire.recordType(view, record), group, sources });
  }
  return records;
}
