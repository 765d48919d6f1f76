import { Errno } from '../base/errors.js';
import { DatagramInfo } from '../net/socket/datagram-queue.js';
import { Ready } from '../net/socket/socket.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { Expression, SyscallAction } from './ast.js';
import { connect } from './connecting.js';
import { Mismatch, Unsupported } from './outcome.js';
import { firstForeign, streamOctets } from './payload.js';
import type { Attempt, OpenSocket, Process } from './process.js';
import type { Syscall } from './syscalls.js';
import { describe, fieldOf, Msg } from './values.js';

/** Octets of one datagram read at most. */
const DATAGRAM_MAX = 65_535;

interface Transfer {
  readonly octets: number;
  readonly flags: number;
  /** The script's own octets; null for the stream's. */
  readonly text: string | null;
  readonly target: Expression | undefined;
}

/** Calls that move octets. Their arguments differ, what they do does not. */
export const transferCalls: Readonly<Record<string, Syscall>> = {
  read: (process, call) => reading(process, call, { octets: count(process, call), flags: 0 }),
  recv: (process, call) => reading(process, call, { octets: count(process, call), flags: process.values.number(call.args[3]) }),
  recvfrom: (process, call) => reading(process, call, { octets: count(process, call), flags: process.values.number(call.args[3]) }),
  readv: (process, call) => reading(process, call, { octets: vectorOctets(process, call.args[1]), flags: 0 }),
  recvmsg(process, call) {
    const header = call.args[1] as Expression;
    const flags = process.values.number(call.args[2]);
    if ((flags & Msg.ERRQUEUE) !== 0) throw new Unsupported('recvmsg: MSG_ERRQUEUE');
    const control = fieldOf(header, 'msg_control');
    if (control?.kind === 'list' && control.items.length > 0) throw new Unsupported('recvmsg: control messages');
    return reading(process, call, { octets: vectorOctets(process, fieldOf(header, 'msg_iov')), flags });
  },

  write: (process, call) => writing(process, call, { octets: count(process, call), flags: 0, text: textOf(call.args[1]), target: undefined }),
  send: (process, call) =>
    writing(process, call, {
      octets: count(process, call),
      flags: process.values.number(call.args[3]),
      text: textOf(call.args[1]),
      target: undefined,
    }),
  sendto: (process, call) =>
    writing(process, call, {
      octets: count(process, call),
      flags: process.values.number(call.args[3]),
      text: textOf(call.args[1]),
      target: call.args[4],
    }),
  writev: (process, call) => writing(process, call, { octets: vectorOctets(process, call.args[1]), flags: 0, text: null, target: undefined }),
  sendmsg(process, call) {
    const header = call.args[1] as Expression;
    const control = fieldOf(header, 'msg_control');
    if (control?.kind === 'list' && control.items.length > 0) throw new Unsupported('sendmsg: control messages');
    const octets = vectorOctets(process, fieldOf(header, 'msg_iov'));
    return writing(process, call, { octets, flags: process.values.number(call.args[2]), text: null, target: fieldOf(header, 'msg_name') });
  },
};

function count(process: Process, call: SyscallAction): number {
  const buffer = call.args[1];
  // A null pointer is the kernel's to refuse; here are none.
  if (buffer?.kind === 'word' && buffer.name === 'NULL') throw new Unsupported(`${call.name}: a null pointer`);
  return process.values.number(call.args[2]);
}

const textOf = (e: Expression | undefined): string | null => (e?.kind === 'string' ? e.text : null);

/** Octets of `[{..., 1000}, {..., 500}]`. */
function vectorOctets(process: Process, e: Expression | undefined): number {
  if (e?.kind !== 'list') throw new Unsupported(`vector ${e === undefined ? 'missing' : describe(e)}`);
  return e.items.reduce((sum, item) => {
    const fields = item.kind === 'struct' ? item.fields : [];
    return sum + process.values.number(fieldOf(item, 'iov_len') ?? fields[1]?.value);
  }, 0);
}

function reading(process: Process, call: SyscallAction, { octets, flags }: Pick<Transfer, 'octets' | 'flags'>): Attempt {
  const open = process.socket(call.args[0]);
  if (open === null) return () => -Errno.EBADF;
  const waits = !open.nonBlocking && (flags & Msg.DONTWAIT) === 0;
  const { socket } = open;
  if (socket.kind === 'udp') {
    const into = new Uint8Array(DATAGRAM_MAX);
    const info = new DatagramInfo();
    return () => blocking(socket.receive(into, 0, Math.min(octets, DATAGRAM_MAX), info), waits);
  }
  if (open.socket.kind !== 'tcp') return () => -Errno.EBADF;
  return () => blocking(readStream(process, open, socket, octets, flags), waits);
}

const blocking = (result: number, waits: boolean): number | null => (result === -Errno.EAGAIN && waits ? null : result);

