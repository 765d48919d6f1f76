import { Duplex } from 'node:stream';
import { HostSocket } from './host.js';
import { checkSocketOptions, type SocketOptions } from './net-arguments.js';
import type { SocketMethods } from './net-socket.js';
import { type NetShared, SocketState } from './net-state.js';
import { invalidType, StateError } from './node-errors.js';
import type { WriteCallback } from './tcp-transfer.js';

/** The work of net.Socket's constructor. A descriptor or handle is the host's: then Node's own socket is made instead. */
export function setupSocket(socket: SocketMethods, net: NetShared, given: SocketOptions | undefined): HostSocket | undefined {
  const options: SocketOptions = typeof given === 'number' ? { fd: given } : { ...given };
  if (options.fd !== undefined || options.handle) return new HostSocket(options as ConstructorParameters<typeof HostSocket>[0]);
  checkSocketOptions(options);
  // Before Duplex, which destroys the socket at once where the signal has fired.
  socket._state = new SocketState(socket, net, options);
  (Duplex as unknown as (this: Duplex, options: object) => void).call(socket, {
    ...options,
    allowHalfOpen: Boolean(options.allowHalfOpen),
    // 'close' tells whether there was an error, which Duplex's own does not.
    emitClose: false,
    autoDestroy: true,
  });
  const { blockList } = options;
  if (blockList !== undefined && typeof blockList?.check !== 'function')
    throw invalidType('options.blockList', 'an instance of net.BlockList', blockList);
  socket.connecting = false;
  socket.timeout = undefined;
  socket.server = socket._server = null;
  socket._host = null;
  socket.blockList = blockList;
  if (options.noDelay) socket.setNoDelay();
  if (options.keepAlive) socket.setKeepAlive(true, options.keepAliveInitialDelay);
  socket.on('end', endedByPeer);
  return undefined;
}

/** Writing to who has ended, and with us, is an error of its own in Node. */
function endedByPeer(this: SocketMethods): void {
  // Not before: the TLS socket takes its own allowHalfOpen from ours.
  if (this._state.carriesTls) this.allowHalfOpen = true;
  if (!this.allowHalfOpen) this.write = writeAfterEnd;
}

function writeAfterEnd(this: SocketMethods, chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
  if (!this.writableEnded) return Duplex.prototype.write.call(this, chunk, encoding as BufferEncoding, callback as WriteCallback);
  const error = new StateError('EPIPE', 'This socket has been ended by the other party');
  const done = typeof encoding === 'function' ? encoding : callback;
  if (typeof done === 'function') process.nextTick(done as WriteCallback, error);
  this.destroy(error);
  return false;
}
