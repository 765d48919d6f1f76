import { Address, v4 } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import { Checksum, type Packet, PacketFlag } from '../../base/packet.js';
import { millis } from '../../base/time.js';
import * as wire from '../../wire/igmp.js';
import { Protocol } from '../../wire/protocol.js';
import type { Context } from '../context.js';
import type { Interface } from '../interface.js';
import { type Dialect, type GroupRecord, GroupReports, RecordType } from '../ip/group-reports.js';
import type { IpLayer } from '../ip/ip.js';
import type { Multicast } from '../ip/multicast.js';
import { Path } from '../ip/path.js';
import type { Transport } from '../ip/service.js';
import { confined } from '../multicast/proxy.js';
import type { GroupQuery, Querier, QuerierDialect } from '../multicast/querier.js';

/** 224.0.0.1, .2, .22. */
const ALL_SYSTEMS = v4(0xe0000001);
const ALL_ROUTERS = v4(0xe0000002);
const IGMP_ROUTERS = v4(0xe0000016);
/** Octets of the header before a message: IPv4 with the router alert. */
const HEADER = 24;
const SOURCE_LEN = 4;
/** Precedence of internetwork control: RFC 9776 §4. */
const TOS = 0xc0;

/** Group membership, the host's part: IGMPv3 (RFC 9776), and versions 2 and 1 (RFC 2236, 1112) where the querier speaks them. */
export class Igmp implements Transport, Dialect, QuerierDialect {
  private readonly ctx: Context;
  private readonly ip: IpLayer;
  readonly reports: GroupReports;
  private readonly group = new Address();
  /** The router's part on an interface, null where another is the router. */
  querier: (iface: Interface) => Querier | null = () => null;

  constructor(ctx: Context, ip: IpLayer, multicast: Multicast) {
    this.ctx = ctx;
    this.ip = ip;
    this.reports = new GroupReports(ctx, multicast, this, true, (iface) => iface.conf4.force_igmp_version % 3);
    multicast.igmp = this.reports;
    ip.register(Protocol.Igmp, this);
  }

  input(packet: Packet): void {
    const iface = this.ip.interfaces.at(packet.inIndex);
    const reason = iface === null || packet.family !== 4 ? Drop.IpUnknownProtocol : this.receive(iface, packet);
    if (reason !== 0) this.ctx.drop(packet, reason);
    else packet.release();
  }

  /** 0 or a drop reason. */
  private receive(iface: Interface, packet: Packet): number {
    const { view, head, tail } = packet;
    const reason = wire.check(view, head, tail);
    if (reason !== 0) return reason;
    const kind = wire.type(view, head);
    if (kind === wire.Type.Query) return this.queried(iface, packet);
    const querier = this.querier(iface);
    if (kind === wire.Type.ReportV3) {
      querier?.heardReport(recordsOf(view, head), 0);
      return 0;
    }
    this.group.setV4(wire.group(view, head));
    const { group } = this;
    if (kind === wire.Type.Leave) querier?.heardReport([{ type: RecordType.ToInclude, group, sources: [] }], 2);
    if (kind !== wire.Type.ReportV1 && kind !== wire.Type.ReportV2) return 0;
    if (!group.equals(packet.destination)) return Drop.IgmpNotLocal;
    this.reports.heardReport(iface, group);
    querier?.heardReport([{ type: RecordType.IsExclude, group, sources: [] }], kind === wire.Type.ReportV1 ? 1 : 2);
    return 0;
  }

  /** A query of the newest version; older listeners read its beginning (RFC 9776 §7.1). */
  query(iface: Interface, { group, sources, maxDelay, robustness, interval }: GroupQuery): void {
    const packet = this.begin();
    if (packet === null) return;
    const { view, head } = packet;
    const fit = sources.slice(0, Math.floor((iface.mtu - HEADER - wire.QUERY_LEN) / SOURCE_LEN));
    let at = wire.putQuery(view, head, Math.round(maxDelay / millis(100)), group?.w3 ?? 0, robustness, interval, fit.length);
    for (const source of fit) {
      view.setInt32(at, source.w3);
      at += SOURCE_LEN;
    }
    packet.tail = at;
    wire.finishMessage(view, head, at);
    this.send(iface, packet, group ?? ALL_SYSTEMS);
  }

  querierOf(iface: Interface): Address | null {
    return this.ip.v4?.source(iface, ALL_SYSTEMS, ALL_SYSTEMS)?.address ?? null;
  }

  confined(group: Address): boolean {
    return confined(group);
  }

