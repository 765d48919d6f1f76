/** A descriptor that somebody else opened and left to us: a TAP from a supervisor, or one end of a seqpacket or datagram pair. Whole frames per read and write. */
import { ConfigError } from '../base/errors.js';
import type { DeviceContext } from './device-context.js';
import { checkKeys, optional, required } from './device-spec.js';
import { type Device, type DeviceSpec, Offload } from './hypercalls.js';
import { randomMac } from './mac.js';
import { PortDevice } from './port.js';

export interface InheritedFdSpec extends DeviceSpec {
  readonly type: 'fd';
  readonly fd: number;
  /** Default 'ethernet'. */
  readonly medium?: 'ethernet' | 'ip';
  /** Octets of virtio header before each frame: 0, 10 or 12. Default 0. With one, all offloads are used: set them (TUNSETOFFLOAD) before. */
  readonly vnetHeader?: number;
  /** Default 1,500. */
  readonly mtu?: number;
  /** Default: random. */
  readonly mac?: string;
  readonly busyPollMicros?: number;
}

/** Takes the descriptor over: close closes it. */
export function openInheritedFd(spec: DeviceSpec, context: DeviceContext): Device {
  checkKeys(spec, ['type', 'fd', 'medium', 'vnetHeader', 'mtu', 'mac', 'busyPollMicros']);
  const medium = optional(spec, 'medium', 'string') ?? 'ethernet';
  if (medium !== 'ethernet' && medium !== 'ip') throw new ConfigError(`fd device: medium '${medium}' is neither ethernet nor ip`);
  const header = optional(spec, 'vnetHeader', 'number') ?? 0;
  if (header !== 0 && header !== 10 && header !== 12) throw new ConfigError(`fd device: vnetHeader ${header} is none of 0, 10, 12`);
  const fd = required(spec, 'fd', 'number');
  const io = context.portIo();
  return new PortDevice({
    kind: spec.type,
    io,
    context,
    fd,
    linkFd: -1,
    index: 0,
    header,
    medium,
    mac: medium === 'ethernet' ? randomMac(spec, context) : new Uint8Array(6),
    mtu: optional(spec, 'mtu', 'number') ?? 1_500,
    offloads: header === 0 ? (io.plainOffloads ?? 0) : Offload.TxChecksum | Offload.Tso4 | Offload.Tso6 | Offload.Uso | Offload.RxBig,
    carrier: true,
    busyPollMicros: optional(spec, 'busyPollMicros', 'number') ?? 0,
    name: `fd ${fd}`,
  });
}