function readStream(process: Process, open: OpenSocket, socket: TcpSocket, octets: number, flags: number): number {
  if ((flags & Msg.OOB) !== 0) throw new Unsupported('recv: MSG_OOB');
  if ((flags & Msg.PEEK) !== 0 && socket.available > 0) return Math.min(octets, socket.available);
  const into = new Uint8Array(octets);
  const n = socket.read(into);
  if (n <= 0) return n;
  const wrong = process.ownOctets ? -1 : firstForeign(into, 0, n, open.read);
  if (wrong >= 0) throw new Mismatch(`read: octet ${open.read + wrong} of the stream is not what was sent`);
  open.read += n;
  return n;
}

/** Flags of a write that change how the octets travel in ways the stack's sockets do not know. */
const UNKNOWN_FLAGS: readonly (readonly [number, string])[] = [
  [Msg.ZEROCOPY, 'MSG_ZEROCOPY'],
  [Msg.EOR, 'MSG_EOR'],
];

function writing(process: Process, call: SyscallAction, transfer: Transfer): Attempt {
  const open = process.socket(call.args[0]);
  if (open === null) return () => -Errno.EBADF;
  for (const [bit, name] of UNKNOWN_FLAGS) if ((transfer.flags & bit) !== 0) throw new Unsupported(`${call.name}: ${name}`);
  if (transfer.text !== null) process.ownOctets = true;
  const { socket } = open;
  if (socket.kind === 'udp') return sendingDatagram(process, open, transfer);
  const implied = transfer.target !== undefined && socket.state === 'CLOSED' && socket.getOption('TCP_FASTOPEN') !== 0;
  if (implied || (transfer.flags & Msg.FASTOPEN) !== 0) return fastOpening(process, open, socket, transfer);
  return writingStream(open, socket, transfer);
}

function sendingDatagram(process: Process, open: OpenSocket, { octets, target }: Transfer): Attempt {
  const { socket } = open;
  if (socket.kind !== 'udp') return () => -Errno.EBADF;
  const { config, events } = process;
  const to = socket.connected ? null : (process.values.endpoint(target) ?? { address: config.remote, port: events.peerPort() || config.connectPort });
  return () => {
    if (to !== null) process.events.connecting('udp', to.port);
    return blocking(socket.sendTo(new Uint8Array(octets), 0, octets, to?.address ?? null, to?.port ?? 0), !open.nonBlocking);
  };
}

function writingStream(open: OpenSocket, socket: TcpSocket, { octets, flags, text }: Transfer, throughHandshake = true): Attempt {
  const data = text === null ? streamOctets(open.written, octets) : Uint8Array.from({ length: octets }, (_, i) => text.charCodeAt(i) & 255);
  const waits = !open.nonBlocking && (flags & Msg.DONTWAIT) === 0;
  let done = 0;
  let slept = false;
  let early = false;
  return () => {
    if (early) {
      // What went with the SYN: the call ends with the handshake, well or not.
      if (socket.state === 'SYN-SENT') return null;
      early = false;
      const error = socket.state === 'CLOSED' ? socket.takeError() : 0;
      if (error !== 0 || done === octets) return error === 0 ? done : -error;
    }
    // Who sleeps in a write is woken when the socket calls itself writable, not by every octet that becomes free.
    if (slept && (socket.readiness() & (Ready.Writable | Ready.Error | Ready.HangUp)) === 0) return null;
    const n = (flags & Msg.OOB) !== 0 ? socket.writeUrgent(data, done) : socket.write(data, done, octets - done, (flags & Msg.MORE) !== 0);
    if (n < 0 && n !== -Errno.EAGAIN) return done > 0 ? done : n;
    if (n > 0) {
      done += n;
      open.written += n;
    }
    early = waits && throughHandshake && socket.state === 'SYN-SENT';
    if (early) return null;
    if (done === octets) return done;
    slept = true;
    if (waits) return null;
    return done > 0 ? done : n;
  };
}

/**
 * Connect and write in one (RFC 7413 §4.2): sendto with MSG_FASTOPEN, or as BSD says it, sendto with TCP_FASTOPEN set before. Linux
 * has a blocking call last as long as the handshake, and one that does not block take only what goes with the SYN.
 */
function fastOpening(process: Process, open: OpenSocket, socket: TcpSocket, transfer: Transfer): Attempt {
  const implied = (transfer.flags & Msg.FASTOPEN) === 0;
  let write: Attempt | null = null;
  return () => {
    if (write === null) {
      if (socket.state === 'SYN-SENT') return -Errno.EALREADY;
      if (socket.state === 'CLOSED') {
        if (!implied && (Number(process.machine.sysctl.get('net.ipv4.tcp_fastopen')) & 1) === 0) return -Errno.EOPNOTSUPP;
        socket.setOption('TCP_FASTOPEN_CONNECT', 1);
        const result = connect(process, open, transfer.target);
        const later = result === -Errno.EINPROGRESS || (result === 0 && transfer.octets === 0);
        if (later && open.nonBlocking && !implied) return -Errno.EINPROGRESS;
        if (result !== 0 && !later) return result;
      }
      write = writingStream(open, socket, transfer, !implied);
    }
    return write();
  };
}
