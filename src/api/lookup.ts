import { isIP } from 'node:net';

/** One address of a name; `family` is 4 or 6. */
export interface LookupAddress {
  readonly address: string;
  readonly family: number;
}

/** What is asked of a Lookup. */
export interface LookupOptions {
  /** 4, 6, or 0 for both. */
  readonly family?: number;
  readonly hints?: number;
  /** True: the callback takes an array of LookupAddress. */
  readonly all?: boolean;
  /** Told what one family's answer holds while the other's is still out. Node's own lookup never does, nor need others. */
  readonly partial?: (found: LookupAddress[]) => void;
}

/** Name to address, with the signature of `dns.lookup`. */
export type Lookup = (
  hostname: string,
  options: LookupOptions,
  callback: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
) => void;

/** libuv's numbers of EAI_NONAME, which Node reports as ENOTFOUND, and EAI_AGAIN. */
const NUMBERS = { ENOTFOUND: -3008, EAI_AGAIN: -3001 } as const;

/** A name that has no address, or whose servers did not answer, shaped like Node's. */
export class LookupError extends Error {
  readonly code: keyof typeof NUMBERS;
  readonly errno: number;
  readonly syscall = 'getaddrinfo';
  readonly hostname: string;

  constructor(hostname: string, code: keyof typeof NUMBERS = 'ENOTFOUND') {
    super(`getaddrinfo ${code} ${hostname}`);
    this.code = code;
    this.errno = NUMBERS[code];
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

/** What needs no server: an address is itself, and localhost is us. Empty for every other name. */
export function localAddresses(hostname: string, ipv6: boolean): LookupAddress[] {
  const family = isIP(hostname);
  if (family !== 0) return [{ address: hostname, family }];
  if (!/^(.+\.)?localhost\.?$/i.test(hostname)) return [];
  const v4 = { address: '127.0.0.1', family: 4 };
  return ipv6 ? [v4, { address: '::1', family: 6 }] : [v4];
}
