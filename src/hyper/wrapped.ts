/** Wrappers as a configuration names them: `of` is the device inside. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { ConfigError, NetError } from '../base/errors.js';
import { millis } from '../base/time.js';
import type { DeviceContext } from './device-context.js';
import { checkKeys, optional, required } from './device-spec.js';
import { FaultInjector, type Faults } from './fault-injector.js';
import type { Device, DeviceSpec } from './hypercalls.js';
import { capturing, PcapWriter } from './pcap-writer.js';

/** A bad link: see fault-injector.ts. */
export interface FaultsSpec extends DeviceSpec {
  readonly type: 'faults';
  readonly of: DeviceSpec;
  /** Default 1. */
  readonly seed?: number;
  readonly tx?: Faults;
  readonly rx?: Faults;
}

/** All that passes into a file: see pcap-writer.ts. */
export interface CaptureSpec extends DeviceSpec {
  readonly type: 'capture';
  readonly of: DeviceSpec;
  /** Written anew, mode 0600: it holds what people say to each other. */
  readonly path: string;
}

type Open = (spec: DeviceSpec, context: DeviceContext) => Device;

/** `open` opens the device inside. */
export function openFaults(spec: DeviceSpec, context: DeviceContext, open: Open): FaultInjector {
  checkKeys(spec, ['type', 'of', 'seed', 'tx', 'rx']);
  const { tx = {}, rx = {} } = spec as FaultsSpec;
  return new FaultInjector(open(inner(spec), context), context, { seed: optional(spec, 'seed', 'number') ?? 1, tx, rx });
}

/** Octets that wait to be written, and how long at most. */
const BUFFER = 262_144;
const FLUSH = millis(200);

/** `open` opens the device inside. Writes behind by at most 200 ms; a file that cannot be written is logged, not fatal. */
export function openCapture(spec: DeviceSpec, context: DeviceContext, open: Open): Device {
  checkKeys(spec, ['type', 'of', 'path']);
  const path = required(spec, 'path', 'string');
  const device = open(inner(spec), context);
  let fd: number;
  try {
    fd = openSync(path, 'w', 0o600);
  } catch (error) {
    device.close();
    throw new NetError(((error as NodeJS.ErrnoException).code ?? 'EIO') as 'EIO', 'open', path);
  }
  const buffer = new Uint8Array(BUFFER);
  let used = 0;
  const alarm = context.alarm(() => flush());
  const flush = (): void => {
    try {
      writeSync(fd, buffer, 0, used);
    } catch (error) {
      // A full disk costs the capture, not the connection.
      context.log('error', `${path}: ${(error as Error).message}; what follows is missing there`);
    }
    used = 0;
  };
  const sink = (octets: Uint8Array): void => {
    if (used + octets.length > BUFFER) flush();
    if (used === 0) alarm.set(context.monotonic() + FLUSH);
    buffer.set(octets, used);
    used += octets.length;
  };
  const writer = new PcapWriter(sink, device.medium, device.kind);
  return capturing(
    device,
    writer,
    () => context.wallClock(),
    () => {
      alarm.cancel();
      flush();
      closeSync(fd);
    },
  );
}

function inner(spec: DeviceSpec): DeviceSpec {
  const of = spec['of'] as DeviceSpec | undefined;
  if (typeof of?.type !== 'string') throw new ConfigError(`${spec.type} device: 'of' is to be the device inside, with a type`);
  return of;
}
