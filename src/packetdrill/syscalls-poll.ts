import { Errno } from '../base/errors.js';
import type { Expression, SyscallAction } from './ast.js';
import { Epoll, pollEvents } from './epoll.js';
import { Mismatch, Unsupported } from './outcome.js';
import type { Process } from './process.js';
import type { Syscall } from './syscalls.js';
import { describe, fieldOf, Poll } from './values.js';

/** poll(2) and epoll(7). */
export const epollCalls: Readonly<Record<string, Syscall>> = {
  poll(process, call) {
    const list = call.args[0];
    if (list?.kind !== 'list') throw new Unsupported('poll without a list');
    const deadline = deadlineOf(process, call.args[2]);
    return () => {
      const events = list.items.map((item) => polled(process, item));
      const ready = events.filter((e) => e !== 0).length;
      if (ready === 0 && process.machine.host.clock.now < deadline) return null;
      for (const [i, item] of list.items.entries()) {
        const expected = fieldOf(item, 'revents');
        if (expected !== undefined) sameEvents(process, 'poll', expected, events[i] as number);
      }
      return ready;
    };
  },

  epoll_create: (process, call) => () => process.enter(new Epoll(), call),
  epoll_create1: (process, call) => () => process.enter(new Epoll(), call),

  epoll_ctl(process, call) {
    const epoll = process.file(call.args[0]);
    const operation = process.values.number(call.args[1]);
    const fd = process.values.number(call.args[2]);
    const file = process.files.get(fd);
    if (epoll?.kind !== 'epoll' || file?.kind !== 'socket') return () => -Errno.EBADF;
    const event = call.args[3] as Expression;
    const data = operation === 2 ? null : dataOf(event);
    const events = operation === 2 ? 0 : process.values.number(fieldOf(event, 'events'));
    return () => {
      if (operation === 1) {
        if (epoll.has(fd)) return -Errno.EEXIST;
        epoll.add(fd, file, events, data);
        return 0;
      }
      if (!epoll.has(fd)) return -Errno.ENOENT;
      if (operation === 2) epoll.remove(fd);
      else epoll.modify(fd, events, data);
      return 0;
    };
  },

  epoll_wait(process, call) {
    const epoll = process.file(call.args[0]);
    if (epoll?.kind !== 'epoll') return () => -Errno.EBADF;
    const max = process.values.number(call.args[2]);
    const deadline = deadlineOf(process, call.args[3]);
    return () => {
      const ready = epoll.ready(max);
      if (ready.length === 0 && process.machine.host.clock.now < deadline) return null;
      expectEvents(process, call, ready);
      return ready.length;
    };
  },
};

/** Milliseconds from now; a negative timeout never ends. */
function deadlineOf(process: Process, e: Expression | undefined): number {
  const timeout = process.values.number(e);
  return timeout < 0 ? Number.POSITIVE_INFINITY : process.machine.host.clock.now + timeout * 1_000;
}

function polled(process: Process, item: Expression): number {
  const file = process.file(fieldOf(item, 'fd'));
  if (file?.kind !== 'socket') return Poll.NVAL;
  return pollEvents(file, process.values.number(fieldOf(item, 'events')));
}

function sameEvents(process: Process, name: string, expected: Expression, actual: number): void {
  const wanted = process.values.number(expected);
  if (wanted !== actual) throw new Mismatch(`${name}: expected events ${describe(expected)}, got ${formatEvents(actual)}`);
}

/** One structure, or a list of them. */
function expectEvents(process: Process, call: SyscallAction, ready: readonly { events: number; data: Expression | null }[]): void {
  const given = call.args[1] as Expression;
  const expected = given.kind === 'list' ? given.items : [given];
  for (const [i, { events, data }] of ready.entries()) {
    const wanted = expected[i];
    if (wanted === undefined || wanted.kind === 'any') continue;
    const mask = fieldOf(wanted, 'events');
    if (mask !== undefined) sameEvents(process, 'epoll_wait', mask, events);
    const said = dataOf(wanted);
    if (said !== null && data !== null && describe(said) !== describe(data))
      throw new Mismatch(`epoll_wait: expected ${describe(said)}, got ${describe(data)}`);
  }
}

function dataOf(event: Expression): Expression | null {
  return fieldOf(event, 'fd') ?? fieldOf(event, 'ptr') ?? fieldOf(event, 'u32') ?? fieldOf(event, 'u64') ?? null;
}

function formatEvents(events: number): string {
  return (
    Object.entries(Poll)
      .filter(([, bit]) => (events & bit) !== 0)
      .map(([name]) => name)
      .join('|') || '0'
  );
}
