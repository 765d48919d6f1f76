/**
 * TAP and TUN: a virtual interface of the host whose cable ends in the stack. Offloaded frames of up to 64 KB in both
 * directions unless `offload` is false. Through the addon, else through koffi.
 */
import { type Prefix, parsePrefix } from '../base/address.js';
import { ConfigError, Errno, type ErrnoName, errnoName, NetError } from '../base/errors.js';
import { addressRequest, linkRequest } from '../wire/rtnetlink-request.js';
import type { DeviceContext } from './device-context.js';
import { checkKeys, optional } from './device-spec.js';
import { type Device, type DeviceSpec, type FarEnd, Offload } from './hypercalls.js';
import { stationAddress } from './mac.js';
import type { FailedTap, OpenedTap, PortIo } from './native.js';
import { PortDevice } from './port.js';

export interface TapSpec extends DeviceSpec {
  readonly type: 'tap' | 'tun';
  /** The host's interface, made when it does not exist. Default: the kernel names it, tap0 and so on. */
  readonly name?: string;
  /** The host's own addresses on it, '10.0.0.1/24'. Default: none, an administrator's business. */
  readonly hostAddress?: string | readonly string[];
  /** Default: the interface's own, 1,500 for a new one. */
  readonly mtu?: number;
  /** Our station address. Default: made from the host's, so that it stays the same as long as the interface does. */
  readonly mac?: string;
  /** Default true: checksums and segmentation are left to the host where it takes them. False: plain frames, merged, cut and summed up by the addon. */
  readonly offload?: boolean;
  /** µs the loop stays awake after traffic: less latency, for one busy core. Default 0. */
  readonly busyPollMicros?: number;
  /** More than 1: this opens one queue of a multi-queue device; each worker opens its own. Default 1. */
  readonly queues?: number;
  /** Path of another network namespace, e.g. /run/netns/lab. Default: the process's own. */
  readonly netns?: string;
}

const KEYS = ['type', 'name', 'hostAddress', 'mtu', 'mac', 'offload', 'busyPollMicros', 'queues', 'netns'];
const IFNAMSIZ = 16;
const HEADER = 10;
const TUN_F_CSUM = 1;
const TUN_F_TSO4 = 2;
const TUN_F_TSO6 = 4;
const TUN_F_USO = 0x60;

/** A PortDevice that also tells the name the kernel gave it. */
export function openTap(spec: DeviceSpec, context: DeviceContext): PortDevice & Device {
  checkKeys(spec, KEYS);
  const name = optional(spec, 'name', 'string') ?? '';
  if (name.length >= IFNAMSIZ || /[\s/]/.test(name)) throw new ConfigError(`device name '${name}': at most 15 characters, no blank, no slash`);
  const offload = optional(spec, 'offload', 'boolean') ?? true;
  const tun = spec.type === 'tun';
  const netns = optional(spec, 'netns', 'string') ?? '';
  const queues = (optional(spec, 'queues', 'number') ?? 1) > 1;
  const addresses = hostAddresses(spec);
  const io = context.portIo();
  const opened = io.tapOpen(name, netns, tun, offload, queues, optional(spec, 'mtu', 'number') ?? 0);
  if ('error' in opened) throw openError(opened, spec, name);
  const far = farEnd(io, netns, opened.index);
  const device = new PortDevice({
    kind: spec.type,
    io,
    context,
    fd: opened.fd,
    linkFd: opened.linkFd,
    index: opened.index,
    header: offload ? HEADER : 0,
    medium: tun ? 'ip' : 'ethernet',
    mac: tun ? new Uint8Array(6) : station(spec, opened),
    mtu: opened.mtu,
    offloads: offload ? offloadsOf(opened.offloads) : (io.plainOffloads ?? 0),
    carrier: opened.up === 1,
    busyPollMicros: optional(spec, 'busyPollMicros', 'number') ?? 0,
    name: opened.name,
    far,
  });
  for (const { address, length } of addresses) {
    const error = far.addAddress(address, length);
    if (error === 0) continue;
    device.close();
    throw openError({ error: -error, step: 'RTM_NEWADDR' }, spec, opened.name);
  }
  return device;
}

/** Asked of the kernel each time in the interface's namespace, which the process must still be allowed to enter. */
function farEnd(io: PortIo, netns: string, index: number): FarEnd {
  return {
    index,
    set: (change) => io.netlink(netns, linkRequest(index, change)),
    addAddress: (address, length) => io.netlink(netns, addressRequest(index, address, length, true)),
    removeAddress: (address, length) => io.netlink(netns, addressRequest(index, address, length, false)),
  };
}

function offloadsOf(bits: number): number {
  return (
    Offload.RxBig |
    (bits & TUN_F_CSUM ? Offload.TxChecksum : 0) |
    // What the kernel takes from us it takes always; the bits say what it gives. Older kernels know no UDP segments at all.
    (bits & TUN_F_TSO4 ? Offload.Tso4 : 0) |
    (bits & TUN_F_TSO6 ? Offload.Tso6 : 0) |
    ((bits & TUN_F_USO) === TUN_F_USO ? Offload.Uso : 0)
  );
}

/** The host's address with its last bit turned, locally administered: ours must differ from the one at the other end. */
function station(spec: DeviceSpec, opened: OpenedTap): Uint8Array {
  const text = optional(spec, 'mac', 'string');
  if (text === undefined) {
    const mac = Uint8Array.from(opened.mac);
    mac[0] = ((mac[0] as number) | 2) & ~1;
    mac[5] = (mac[5] as number) ^ 1;
    return mac;
  }
  return stationAddress(text);
}

function hostAddresses(spec: DeviceSpec): Prefix[] {
  const given = spec['hostAddress'] ?? [];
  return (Array.isArray(given) ? (given as unknown[]) : [given]).map((text) => {
    const prefix = typeof text === 'string' ? parsePrefix(text) : null;
    if (prefix === null) throw new ConfigError(`hostAddress '${String(text)}': an address with its prefix length, such as 10.0.0.1/24`);
    return prefix;
  });
}

/** What to do, by what failed. */
function openError(failure: FailedTap, spec: DeviceSpec, name: string): NetError {
  const { error, step } = failure;
  const what = name === '' ? spec.type : name;
  const remedies: Partial<Record<number, string>> = {
    [Errno.EBUSY]: 'another process holds it; stop that one, or set "queues" above 1 on both',
    [Errno.EPERM]: `not permitted; run as root or with CAP_NET_ADMIN, or let root prepare it: ip tuntap add dev ${what} mode ${spec.type} user $USER`,
    [Errno.EACCES]: 'not permitted to open /dev/net/tun; in a container pass --device /dev/net/tun',
    [Errno.ENOENT]:
      step === 'open netns' ? 'there is no such network namespace' : 'no /dev/net/tun: modprobe tun, or in a container pass --device /dev/net/tun',
    [Errno.ENODEV]: 'the kernel lacks the tun module: modprobe tun',
    [Errno.EINVAL]: step === 'TUNSETIFF' ? 'it exists as another kind of interface, or with another "queues"' : 'the kernel refused the value',
  };
  const code: ErrnoName = error === Errno.ENOENT && step === 'open' ? 'ENODEV' : errnoName(error);
  return new NetError(code, step, what, undefined, remedies[error] ?? 'the kernel refused');
}
