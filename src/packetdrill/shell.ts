/**
 * Scripts set the scene with shell commands. They are recognised by their shape and done on the stack under test; nothing is run.
 * A command that is not recognised makes a script one we skip.
 */

import { parsePrefix } from '../base/address.js';
import { MAIN_TABLE } from '../net/ip/route.js';
import { HalfOpen } from '../net/tcp/half-open.js';
import { stateNames } from '../net/tcp/states.js';
import { Tcb } from '../net/tcp/tcb.js';
import { TimeWait } from '../net/tcp/time-wait.js';
import { Mismatch, Unsupported } from './outcome.js';
import type { Process } from './process.js';
import { setForeign } from './sysctl-words.js';

/** Reads a file that a script names, relative to the script; null when there is none. */
export type ReadFile = (path: string) => string | null;

/** Files that call files, at most so deep. */
const DEPTH_MAX = 4;

/** Does what the commands say. Throws Unsupported for what is not recognised, Mismatch when a test among them fails. */
export function runShell(text: string, process: Process, readFile: ReadFile, depth = 0): void {
  for (const line of commandLines(text)) runCommand(line, process, readFile, depth);
}

/** Commands in a row: lines put together, comments left out, divided at `;`, `&&` and `||`. */
function commandLines(text: string): string[] {
  return text
    .replace(/\\\r?\n/g, ' ')
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, ''))
    .flatMap((line) => line.split(/;|&&/))
    .map((line) => (line.split('||')[0] as string).replace(/\d?&?>\s*\/dev\/null|\d>&\d/g, ' ').trim())
    .filter((line) => line !== '');
}

function runCommand(line: string, process: Process, readFile: ReadFile, depth: number): void {
  const pipe = line.split('|').map((part) => words(part.trim()));
  const [name = '', ...args] = pipe[0] as string[];
  if (name === 'sysctl' || name.endsWith('set_sysctls.py')) return setSysctls(process, args);
  if (name === 'sockstat') return sockstat(process, args, pipe.slice(1));
  if (name === 'tcpdrop' && args[0] === '-s') return tcpdrop(process, args[1] as string);
  if (name === 'ip') return ip(process, args);
  if (name === 'tc' && args[0] === 'qdisc') return queueing(process, args.slice(1));
  if (name === 'echo' && args[1] === '>') return writeFile(process, args[0] as string, args[2] ?? '');
  if (name === 'setkey' && args[0] === '-F') return;
  if (name === 'nstat' && pipe.length === 1) return;
  if (name === 'true' || name.startsWith('/tmp/sysctl_restore_')) return;
  if (name.endsWith('.sh') && args.length === 0) return runFile(name, process, readFile, depth);
  throw new Unsupported(
    `command ${name === '' ? line : name}${pipe.length > 1 ? ` | ${pipe[1]?.[0]}` : args.length > 0 && !name.includes('/') ? ` ${args[0]}` : ''}`,
  );
}

