/** System calls by name. What is not here makes a script one we skip. */
import { Errno } from '../base/errors.js';
import type { SyscallAction } from './ast.js';
import { connecting } from './connecting.js';
import { Unsupported } from './outcome.js';
import type { Attempt, Process } from './process.js';
import { optionCalls } from './syscalls-options.js';
import { epollCalls } from './syscalls-poll.js';
import { transferCalls } from './syscalls-transfer.js';

/** Prepares one call of one program. */
export type Syscall = (process: Process, call: SyscallAction) => Attempt;

const at =
  (value: number): Attempt =>
  () =>
    value;

const connectionCalls: Readonly<Record<string, Syscall>> = {
  socket(process, call) {
    const type = process.values.number(call.args[1]);
    const protocol = process.values.number(call.args[2]);
    const { config, machine } = process;
    const nonBlocking = (type & process.values.nonBlocking) !== 0;
    if ((type & 15) === 1 && protocol === 17) return at(-Errno.EPROTONOSUPPORT);
    if ((type & 15) === 1 && (protocol === 6 || protocol === 0)) {
      return () => {
        const open = process.newSocket(machine.stack.tcp.openSocket(config.sockets), nonBlocking);
        process.current = open;
        return process.enter(open, call);
      };
    }
    if ((type & 15) === 2 && (protocol === 17 || protocol === 0)) {
      return () => process.enter(process.newSocket(machine.stack.udp.openSocket(config.sockets), nonBlocking), call);
    }
    throw new Unsupported(`socket of type ${type & 15}, protocol ${protocol}`);
  },

  bind(process, call) {
    const open = process.socket(call.args[0]);
    if (open === null) return at(-Errno.EBADF);
    const { config } = process;
    const to = process.values.endpoint(call.args[1]) ?? { address: config.local, port: config.bindPort };
    return () => open.socket.bind(to.address, to.port);
  },

  listen(process, call) {
    const open = process.tcp(call.args[0]);
    if (open === null) return at(-Errno.EBADF);
    const backlog = process.values.number(call.args[1]);
    return () => {
      const result = open.socket.listen(backlog);
      if (result === 0) process.events.listening();
      return result;
    };
  },

  accept(process, call) {
    const open = process.tcp(call.args[0]);
    if (open === null) return at(-Errno.EBADF);
    return () => {
      if (open.socket.state !== 'LISTEN') return -Errno.EINVAL;
      const socket = open.socket.accept();
      if (socket === null) return open.nonBlocking ? -Errno.EAGAIN : null;
      const accepted = process.newSocket(socket, call.name === 'accept4' && (process.values.number(call.args[3]) & process.values.nonBlocking) !== 0);
      process.current = accepted;
      return process.enter(accepted, call);
    };
  },

  connect(process, call) {
    const open = process.socket(call.args[0]);
    if (open === null) return at(-Errno.EBADF);
    return connecting(process, call, open, call.args[1]);
  },

  shutdown(process, call) {
    const open = process.tcp(call.args[0]);
    if (open === null) return at(-Errno.EBADF);
    const how = (['read', 'write', 'both'] as const)[process.values.number(call.args[1])];
    if (how === undefined) return at(-Errno.EINVAL);
    return () => open.socket.shutdown(how);
  },

  close(process, call) {
    const fd = process.values.number(call.args[0]);
    const file = process.files.get(fd);
    if (file === undefined) return at(-Errno.EBADF);
    return () => {
      process.files.delete(fd);
      if (file.kind === 'socket') file.socket.close();
      for (const other of process.files.values()) if (other.kind === 'epoll') other.remove(fd);
      return 0;
    };
  },
};

const calls: ReadonlyMap<string, Syscall> = new Map(
  Object.entries({ ...connectionCalls, accept4: connectionCalls['accept'] as Syscall, ...transferCalls, ...optionCalls, ...epollCalls }),
);

/** The call of that name, ready to be tried. Throws Unsupported for those we do not have. */
export function prepare(process: Process, call: SyscallAction): Attempt {
  const syscall = calls.get(call.name);
  if (syscall === undefined) throw new Unsupported(`system call ${call.name}`);
  return syscall(process, call);
}
