import { interfaceNamed } from '../api/link.js';
import { Errno } from '../base/errors.js';
import { Ready } from '../net/socket/socket.js';
import type { TcpSocket } from '../net/socket/tcp-socket.js';
import type { Stack } from '../net/stack.js';
import { discardInput, type Serve, TcpService } from './tcp-service.js';
import { type Answer, RATE, UdpService } from './udp-service.js';

/** Options of echo, discard and chargen. */
export interface SmallServiceSpec {
  /** Where it listens. Default: everywhere. */
  readonly interfaces?: readonly string[];
  /** UDP answers a second. Default 10,000. */
  readonly rate?: number;
}

/** Something running that can be stopped. */
export interface Running {
  close(): void;
}

/** RFC 862. */
export const echo = (core: Stack, spec: SmallServiceSpec): Running =>
  both(
    core,
    7,
    spec,
    () => echoed,
    (_into, length) => length,
  );

/** RFC 863. */
export const discard = (core: Stack, spec: SmallServiceSpec): Running =>
  both(
    core,
    9,
    spec,
    () => discardInput,
    () => -1,
  );

/** RFC 864: a datagram draws one of 0 to 512 characters, at random. */
export function chargen(core: Stack, spec: SmallServiceSpec): Running {
  const { prng } = core.ctx;
  return both(core, 19, spec, generated, (into) => {
    const length = prng.below(513);
    into.set(PATTERN.subarray(0, length));
    return length;
  });
}

function both(core: Stack, port: number, { interfaces = [], rate = RATE }: SmallServiceSpec, serve: () => Serve, answer: Answer): Running {
  const indices = interfaces.map((name) => interfaceNamed(core, name, 'listen').index);
  const tcp = new TcpService(core, port, indices, serve);
  try {
    const udp = new UdpService(core, port, indices, rate, answer);
    return {
      close: () => {
        tcp.close();
        udp.close();
      },
    };
  } catch (error) {
    tcp.close();
    throw error;
  }
}

/** What the peer does not read it is not sent, and what is not sent is not read: nothing is kept here. */
function echoed(socket: TcpSocket, ready: number): boolean {
  for (let octets = socket.peek(); octets !== null; octets = socket.peek()) {
    const n = socket.write(octets);
    if (n <= 0) return (ready & Ready.HangUp) === 0;
    socket.consume(n);
  }
  return discardInput(socket);
}

/** Octets after which the pattern begins anew. */
const ROUND = 95 * 74;
/** 72 of the 95 printing characters a line, each line begun one further: RFC 864. Nine rounds, so that one write fills a window's worth. */
const PATTERN = pattern(9);

function pattern(rounds: number): Uint8Array {
  const octets = new Uint8Array(rounds * ROUND);
  for (let line = 0, at = 0; line < rounds * 95; line++) {
    for (let column = 0; column < 72; column++) octets[at++] = 32 + ((line + column) % 95);
    octets[at++] = 13;
    octets[at++] = 10;
  }
  return octets;
}

function generated(): Serve {
  let at = 0;
  return (socket) => {
    if (!discardInput(socket)) return false;
    for (;;) {
      const n = socket.write(PATTERN, at);
      if (n <= 0) return n === 0 || n === -Errno.EAGAIN;
      at = (at + n) % ROUND;
    }
  };
}
