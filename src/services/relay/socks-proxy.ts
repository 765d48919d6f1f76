import type { Socket } from 'node:net';
import { HostServer } from '../../api/host.js';
import { anyV4, parseAddress } from '../../base/address.js';
import { Drop } from '../../base/drops.js';
import {
  command,
  credentials,
  credentialsLength,
  greetingLength,
  offers,
  putChoice,
  putReply,
  putVerdict,
  requestLength,
  SocksCommand,
  SocksMethod,
  SocksReply,
  where,
} from '../../wire/socks.js';
import { opposite, type Place } from './place.js';
import { type RelayContext, StreamRelay } from './relay.js';
import { SocksAssociation } from './socks-association.js';
import { reset, splice } from './splice.js';
import { allowed, type Users } from './users.js';

/** A client has this long to say what it wants, in ms. */
const NEGOTIATION_MAX = 30_000;

/** What a client's next message is. */
type Step = 'greeting' | 'credentials' | 'request';

const lengths = { greeting: greetingLength, credentials: credentialsLength, request: requestLength } as const;

/**
 * A SOCKS 5 server (RFC 1928): CONNECT and UDP ASSOCIATE; whoever asks for BIND is refused. With users their passwords are asked for (RFC 1929).
 * GSSAPI, which RFC 1928 §3 would have, nobody speaks on loopback.
 */
export class SocksProxy extends StreamRelay {
  private readonly users: Users | null;

  constructor(context: RelayContext, from: Place, max: number, users: Users | null) {
    const server = new HostServer({ allowHalfOpen: true });
    super(context, 'socks5', from, null, max, server);
    this.users = users;
    server.on('connection', (socket: Socket) => this.serve(socket));
  }

  private serve(socket: Socket): void {
    const admitted = this.admit();
    if (admitted) socket.once('close', () => this.leave());
    let step: Step = 'greeting';
    let got: Buffer = Buffer.alloc(0);
    const over = (): void => {
      socket.off('data', heard).off('end', left).off('close', over);
      clearTimeout(late);
    };
    const malformed = (reason: number): void => {
      over();
      this.context.core.ctx.countDrop(reason);
      socket.destroy();
    };
    const left = (): void => (got.length > 0 ? malformed(Drop.SocksTruncated) : void socket.destroy());
    const heard = (octets: Buffer): void => {
      got = got.length === 0 ? octets : Buffer.concat([got, octets]);
      for (let length = lengths[step](got); length !== 0; length = lengths[step](got)) {
        if (length < 0) {
          malformed(-length);
          return;
        }
        const message = got.subarray(0, length);
        got = got.subarray(length);
        if (step === 'request') {
          over();
          socket.pause();
          if (got.length > 0) socket.unshift(got);
          if (admitted) this.obey(socket, message);
          else refuse(socket, SocksReply.Failed);
          return;
        }
        const next = this.answer(socket, step, message);
        if (next === null) {
          over();
          return;
        }
        step = next;
      }
    };
    const late = setTimeout(() => socket.destroy(), NEGOTIATION_MAX);
    socket.on('data', heard).on('end', left).on('close', over);
  }

  /** Null when the client is not to go on. */
  private answer(socket: Socket, step: Step, message: Uint8Array): Step | null {
    const { users } = this;
    if (step === 'greeting') {
      const method = users === null ? SocksMethod.None : SocksMethod.Password;
      const known = offers(message, method);
      socket.write(putChoice(known ? method : SocksMethod.NoneAcceptable));
      if (known) return users === null ? 'request' : 'credentials';
    } else {
      const { user, password } = credentials(message);
      const right = users !== null && allowed(users, user, password);
      socket.write(putVerdict(right));
      if (right) return 'request';
    }
    hangUp(socket);
    return null;
  }

  private obey(socket: Socket, request: Uint8Array): void {
    if (command(request) === SocksCommand.Connect) this.connect(socket, request);
    else if (command(request) === SocksCommand.Associate) this.associate(socket, request);
    else refuse(socket, SocksReply.CommandUnknown);
  }

  private connect(socket: Socket, request: Uint8Array): void {
    const { host, port } = where(request);
    if (port === 0) {
      refuse(socket, SocksReply.HostUnreachable);
      return;
    }
    const far = this.own(this.context.sides[opposite(this.from.side)].dial(host, port));
    let code: string | undefined;
    const failed = (): void => refuse(socket, replyFor(code));
    const gone = (): void => reset(far);
    far.once('error', (error: NodeJS.ErrnoException) => {
      code = error.code;
    });
    // A stack that has ended closes it without an error.
    far.once('close', failed);
    socket.once('close', gone);
    far.once('connect', () => {
      far.off('close', failed);
      socket.off('close', gone);
      socket.write(putReply(SocksReply.Succeeded, localAddress(far), far.localPort ?? 0));
      splice(socket, far);
    });
  }

  private associate(socket: Socket, request: Uint8Array): void {
    const near = this.context.sides[this.from.side];
    const far = this.context.sides[opposite(this.from.side)];
    const association = new SocksAssociation(this.context.core, near, far, socket, where(request).port);
    association.ready((error) => {
      if (error !== null) refuse(socket, SocksReply.Failed);
      else socket.write(putReply(SocksReply.Succeeded, localAddress(socket), association.port));
    });
    // RFC 1928 §7: it ends with the connection that asked for it, which says nothing more.
    socket.once('end', () => socket.end());
    socket.once('close', () => association.close());
    socket.resume();
  }
}

/** A reply that says why not, and the end. RFC 1928 §6. */
function refuse(socket: Socket, code: number): void {
  if (socket.destroyed) return;
  socket.write(putReply(code, anyV4(), 0));
  hangUp(socket);
}

/** What has been written is sent; what still comes is nobody's. */
function hangUp(socket: Socket): void {
  socket.once('end', () => socket.destroy());
  socket.end();
  socket.resume();
}

const localAddress = ({ localAddress: text = '0.0.0.0' }: Socket) => parseAddress(text.replace(/%.*$/, '')) ?? anyV4();

function replyFor(code: string | undefined): number {
  switch (code) {
    case 'ECONNREFUSED':
    case 'ECONNRESET':
      return SocksReply.Refused;
    case 'ENETUNREACH':
    case 'ENETDOWN':
      return SocksReply.NetworkUnreachable;
    case 'EHOSTUNREACH':
    case 'EHOSTDOWN':
    case 'ETIMEDOUT':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return SocksReply.HostUnreachable;
    case 'EACCES':
    case 'EPERM':
      return SocksReply.NotAllowed;
    default:
      return SocksReply.Failed;
  }
}
