import { isIP } from 'node:net';
import { ConfigError } from '../../base/errors.js';
import { labelsOf } from '../../wire/dns-name.js';

/** Whose network: that of the machine, or that of the stack. */
export type SideName = 'host' | 'stack';

/** One end of a forward. */
export interface Place {
  readonly side: SideName;
  /** An address; at the far end of a forward also a name. */
  readonly host: string;
  readonly port: number;
}

/** 'host:127.0.0.1:8080', 'stack:[2001:db8::1]:80', 'stack:plant.example:80'. Throws ConfigError with what is wrong. */
export function parsePlace(text: string): Place {
  const match = /^(host|stack):(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const [, side, six, other, digits] = match ?? [];
  const host = six ?? other ?? '';
  const port = Number(digits);
  const sound = six === undefined ? isIP(host) === 4 || (!/^[\d.]+$/.test(host) && labelsOf(host) !== null) : isIP(six) === 6;
  if (match === null || !sound) throw new ConfigError(`'${text}' is no place such as host:127.0.0.1:8080 or stack:[2001:db8::1]:80`);
  if (port < 1 || port > 65_535) throw new ConfigError(`'${text}' names a port outside 1 to 65535`);
  return { side: side as SideName, host, port };
}

/** Where somebody listens: an address, never a name. Throws ConfigError. */
export function parseListening(text: string): Place {
  const place = parsePlace(text);
  if (isIP(place.host) === 0) throw new ConfigError(`'${text}' is to begin with an address to listen on; a name may stand at the far end only`);
  return place;
}

/** An address or name with its port, as parsePlace reads it. */
export const formatPlace = ({ side, host, port }: Place): string => `${side}:${host.includes(':') ? `[${host}]` : host}:${port}`;

/** The other one. */
export const opposite = (side: SideName): SideName => (side === 'host' ? 'stack' : 'host');
