import type { Socket } from 'node:net';
import { HostServer } from '../../api/host.js';
import type { Place } from './place.js';
import { type RelayContext, StreamRelay } from './relay.js';
import { reset, splice } from './splice.js';

/** Each connection taken at one place leads to another at the far one; whom the far end refuses is reset. */
export class TcpForward extends StreamRelay {
  private readonly target: Place;

  constructor(context: RelayContext, from: Place, to: Place, max: number) {
    const server = new HostServer({ allowHalfOpen: true, pauseOnConnect: true });
    super(context, 'tcp', from, to, max, server);
    this.target = to;
    server.on('connection', (socket: Socket) => this.serve(socket));
  }

  private serve(socket: Socket): void {
    if (!this.admit()) {
      reset(socket);
      return;
    }
    socket.once('close', () => this.leave());
    const { host, port, side } = this.target;
    const far = this.own(this.context.sides[side].dial(host, port));
    // Refused, or its stack has ended, which is no error.
    far.once('close', () => reset(socket));
    socket.once('close', () => far.connecting && far.destroy());
    far.once('connect', () => splice(socket, far));
  }
}
