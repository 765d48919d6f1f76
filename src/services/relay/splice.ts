import type { Socket } from 'node:net';

/**
 * Octets of each are sent by the other, no faster than it takes them. The end of one direction is passed on and leaves the other open; when one
 * fails or is reset the other is reset too, so that nobody takes half a transfer for a whole one.
 */
export function splice(a: Socket, b: Socket): void {
  couple(a, b);
  couple(b, a);
}

function couple(from: Socket, to: Socket): void {
  from.pipe(to);
  from.once('error', () => reset(to));
  from.once('close', () => {
    if (!from.readableEnded) reset(to);
  });
}

/** The peer learns that this was no orderly end. */
export function reset(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}
