import { Rcode } from '../../wire/dns.js';

/** What can be wrong with an answer, in the words of node:dns. */
export type DnsCode =
  | 'ENODATA'
  | 'EFORMERR'
  | 'ESERVFAIL'
  | 'ENOTFOUND'
  | 'ENOTIMP'
  | 'EREFUSED'
  | 'EBADNAME'
  | 'EBADRESP'
  | 'ECONNREFUSED'
  | 'ETIMEOUT'
  | 'ENOMEM'
  | 'ECANCELLED';

/** The code of a response code other than NoError. */
export function codeOf(rcode: number): DnsCode {
  switch (rcode) {
    case Rcode.NxDomain:
      return 'ENOTFOUND';
    case Rcode.FormErr:
      return 'EFORMERR';
    case Rcode.NotImp:
      return 'ENOTIMP';
    case Rcode.Refused:
      return 'EREFUSED';
    default:
      return 'ESERVFAIL';
  }
}

/** A question without an answer, shaped like Node's: `queryA ENOTFOUND example.org`. */
export class DnsError extends Error {
  readonly code: DnsCode;
  readonly errno = undefined;
  readonly syscall: string;
  readonly hostname?: string;

  constructor(code: DnsCode, syscall: string, hostname?: string) {
    super(`${syscall} ${code}${hostname === undefined ? '' : ` ${hostname}`}`);
    this.code = code;
    this.syscall = syscall;
    if (hostname !== undefined) this.hostname = hostname;
  }
}
