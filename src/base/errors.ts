/** Linux's errno values (asm-generic/errno.h) of every code the stack reports. Sockets return them negated. */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EMFILE: 24,
  EPIPE: 32,
  ENOSYS: 38,
  EPROTO: 71,
  EBADMSG: 74,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ESHUTDOWN: 108,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
  ECANCELED: 125,
} as const;

export type ErrnoName = keyof typeof Errno;

const names = new Map<number, ErrnoName>(Object.entries(Errno).map(([name, n]) => [n, name as ErrnoName]));

/** The name of an errno value, with or without its sign: errnoName(-111) is 'ECONNREFUSED'. */
export function errnoName(value: number): ErrnoName {
  return names.get(Math.abs(value)) ?? 'EIO';
}

/**
 * What a caller sees of a failed operation, shaped like Node's system errors: `code`, negative `errno`, `syscall`,
 * `address`, `port`. Codes that are not errno names (`ERR_…`) have errno 0.
 */
export class NetError extends Error {
  override readonly name: string = 'Error';
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly address?: string;
  readonly port?: number;

  constructor(code: ErrnoName | `ERR_${string}`, syscall: string, address?: string, port?: number, detail?: string) {
    const where = address === undefined ? '' : ` ${address}${port === undefined ? '' : `:${port}`}`;
    super(`${syscall} ${code}${where}${detail === undefined ? '' : `: ${detail}`}`);
    this.code = code;
    this.errno = code in Errno ? -Errno[code as ErrnoName] : 0;
    this.syscall = syscall;
    if (address !== undefined) this.address = address;
    if (port !== undefined) this.port = port;
  }
}

/** A wrong configuration or option: one sentence that names the place. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'ERR_INVALID_CONFIG';
}
