/** What the words of system calls stand for. */
import { type Address, parseAddress } from '../base/address.js';
import { Errno } from '../base/errors.js';
import type { Expression, Field } from './ast.js';
import { Unsupported } from './outcome.js';

/** Which system's numbers scripts presume where they differ: O_NONBLOCK is seen through F_GETFL. */
export type Dialect = 'linux' | 'bsd';

/** Bits of recv's and send's flags. Linux's values; scripts name them. */
export const Msg = {
  OOB: 1,
  PEEK: 2,
  DONTROUTE: 4,
  CTRUNC: 8,
  TRUNC: 0x20,
  DONTWAIT: 0x40,
  EOR: 0x80,
  WAITALL: 0x100,
  NOSIGNAL: 0x4000,
  MORE: 0x8000,
  ERRQUEUE: 0x2000,
  ZEROCOPY: 0x400_0000,
  FASTOPEN: 0x2000_0000,
} as const;

/** poll(2)'s bits, and epoll's. */
export const Poll = {
  IN: 1,
  PRI: 2,
  OUT: 4,
  ERR: 8,
  HUP: 0x10,
  NVAL: 0x20,
  RDNORM: 0x40,
  RDBAND: 0x80,
  WRNORM: 0x100,
  WRBAND: 0x200,
  RDHUP: 0x2000,
  ONESHOT: 0x4000_0000,
  ET: 0x8000_0000,
} as const;

const prefixed = (prefix: string, members: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(members).map(([name, n]) => [prefix + name, n]);

const COMMON = new Map<string, number>([
  ['NULL', 0],
  ['AF_INET', 2],
  ['AF_INET6', 10],
  ['PF_INET', 2],
  ['PF_INET6', 10],
  ['SOCK_STREAM', 1],
  ['SOCK_DGRAM', 2],
  ['SOCK_RAW', 3],
  ['SOCK_SEQPACKET', 5],
  ['SOCK_CLOEXEC', 0x8_0000],
  ['IPPROTO_IP', 0],
  ['IPPROTO_ICMP', 1],
  ['IPPROTO_TCP', 6],
  ['IPPROTO_UDP', 17],
  ['IPPROTO_ICMPV6', 58],
  ['IPPROTO_SCTP', 132],
  ['IPPROTO_UDPLITE', 136],
  ['SHUT_RD', 0],
  ['SHUT_WR', 1],
  ['SHUT_RDWR', 2],
  ['O_RDONLY', 0],
  ['O_WRONLY', 1],
  ['O_RDWR', 2],
  ['F_GETFD', 1],
  ['F_SETFD', 2],
  ['F_GETFL', 3],
  ['F_SETFL', 4],
  ['FD_CLOEXEC', 1],
  ['EPOLL_CTL_ADD', 1],
  ['EPOLL_CTL_DEL', 2],
  ['EPOLL_CTL_MOD', 3],
  ['IPTOS_DSCP_CS0', 0],
  ['IPTOS_DSCP_CS1', 0x20],
  ['IPTOS_DSCP_CS2', 0x40],
  ['IPTOS_DSCP_CS3', 0x60],
  ['IPTOS_DSCP_CS4', 0x80],
  ['IPTOS_DSCP_CS5', 0xa0],
  ['IPTOS_DSCP_CS6', 0xc0],
  ['IPTOS_DSCP_CS7', 0xe0],
  ['IPTOS_DSCP_EF', 0xb8],
  ['IPTOS_LOWDELAY', 0x10],
  ['IPTOS_THROUGHPUT', 8],
  ['IP_PMTUDISC_DONT', 0],
  ['IP_PMTUDISC_WANT', 1],
  ['IP_PMTUDISC_DO', 1],
  ['EWOULDBLOCK', Errno.EAGAIN],
  ['ENOTSUP', Errno.EOPNOTSUPP],
  ['EFAULT', 14],
  ...Object.entries(Errno),
  ...prefixed('MSG_', Msg),
  ...prefixed('POLL', Poll),
  ...prefixed('EPOLL', Poll),
]);

/** Numbers and addresses of expressions, in one system's dialect. */
export class Values {
  private readonly dialect: Dialect;

  constructor(dialect: Dialect) {
    this.dialect = dialect;
  }

  get nonBlocking(): number {
    return this.dialect === 'linux' ? 0x800 : 4;
  }

  /** A number, a known word, or several joined by `|`. Throws Unsupported for what is none. */
  number(e: Expression | undefined): number {
    const n = e === undefined ? null : this.numberOrNull(e);
    if (n === null) throw new Unsupported(`value ${e === undefined ? 'missing' : describe(e)}`);
    return n;
  }

  numberOrNull(e: Expression): number | null {
    if (e.kind === 'number') return e.value;
    if (e.kind === 'word') return this.word(e.name);
    if (e.kind === 'or') {
      const left = this.numberOrNull(e.left);
      const right = this.numberOrNull(e.right);
      return left === null || right === null ? null : (left | right) >>> 0;
    }
    if (e.kind === 'call' && (e.name === 'htons' || e.name === 'htonl')) return this.numberOrNull(e.args[0] as Expression);
    return null;
  }

  private word(name: string): number | null {
    if (name === 'O_NONBLOCK' || name === 'SOCK_NONBLOCK') return this.nonBlocking;
    return COMMON.get(name) ?? null;
  }

  /** `[n]` or a number. */
  single(e: Expression | undefined): number {
    return this.number(e?.kind === 'list' ? e.items[0] : e);
  }

  /** `{sa_family = …, sin_port = htons(n), sin_addr = inet_addr("…")}`; null for `...`. */
  endpoint(e: Expression | undefined): { address: Address; port: number } | null {
    if (e === undefined || e.kind === 'any' || (e.kind === 'word' && e.name === 'NULL')) return null;
    const text = fieldOf(e, 'sin_addr');
    const address = text?.kind === 'call' && text.args[0]?.kind === 'string' ? parseAddress(text.args[0].text) : null;
    if (address === null) throw new Unsupported(`address ${describe(e)}`);
    return { address, port: this.number(fieldOf(e, 'sin_port')) };
  }
}

/** The member of a structure by its name. */
export function fieldOf(e: Expression, name: string): Expression | undefined {
  return field(e, name)?.value;
}

/** The member itself, with the length a script may give it. */
export function field(e: Expression, name: string): Field | undefined {
  return e.kind === 'struct' ? e.fields.find((f) => f.name === name) : undefined;
}

/** For messages. */
export function describe(e: Expression): string {
  switch (e.kind) {
    case 'any':
      return '...';
    case 'number':
      return String(e.value);
    case 'word':
      return e.name;
    case 'string':
      return `"${e.text}"`;
    case 'or':
      return `${describe(e.left)}|${describe(e.right)}`;
    case 'list':
      return `[${e.items.map(describe).join(', ')}]`;
    case 'call':
      return `${e.name}(${e.args.map(describe).join(', ')})`;
    case 'struct':
      return `{${e.fields.map((f) => (f.name === '' ? describe(f.value) : `${f.name}=${describe(f.value)}`)).join(', ')}}`;
  }
}
