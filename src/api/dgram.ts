/** The shape of `node:dgram` over a stack's UDP sockets. */
import { EventEmitter } from 'node:events';
import type { Stack } from '../net/stack.js';
import { type Callable, callable } from './callable.js';
import { DgramMethods, type DgramOptions, setupDgram } from './dgram-socket.js';
import type { MessageInfo } from './dgram-state.js';
import { type Lookup, localLookup } from './lookup.js';

export type { DgramOptions } from './dgram-socket.js';
export type { MessageInfo } from './dgram-state.js';

/** A datagram socket: what `node:dgram` has, and interface, destination, ttl and traffic class of what comes. */
export type DgramSocket = DgramMethods;

/** The argument of createSocket. */
export type DgramType = 'udp4' | 'udp6' | DgramOptions;
/** Listens to 'message'. */
export type MessageListener = (message: Buffer, info: MessageInfo) => void;

/** What `import dgram from 'node:dgram'` gives, for one stack. */
export interface Dgram {
  readonly Socket: Callable<DgramSocket, [DgramType, MessageListener?]>;
  createSocket(type: DgramType, listener?: MessageListener): DgramSocket;
}

/** Options of createDgram. */
export interface CreateDgramOptions {
  /** How names become addresses. Default: only addresses and localhost do. */
  readonly lookup?: Lookup;
}

/** `node:dgram` for `stack`. */
export function createDgram(stack: Stack, options: CreateDgramOptions = {}): Dgram {
  const lookup = options.lookup ?? localLookup(() => stack.ip.v6 !== null);
  const Socket = callable<DgramSocket, [DgramType, MessageListener?]>({
    name: 'Socket',
    methods: DgramMethods,
    shared: {},
    setup(self, type, listener) {
      (EventEmitter as unknown as (this: object) => void).call(self);
      setupDgram(self, stack, lookup, type, listener);
      return undefined;
    },
  });
  return { Socket, createSocket: (type, listener) => new Socket(type, listener) };
}