  private queried(iface: Interface, packet: Packet): number {
    const { view, head, tail } = packet;
    const version = wire.queryVersion(view, head, tail);
    this.group.setV4(wire.group(view, head));
    const general = this.group.w3 === 0;
    // RFC 9776 §9.1: what did not come from a router on the link would have every member speak.
    if (version !== 1 && (packet.ttl !== 1 || (packet.flags & PacketFlag.RouterAlert) === 0)) return Drop.IgmpNotLocal;
    if (general && packet.destination.isMulticast && !packet.destination.equals(ALL_SYSTEMS)) return Drop.IgmpNotLocal;
    if (!general && !this.group.isMulticast) return Drop.IgmpNotLocal;
    const sources: Address[] = [];
    if (version === 3) for (let i = 0; i < wire.sources(view, head); i++) sources.push(v4(wire.source(view, head, i)));
    this.querier(iface)?.heardQuery(packet.source, general ? null : this.group, sources, version === 3 && wire.suppress(view, head));
    this.reports.query(iface, {
      older: version === 3 ? 0 : version,
      group: general ? null : this.group,
      sources,
      maxDelay: millis(100 * wire.maxTime(view, head, tail)),
      robustness: version === 3 ? wire.robustness(view, head) : 0,
    });
    return 0;
  }

  /** An error about a report: nobody waits for it. */
  error(): void {}

  silent(group: Address): boolean {
    return group.equals(ALL_SYSTEMS);
  }

  report(iface: Interface, records: readonly GroupRecord[]): void {
    const most = iface.mtu - HEADER;
    for (let i = 0; i < records.length; ) {
      const packet = this.begin();
      if (packet === null) return;
      const { view, head } = packet;
      let at = head + wire.HEADER_LEN;
      let count = 0;
      for (; i < records.length; i++) {
        const record = records[i] as GroupRecord;
        const left = head + most - at;
        if (left < wire.RECORD_LEN + SOURCE_LEN * record.sources.length && count > 0) break;
        const fit = Math.min(record.sources.length, Math.floor((left - wire.RECORD_LEN) / SOURCE_LEN)); // RFC 9776 §4.2.16
        at = wire.putRecord(view, at, record.type, fit, record.group.w3);
        for (let s = 0; s < fit; s++, at += SOURCE_LEN) view.setInt32(at, (record.sources[s] as Address).w3);
        count++;
      }
      wire.putReport(view, head, count);
      packet.tail = at;
      wire.finishMessage(view, head, at);
      this.send(iface, packet, IGMP_ROUTERS);
    }
  }

  reportOld(iface: Interface, version: number, group: Address, leaving: boolean): void {
    if (version === 1 && leaving) return; // version 1 has no word for it
    const packet = this.begin();
    if (packet === null) return;
    const kind = leaving ? wire.Type.Leave : version === 1 ? wire.Type.ReportV1 : wire.Type.ReportV2;
    packet.tail = wire.put(packet.view, packet.head, kind, 0, group.w3);
    this.send(iface, packet, leaving ? ALL_ROUTERS : group);
  }

  private begin(): Packet | null {
    const packet = this.ctx.packet();
    if (packet === null) this.ctx.countDrop(Drop.NoBuffer);
    return packet;
  }

  /** From an address of the interface; 0.0.0.0 while it has none (RFC 9776 §4.2.13). */
  private send(iface: Interface, packet: Packet, to: Address): void {
    packet.source.setV4(this.ip.v4?.source(iface, to, to)?.address.w3 ?? 0);
    packet.destination.copy(to);
    packet.family = 4;
    packet.protocol = Protocol.Igmp;
    packet.ttl = 1;
    packet.trafficClass = TOS;
    packet.checksum = Checksum.Verified;
    packet.flags |= PacketFlag.Looped | PacketFlag.RouterAlert;
    this.ip.output(packet, new Path(iface, packet.source.clone(), to, null, iface.mtu, 'multicast', this.ip.routes.generation));
  }
}

/** The records of a version 3 report that has been checked. */
function recordsOf(view: DataView, at: number): GroupRecord[] {
  const records: GroupRecord[] = [];
  let record = wire.firstRecord(at);
  for (let left = wire.records(view, at); left > 0; left--, record = wire.nextRecord(view, record)) {
    const here = record;
    const sources = Array.from({ length: wire.recordSources(view, here) }, (_, i) => v4(wire.recordSource(view, here, i)));
    records.push({ type: wire.recordType(view, here), group: v4(wire.recordGroup(view, here)), sources });
  }
  return records;
}
