/** Station addresses of devices. */
import { ConfigError } from '../base/errors.js';
import * as ethernet from '../wire/ethernet.js';
import { optional } from './device-spec.js';
import type { DeviceSpec } from './hypercalls.js';

/** '02:00:00:00:00:01' to octets; refuses group addresses. */
export function stationAddress(text: string): Uint8Array {
  const mac = ethernet.parseMac(text);
  if (mac === null || (mac[0] as number) & 1) throw new ConfigError(`mac '${text}': six octets of a single station, such as 02:00:00:00:00:01`);
  return mac;
}

/** The spec's `mac`, else a random one, locally administered. */
export function randomMac(spec: DeviceSpec, context: { random(into: Uint8Array): void }): Uint8Array {
  const text = optional(spec, 'mac', 'string');
  if (text !== undefined) return stationAddress(text);
  const mac = new Uint8Array(6);
  context.random(mac);
  mac[0] = ((mac[0] as number) | 2) & ~1;
  return mac;
}
