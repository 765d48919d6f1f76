import { readFileSync } from 'node:fs';
import { ConfigError, NetError } from '../../base/errors.js';
import type { Config } from '../../config/config.js';
import { type AnyStack, createStack, memoryLink } from '../../index.js';
import { KernelPeer } from './kernel-peer.js';
import type { Peer } from './peer.js';
import { StackPeer } from './stack-peer.js';
import { freeSubnets } from './subnet.js';

/** Where a demo takes place. */
export interface Place {
  readonly stack: AnyStack;
  readonly peer: Peer;
  /** The stack's address, and the one behind the cable that loses frames. */
  readonly address: string;
  /** Its IPv6 address; null where the kernel has no IPv6. */
  readonly address6: string | null;
  readonly lossy: string;
  /** What creating the stack took: milliseconds, and KB of memory. */
  readonly ms: number;
  readonly kilobytes: number;
  close(): Promise<void>;
}

/** Frames lost on the second cable, each way. */
export const LOSS = 0.02;

/** The stack on two TAPs of the network this process is in. Throws NetError where that is not allowed or not there. */
export function onTap(): Place {
  const [near, far] = freeSubnets();
  const six = kernelHasIpv6() ? prefix6(near) : null;
  const tap = (subnet: string): { type: 'tap'; hostAddress: string[] } => ({
    type: 'tap',
    hostAddress: [`${subnet}1/24`, ...(six === null || subnet === far ? [] : [`${six}1/64`])],
  });
  const made = measured(() => stackOn(tap(near), { type: 'faults', seed: 2, tx: { loss: LOSS }, rx: { loss: LOSS }, of: tap(far) }, near, far, six));
  return {
    ...made,
    peer: new KernelPeer(made.stack, `${near}1`),
    address: `${near}2`,
    address6: six === null ? null : `${six}2`,
    lossy: `${far}2`,
    close: () => made.stack.close(),
  };
}

/** The stack and a second one, on cables in memory. */
export function inMemory(): Place {
  const [near, far] = freeSubnets();
  const cable = memoryLink();
  const bad = memoryLink();
  const six = prefix6(near);
  const other = createStack({
    name: 'demo-peer',
    interfaces: { eth0: { device: cable[1], addresses: [`${near}1/24`, `${six}1/64`] }, eth1: { device: bad[1], addresses: [`${far}1/24`] } },
  });
  const made = measured(() =>
    stackOn(cable[0], { type: 'faults', seed: 2, tx: { loss: LOSS }, rx: { loss: LOSS }, of: { type: 'memory', device: bad[0] } }, near, far, six),
  );
  const close = async (): Promise<void> => {
    await other.close();
    await made.stack.close();
  };
  return { ...made, peer: new StackPeer(other), address: `${near}2`, address6: `${six}2`, lossy: `${far}2`, close };
}

type DeviceConfig = NonNullable<NonNullable<Config['interfaces']>[string]['device']>;

/** A ULA prefix of the demo (RFC 4193 §3.1; "anyst" in octets), with the subnet of its IPv4 one. */
function prefix6(near: string): string {
  const [, b = 0, c = 0] = near.split('.').map(Number);
  return `fd61:6e79:7374:${((b << 8) | c).toString(16)}::`;
}

function kernelHasIpv6(): boolean {
  try {
    return readFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', 'utf8').trim() === '0';
  } catch {
    return false;
  }
}

function stackOn(good: DeviceConfig, bad: DeviceConfig, near: string, far: string, six: string | null): AnyStack {
  return createStack({
    name: 'demo',
    interfaces: {
      eth0: { device: good, addresses: [`${near}2/24`, ...(six === null ? [] : [`${six}2/64`])] },
      eth1: { device: bad, addresses: [`${far}2/24`] },
    },
    routes: [{ to: 'default', via: `${near}1` }],
    services: { echo: true, discard: true, chargen: true, http: { capture: true } },
  });
}

function measured(make: () => AnyStack): { stack: AnyStack; ms: number; kilobytes: number } {
  const used = (): number => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const before = used();
  const from = performance.now();
  const stack = make();
  const ms = performance.now() - from;
  return { stack, ms, kilobytes: Math.max(0, Math.round((used() - before) / 1_024)) };
}

/** Why a TAP could not be had, and whether a namespace of one's own could help. */
export interface Refusal {
  readonly why: string;
  readonly elsewhere: boolean;
}

/** Null for an error that is about something else. */
export function refusal(error: unknown): Refusal | null {
  if (error instanceof ConfigError || !(error instanceof NetError)) return null;
  const none = { why: 'there is no /dev/net/tun', elsewhere: false };
  const refusals: Readonly<Record<string, Refusal>> = {
    EPERM: { why: 'this user may not make a TAP', elsewhere: true },
    EACCES: { why: 'this user may not open /dev/net/tun', elsewhere: false },
    ENODEV: none,
    ENOENT: none,
    ENOSYS: { why: 'neither the addon nor koffi is there to open a TAP', elsewhere: false },
  };
  return refusals[error.code] ?? null;
}
