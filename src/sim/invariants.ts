import type { AnyStack } from '../anystack.js';

/** Something a run must never do. The message tells what and where. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws InvariantError unless `fact`. */
export function invariant(fact: boolean, what: string): asserts fact {
  if (!fact) throw new InvariantError(what);
}

/** Drop reasons that mean a bound was passed or memory ran out; no ordinary run may meet them. */
const NEVER_DROPPED = [
  'NoBuffer',
  'DeviceQueueFull',
  'LoopbackQueueFull',
  'TcpConnectionsMax',
  'TcpReceiveMemory',
  'NeighborTableFull',
  'FragmentMemory',
] as const;

/** Connections that have not ended: TIME-WAIT is an end. */
export function openConnections(stack: AnyStack): number {
  return stack.ss().filter((s) => s.kind === 'tcp' && s.state !== 'LISTEN' && s.state !== 'TIME-WAIT').length;
}

/** Throws when a bound was passed in a stack that still runs. */
export function checkBounds(stack: AnyStack): void {
  const { ctx, state } = stack.core;
  invariant(state === 'running', `${stack.name}: an assertion of the stack failed`);
  const dropped = ctx.counters.dropped();
  for (const reason of NEVER_DROPPED) invariant((dropped[reason] ?? 0) === 0, `${stack.name}: ${dropped[reason]} packets dropped with ${reason}`);
  invariant(ctx.pool.made <= ctx.pool.max, `${stack.name}: more packet descriptors than allowed`);
}

/** Throws when a stack without open connections still holds a packet, a slot or octets of a socket. */
export function checkQuiet(stack: AnyStack): void {
  const { ctx } = stack.core;
  const held = { packets: ctx.pool.held, slots: ctx.slab.held, 'big slots': ctx.big.held, chunks: ctx.chunks.held };
  for (const [what, n] of Object.entries(held)) invariant(n === 0, `${stack.name}: ${n} ${what} still held when all is quiet`);
}

/** The same after close, when not even a timer may be left. */
export function checkClosed(stack: AnyStack): void {
  checkQuiet(stack);
  const { armed } = stack.core.ctx.wheel;
  invariant(armed === 0, `${stack.name}: ${armed} timers still armed after close`);
}
