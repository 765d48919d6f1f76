import { isIP } from 'node:net';

export interface LookupAddress {
  readonly address: string;
  readonly family: number;
}

export interface LookupOptions {
  /** 4, 6, or 0 for both. */
  readonly family?: number;
  readonly hints?: number;
  /** True: the callback takes an array of LookupAddress. */
  readonly all?: boolean;
}

/** Name to address, with the signature of `dns.lookup`. */
export type Lookup = (
  hostname: string,
  options: LookupOptions,
  callback: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
) => void;

/** libuv's number of EAI_NONAME, which Node reports as ENOTFOUND. */
const UV_EAI_NONAME = -3008;

/** A name that has no address, shaped like Node's. */
export class LookupError extends Error {
  readonly code = 'ENOTFOUND';
  readonly errno = UV_EAI_NONAME;
  readonly syscall = 'getaddrinfo';
  readonly hostname: string;

  constructor(hostname: string) {
    super(`getaddrinfo ENOTFOUND ${hostname}`);
    this.hostname = hostname;
  }
}

/** Resolves addresses and localhost (RFC 6761 §6.3), and nothing else: the host's DNS is never asked behind a program's back. */
export function localLookup(ipv6: () => boolean): Lookup {
  return (hostname, options, callback) => {
    const found = localAddresses(hostname, ipv6()).filter(({ family }) => !options.family || options.family === family);
    const [first] = found;
    process.nextTick(() => {
      if (first === undefined) callback(new LookupError(hostname), options.all ? [] : '');
      else if (options.all) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}

function localAddresses(hostname: string, ipv6: boolean): LookupAddress[] {
  const family = isIP(hostname);
  if (family !== 0) return [{ address: hostname, family }];
  if (!/^(.+\.)?localhost\.?$/i.test(hostname)) return [];
  const v4 = { address: '127.0.0.1', family: 4 };
  return ipv6 ? [v4, { address: '::1', family: 6 }] : [v4];
}
