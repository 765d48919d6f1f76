/** From a device's type to the file that knows it. */
import { ConfigError } from '../base/errors.js';
import type { DeviceContext } from './device-context.js';
import { nearest } from './device-spec.js';
import { openDuplex, openTuntap2 } from './duplex.js';
import type { Device, DeviceSpec } from './hypercalls.js';
import { openInheritedFd } from './inherited-fd.js';
import { openPcapReplay } from './pcap-replay.js';
import { openQemuStream } from './qemu-stream.js';
import { openRawSocket } from './raw-socket.js';
import { openTap } from './tap.js';
import { openUdp } from './udp.js';
import { openUdpNat } from './udp-nat.js';
import { openWebSocket } from './websocket.js';
import { openCapture, openFaults } from './wrapped.js';

type Opener = (spec: DeviceSpec, context: DeviceContext) => Device;

const openers: Readonly<Record<string, Opener>> = {
  tap: openTap,
  tun: openTap,
  fd: openInheritedFd,
  'qemu-stream': openQemuStream,
  udp: openUdp,
  'udp-nat': openUdpNat,
  'raw-socket': openRawSocket,
  duplex: openDuplex,
  tuntap2: (spec, context) => openTuntap2(spec, context),
  websocket: openWebSocket,
  'pcap-replay': openPcapReplay,
  faults: (spec, context) => openFaults(spec, context, openDevice),
  capture: (spec, context) => openCapture(spec, context, openDevice),
  /** One that the program made itself: an end of a memory link, a wrapper. */
  memory: (spec) => spec['device'] as Device,
};

/** Opens what the spec describes. Throws ConfigError for a type or key it does not know, NetError for what the host refuses. */
export function openDevice(spec: DeviceSpec, context: DeviceContext): Device {
  const opener = Object.hasOwn(openers, spec.type) ? openers[spec.type] : undefined;
  if (opener === undefined) throw new ConfigError(`no device type '${spec.type}'; did you mean '${nearest(spec.type, Object.keys(openers))}'?`);
  return opener(spec, context);
}
