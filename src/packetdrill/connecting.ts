import { Errno } from '../base/errors.js';
import type { SyscallAction } from './ast.js';
import type { Attempt, OpenSocket, Process } from './process.js';

/** connect: blocks until the handshake is over, one way or the other. */
export function connecting(process: Process, call: SyscallAction, open: OpenSocket, target: SyscallAction['args'][number] | undefined): Attempt {
  const { socket } = open;
  let begun = false;
  return () => {
    if (!begun) {
      begun = true;
      const result = connect(process, open, target);
      if (result !== -Errno.EINPROGRESS || open.nonBlocking) return result;
    }
    if (socket.kind === 'udp') return 0;
    if (socket.state === 'SYN-SENT' || socket.state === 'SYN-RECEIVED') return call.end === null ? -Errno.EINPROGRESS : null;
    const error = socket.takeError();
    return error === 0 ? 0 : -error;
  };
}

/** Begins to connect, for connect and for sendto with MSG_FASTOPEN. */
export function connect(process: Process, open: OpenSocket, target: SyscallAction['args'][number] | undefined): number {
  const { config } = process;
  const { socket } = open;
  const to = process.values.endpoint(target) ?? { address: config.remote, port: config.connectPort };
  if (socket.kind === 'udp' || socket.state === 'CLOSED') process.events.connecting(socket.kind, to.port);
  process.current = open;
  return socket.connect(to.address, to.port);
}
