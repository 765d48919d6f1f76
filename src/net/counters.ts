import { dropNames } from '../base/drops.js';

/** Names of the stack's counters: those of the SNMP MIBs and of Linux's nstat where these have one. Append only at a section's end. */
const names = [
  // ip (RFC 4293), both families
  'IpInReceives',
  'IpInDelivers',
  'IpForwDatagrams',
  'IpOutRequests',
  'IpOutTransmits',
  'IpReasmReqds',
  'IpReasmOKs',
  'IpFragOKs',
  'IpFragCreates',
  'IpFragFails',
  'Ip6InReceives',
  'Ip6InDelivers',
  'Ip6OutForwDatagrams',
  'Ip6OutRequests',
  'Ip6OutTransmits',
  'Ip6ReasmReqds',
  'Ip6ReasmOKs',
  'Ip6FragOKs',
  'Ip6FragCreates',
  'Ip6FragFails',
  // icmp
  'IcmpInMsgs',
  'IcmpInErrors',
  'IcmpInDestUnreachs',
  'IcmpInTimeExcds',
  'IcmpInParmProbs',
  'IcmpInRedirects',
  'IcmpInEchos',
  'IcmpInEchoReps',
  'IcmpOutMsgs',
  'IcmpOutDestUnreachs',
  'IcmpOutTimeExcds',
  'IcmpOutParmProbs',
  'IcmpOutRedirects',
  'IcmpOutEchos',
  'IcmpOutEchoReps',
  'IcmpOutRateLimited',
  'Icmp6InMsgs',
  'Icmp6InErrors',
  'Icmp6InEchos',
  'Icmp6InEchoReplies',
  'Icmp6InPktTooBigs',
  'Icmp6OutMsgs',
  'Icmp6OutErrors',
  'Icmp6OutEchoReplies',
  'Icmp6InRouterSolicits',
  'Icmp6InRouterAdvertisements',
  'Icmp6InNeighborSolicits',
  'Icmp6InNeighborAdvertisements',
  'Icmp6InRedirects',
  'Icmp6OutRouterSolicits',
  'Icmp6OutRouterAdvertisements',
  'Icmp6OutNeighborSolicits',
  'Icmp6OutNeighborAdvertisements',
  'Icmp6OutRedirects',
  'Icmp6OutRateLimitHost',
  // udp (RFC 4113)
  'UdpInDatagrams',
  'UdpNoPorts',
  'UdpInErrors',
  'UdpOutDatagrams',
  // tcp (RFC 4022) and Linux's TcpExt
  'TcpActiveOpens',
  'TcpPassiveOpens',
  'TcpAttemptFails',
  'TcpEstabResets',
  'TcpInSegs',
  'TcpOutSegs',
  'TcpRetransSegs',
  'TcpInErrs',
  'TcpOutRsts',
  'TcpInOctets',
  'TcpOutOctets',
  'TcpExtSyncookiesSent',
  'TcpExtSyncookiesRecv',
  'TcpExtSyncookiesFailed',
  'TcpExtListenOverflows',
  'TcpExtListenDrops',
  'TcpExtTW',
  'TcpExtTWRecycled',
  'TcpExtPAWSEstab',
  'TcpExtDelayedACKs',
  'TcpExtTCPTimeouts',
  'TcpExtTCPFastRetrans',
  'TcpExtTCPSlowStartRetrans',
  'TcpExtTCPLossProbes',
  'TcpExtTCPLossProbeRecovery',
  'TcpExtTCPSackRecovery',
  'TcpExtTCPRenoRecovery',
  'TcpExtTCPSACKReneging',
  'TcpExtTCPSpuriousRTOs',
  'TcpExtTCPDSACKRecv',
  'TcpExtTCPDSACKOldSent',
  'TcpExtTCPOFOQueue',
  'TcpExtTCPOFODrop',
  'TcpExtTCPChallengeACK',
  'TcpExtTCPSYNChallenge',
  'TcpExtTCPAbortOnData',
  'TcpExtTCPAbortOnClose',
  'TcpExtTCPAbortOnTimeout',
  'TcpExtTCPAbortOnMemory',
  'TcpExtTCPKeepAlive',
  'TcpExtTCPWinProbe',
  'TcpExtTCPACKSkipped',
  'TcpExtTCPRcvCoalesce',
  'TcpExtTCPMTUPSuccess',
  'TcpExtTCPMTUPFail',
  // neighbours
  'NeighLookups',
  'NeighSolicitsSent',
  'NeighFailures',
  'ArpInRequests',
  'ArpOutReplies',
] as const;

export type CounterName = (typeof names)[number];

/** All of them, in order of their indices. */
export const counterNames: readonly CounterName[] = names;

/** Index of a counter: `ctx.counters.values[Counter.IpInReceives]`. */
export const Counter = Object.fromEntries(names.map((name, n) => [name, n])) as unknown as { readonly [K in CounterName]: number };

/** Counters and drop counts of one stack. Doubles: exact to 2^53. */
export class Counters {
  readonly values = new Float64Array(names.length);
  readonly drops = new Float64Array(dropNames.length);

  /** Adds one. */
  count(counter: number): void {
    (this.values[counter] as number)++;
  }

  add(counter: number, n: number): void {
    (this.values[counter] as number) += n;
  }

  get(name: CounterName): number {
    return this.values[Counter[name]] as number;
  }

  /** Drops by name, zeros left out. */
  dropped(): Record<string, number> {
    return Object.fromEntries([...this.drops].map((n, i) => [dropNames[i] as string, n] as const).filter(([, n]) => n > 0));
  }
}