/** Words of a command; quotes hold them together, `$((…))` is worked out. */
function words(part: string): string[] {
  const worked = part.replace(/\$\(\(([0-9*+\-/ ]+)\)\)/g, (_, sum: string) => String(product(sum)));
  return (worked.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? []).map((word) => word.replace(/["']/g, ''));
}

const product = (text: string): number => text.split('*').reduce((a, b) => a * Number(b), 1);

function runFile(path: string, process: Process, readFile: ReadFile, depth: number): void {
  const text = depth < DEPTH_MAX ? readFile(path) : null;
  if (text === null) throw new Unsupported(`file ${path}`);
  runShell(text, process, readFile, depth + 1);
}

function setSysctls(process: Process, args: readonly string[]): void {
  for (const arg of args) {
    const [name, value] = arg.split(/=(.*)/s);
    if (arg.startsWith('-')) continue;
    if (value === undefined) throw new Unsupported('sysctl without a value');
    setForeign(process.machine.sysctl, (name as string).replace(/^\/proc\/sys\//, '').replaceAll('/', '.'), value);
  }
}

/** Our names of states to BSD's. */
const bsdState = (name: string): string =>
  ({ 'SYN-RECEIVED': 'SYN_RCVD', 'SYN-SENT': 'SYN_SENT' })[name] ?? name.replaceAll('-', '_').replace(/(FIN_WAIT)_/, '$1_');

/** `sockstat … | [grep packetdril |] grep -c STATE | grep N`: so many are in that state. With the program's name only those it holds open. */
function sockstat(process: Process, args: readonly string[], filters: readonly (readonly string[])[]): void {
  const owned = filters.some(([, pattern]) => pattern?.startsWith('packetdril') === true);
  const counted = filters.find(([, flag]) => flag === '-c');
  const last = filters.at(-1);
  if (counted === undefined || last?.[0] !== 'grep' || filters.some(([name]) => name !== 'grep'))
    throw new Unsupported('command sockstat of another shape');
  const state = counted[2] as string;
  const port = args.includes('-p') ? Number(args[args.indexOf('-p') + 1]) : 0;
  const states = owned ? heldStates(process) : tableStates(process, port);
  const count = states.filter((s) => bsdState(s) === state).length;
  // grep looks for the digits anywhere in the count.
  if (!String(count).includes(last[1] as string)) throw new Mismatch(`sockstat: expected ${last[1]} in ${state}, got ${count}`);
}

function heldStates(process: Process): string[] {
  return [...process.files.values()].flatMap((file) => (file.kind === 'socket' && file.socket.kind === 'tcp' ? [file.socket.state] : []));
}

function tableStates(process: Process, port: number): string[] {
  const flows = process.machine.stack.tcp.flows.all().filter((flow) => port === 0 || flow.localPort === port);
  return flows.map((flow) => {
    if (flow instanceof HalfOpen) return 'SYN-RECEIVED';
    if (flow instanceof TimeWait) return 'TIME-WAIT';
    return flow instanceof Tcb ? (stateNames[flow.state] as string) : '';
  });
}

/** The queue of the device: a plain one is ours, one of no length swallows everything, fair queueing paces (Linux's fq). */
function queueing(process: Process, args: readonly string[]): void {
  const { device, sysctl } = process.machine;
  if (args[0] === 'delete' || args[0] === 'del') device.swallows = false;
  else if (args.includes('pfifo')) device.swallows = args.includes('limit') && args[args.indexOf('limit') + 1] === '0';
  else if (args.includes('fq')) sysctl.set('anystack.tcp_pacing', 1);
  else throw new Unsupported(`command tc qdisc ${args.join(' ')}`);
}

/** Parameters of Linux's modules that are tunables here: who asks for Linux's HyStart gets it. */
function writeFile(process: Process, value: string, path: string): void {
  if (path !== '/sys/module/tcp_cubic/parameters/hystart_detect') throw new Unsupported(`command echo > ${path}`);
  process.machine.sysctl.set('anystack.tcp_hystart', value === '0' ? 0 : 2);
}

/** Ends all connections in a state without a word to the peer. */
function tcpdrop(process: Process, state: string): void {
  if (state !== 'TIME_WAIT') throw new Unsupported(`tcpdrop -s ${state}`);
  const { tcp } = process.machine.stack;
  for (const flow of tcp.flows.all()) if (flow instanceof TimeWait) tcp.timeWaits.end(flow);
}

/** `ip tcp_metrics flush`, and `ip route change PEER … mtu lock N`, where the MSS announced follows from the MTU. */
function ip(process: Process, args: readonly string[]): void {
  const words = args.filter((arg) => arg !== '-6' && arg !== '-4');
  if (words[0] === 'tcp_metrics') return;
  const after = (name: string): string | undefined => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
  const mtu = Number(words.includes('lock') ? after('lock') : after('mtu'));
  const to = parsePrefix(words[2] ?? '');
  const known = words.every(
    (word, i) => i < 3 || ['via', 'dev', 'advmss', 'mtu', 'lock', 'initcwnd'].includes(word) || !/^[a-z]+$/.test(word) || words[i - 1] === 'dev',
  );
  if (words[0] !== 'route' || to === null || !known || !Number.isInteger(mtu)) throw new Unsupported(`ip ${words[0]} ${words[1]}`);
  const { stack, sysctl, device } = process.machine;
  // What we advertise is what the interface takes (RFC 9293 §3.7.1), not what a route says.
  const advertised = after('advmss');
  if (advertised !== undefined && Number(advertised) !== device.mtu - (to.address.isV4 ? 40 : 60)) throw new Unsupported('ip route advmss');
  const initial = after('initcwnd');
  if (initial !== undefined) sysctl.set('anystack.tcp_initial_window', initial);
  const index = stack.interfaces.named('tun0')?.index ?? 0;
  stack.ip.routes.add({
    family: to.address.isV4 ? 4 : 6,
    prefix: to.address,
    length: to.length,
    type: 'unicast',
    index,
    gateway: null,
    source: null,
    metric: 0,
    mtu,
    table: MAIN_TABLE,
    vrf: 0,
    protocol: 'static',
  });
}
