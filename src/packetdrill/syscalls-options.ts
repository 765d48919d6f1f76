import { Errno, errnoName } from '../base/errors.js';
import type { Expression, SyscallAction } from './ast.js';
import { Mismatch, Unsupported } from './outcome.js';
import type { OpenSocket, Process } from './process.js';
import type { Syscall } from './syscalls.js';
import { describe, fieldOf } from './values.js';

const O_RDWR = 2;

/** Calls that read or change what a descriptor is like. */
export const optionCalls: Readonly<Record<string, Syscall>> = {
  fcntl(process, call) {
    const file = process.file(call.args[0]);
    if (file === undefined) return () => -Errno.EBADF;
    const command = process.values.number(call.args[1]);
    const { nonBlocking } = process.values;
    if (command === 3) return () => O_RDWR | (file.kind === 'socket' && file.nonBlocking ? nonBlocking : 0);
    if (command !== 4) throw new Unsupported(`fcntl ${describe(call.args[1] as Expression)}`);
    const flags = process.values.number(call.args[2]);
    return () => {
      if (file.kind === 'socket') file.nonBlocking = (flags & nonBlocking) !== 0;
      return 0;
    };
  },

  ioctl(process, call) {
    const open = process.tcp(call.args[0]);
    if (open === null) return () => -Errno.EBADF;
    const name = describe(call.args[1] as Expression);
    const octets = {
      SIOCINQ: () => open.socket.available,
      FIONREAD: () => open.socket.available,
      SIOCOUTQ: () => open.socket.unackedOctets,
      SIOCOUTQNSD: () => open.socket.unsentOctets,
    }[name];
    if (octets === undefined) throw new Unsupported(`ioctl ${name}`);
    return () => {
      const expected = process.values.single(call.args[2]);
      if (octets() !== expected) throw new Mismatch(`ioctl ${name}: expected ${expected}, got ${octets()}`);
      return 0;
    };
  },

  getsockopt(process, call) {
    const open = process.socket(call.args[0]);
    if (open === null) return () => -Errno.EBADF;
    const name = optionName(call);
    if (name === 'TCP_INFO') throw new Unsupported('getsockopt TCP_INFO');
    return () => {
      const value = open.socket.getOption(name);
      const errors = process.values.numberOrNull(call.result) !== 0;
      if (typeof value === 'number' && value < 0 && name !== 'SO_LINGER') {
        if (value === -Errno.ENOPROTOOPT && !errors) throw new Unsupported(`getsockopt ${name}`);
        return value;
      }
      checkValue(process, name, call.args[3] as Expression, value);
      return 0;
    };
  },

  setsockopt(process, call) {
    const open = process.socket(call.args[0]);
    if (open === null) return () => -Errno.EBADF;
    const name = optionName(call);
    const value = optionValue(process, name, call.args[3] as Expression);
    return () => {
      const result = setOption(open, name, value);
      if (result === -Errno.ENOPROTOOPT && call.errno === null) throw new Unsupported(`setsockopt ${name}`);
      return result;
    };
  },
};

function optionName(call: SyscallAction): string {
  const name = call.args[2];
  if (name?.kind !== 'word') throw new Unsupported(`${call.name} of option ${name === undefined ? 'missing' : describe(name)}`);
  return name.name;
}

function setOption(open: OpenSocket, name: string, value: number | string): number {
  return open.socket.setOption(name, value);
}

/** `[1]`, `{onoff=1, linger=0}`, `"reno"`. SO_LINGER is seconds, −1 when off. */
function optionValue(process: Process, name: string, e: Expression): number | string {
  if (e.kind === 'string') return e.text;
  if (e.kind === 'struct') {
    const seconds = fieldOf(e, 'linger') ?? fieldOf(e, 'l_linger');
    const on = fieldOf(e, 'onoff') ?? fieldOf(e, 'l_onoff');
    if (name !== 'SO_LINGER' || seconds === undefined || on === undefined) throw new Unsupported(`setsockopt ${name} ${describe(e)}`);
    return process.values.number(on) === 0 ? -1 : process.values.number(seconds);
  }
  return process.values.single(e);
}

function checkValue(process: Process, name: string, e: Expression, value: number | string): void {
  const wrong = (expected: string, got: string): Mismatch => new Mismatch(`getsockopt ${name}: expected ${expected}, got ${got}`);
  if (e.kind === 'string') {
    if (e.text !== value) throw wrong(`"${e.text}"`, `"${value}"`);
    return;
  }
  if (e.kind === 'struct') {
    checkLinger(process, e, Number(value), wrong);
    return;
  }
  const item = e.kind === 'list' ? (e.items[0] ?? { kind: 'any' }) : e;
  if (item.kind === 'any') return;
  const expected = process.values.number(item);
  if (expected === value) return;
  if (name === 'SO_ERROR') throw wrong(expected === 0 ? '0' : errnoName(expected), value === 0 ? '0' : errnoName(Number(value)));
  throw wrong(String(expected), String(value));
}

/** BSD answers with the option's bit, Linux with 1: any truth will do. */
function checkLinger(process: Process, e: Expression, value: number, wrong: (expected: string, got: string) => Mismatch): void {
  const on = fieldOf(e, 'onoff');
  const seconds = fieldOf(e, 'linger');
  if (on !== undefined && on.kind !== 'any' && (process.values.number(on) !== 0) !== value >= 0) throw wrong(describe(e), value < 0 ? 'off' : 'on');
  if (seconds !== undefined && seconds.kind !== 'any' && value >= 0 && process.values.number(seconds) !== value)
    throw wrong(describe(e), String(value));
}
