import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { OptionValues } from 'commander';
import { controlDirectory } from '../../control/protocol.js';
import { ControlServer } from '../../control/server.js';
import { inMemory, onTap, type Place, type Refusal, refusal } from './place.js';
import { run as runProgram } from './run.js';
import { drive } from './steps.js';

/** How the stack of a demo is reached. */
type Reach = 'host' | 'namespace' | 'memory';

/** Set in the process inside a namespace of its own: why it is there. */
const INSIDE = 'ANYSTACK_DEMO_INSIDE';

/** `anystack demo`: chooses where, drives itself, and with --serve serves until Ctrl-C. */
export async function run(_words: readonly string[], options: OptionValues): Promise<number> {
  const why = process.env[INSIDE];
  const code = why === undefined ? await outside(options) : await inside(why, options);
  // What a listener shared with the other process still holds open is over.
  process.exit(code);
}

async function outside(options: OptionValues): Promise<number> {
  if (options['memory']) return at('memory', inMemory(), 'as asked', await relayListener(), options);
  let refused: Refusal = { why: 'as asked', elsewhere: true };
  if (!options['namespace']) {
    try {
      return await at('host', onTap(), 'this user may make one', await relayListener(), options);
    } catch (error) {
      refused = refusal(error) ?? rethrow(error);
    }
  }
  const code = refused.elsewhere ? await inNamespace(refused.why, await relayListener()) : null;
  if (code !== null) return code;
  return at('memory', inMemory(), `${refused.why}${refused.elsewhere ? ', nor in a namespace of its own' : ''}`, await relayListener(), options);
}

/** The process in the namespace: its stack on TAPs there, its relay on a listener made outside. */
async function inside(why: string, options: OptionValues): Promise<number> {
  const listener = await new Promise<Server>((resolve) => process.once('message', (_message, handle) => resolve(handle as Server)));
  // A fresh namespace has a loopback that is down.
  await runProgram('ip', ['link', 'set', 'lo', 'up']);
  let place: Place;
  try {
    place = onTap();
  } catch (error) {
    if (refusal(error) === null) throw error;
    return NO_PLACE;
  }
  process.send?.({ started: true });
  const code = await at('namespace', place, why, listener, options);
  process.disconnect();
  return code;
}

function rethrow(error: unknown): never {
  throw error;
}

/** Exit code of the inner process where a TAP is not to be had there either. */
const NO_PLACE = 77;

/** Runs the demo again inside a user and network namespace. Null where there is none to be had. */
function inNamespace(why: string, listener: Server): Promise<number | null> {
  return new Promise((resolve) => {
    const [node, ...words] = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    const env = { ...process.env, [INSIDE]: why, ANYSTACK_CONTROL_DIR: controlDirectory() };
    const child: ChildProcess = spawn('unshare', ['--user', '--map-root-user', '--net', '--', node as string, ...words], {
      env,
      stdio: ['inherit', 'inherit', 'pipe', 'ipc'],
    });
    let started = false;
    let early = '';
    child.stderr?.on('data', (octets) => {
      if (started) process.stderr.write(String(octets));
      else early += String(octets);
    });
    child.on('message', (message: { started?: boolean }) => {
      if (message.started !== true) return;
      started = true;
      process.stderr.write(early);
    });
    child.on('error', () => resolve(null));
    child.on('exit', (code, signal) => resolve(started ? (code ?? (signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : 1)) : null));
    // Once it is there it is closed here: of two who listen either may be given a connection.
    child.send('listener', listener, (error) => {
      listener.close();
      if (error) child.kill();
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  });
}

/** On a free port of this machine's loopback, where browsers are. */
function relayListener(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true });
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

const where: Readonly<Record<Reach, string>> = {
  host: 'on a TAP of this machine',
  namespace: 'on a TAP in a network namespace of its own',
  memory: 'on a network in memory, a second stack in the place of the kernel',
};

async function at(reach: Reach, place: Place, why: string, listener: Server, options: OptionValues): Promise<number> {
  const { stack, address } = place;
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  // A folder of its own: the names in the common one are anybody's to take beforehand.
  const folder = mkdtempSync(join(tmpdir(), 'anystack-demo-'));
  const capture = join(folder, 'demo.pcapng');
  let end: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end());
  process.once('disconnect', () => end());
  listener.on('connection', (socket: Socket) => relay(socket, place));
  let control: ControlServer | null = null;
  try {
    say(`anystack ${where[reach]} (${why})`);
    control = await ControlServer.listen(stack, { down: () => setImmediate(end), reload: () => {}, about: { reach } }).catch(() => null);
    const ok = await Promise.race([drive(place, capture, ({ label, text }) => say(`  ${label.padEnd(14)} ${text}`)), ended.then(() => false)]);
    if (!options['serve']) return ok ? 0 : 1;
    const port = (listener.address() as AddressInfo).port;
    for (const line of suggestions(reach, port, address, control !== null, capture)) say(line);
    await ended;
    return 0;
  } finally {
    control?.close();
    listener.close();
    if (options['serve']) rmSync(folder, { recursive: true, force: true });
    await Promise.race([place.close(), new Promise((resolve) => setTimeout(resolve, 500))]);
  }
}

/** Only what works from the user's own shell. */
function suggestions(reach: Reach, port: number, address: string, controlled: boolean, capture: string): string[] {
  const command = `node ${relative(process.cwd(), process.argv[1] as string)}`;
  const all = [`curl http://127.0.0.1:${port}/metrics`];
  if (reach === 'host') all.push(`ping -c 3 ${address}`, `curl http://${address}/`);
  if (controlled) {
    if (reach === 'namespace') all.push(`${command} exec --stack demo -- ping -c 3 ${address}`);
    all.push(
      `${command} ss -i --stack demo`,
      `${command} sysctl --stack demo -w net.ipv4.tcp_congestion_control=reno`,
      `${command} nstat --stack demo`,
    );
  }
  return [
    '',
    `Serving. Open http://127.0.0.1:${port}/ in a browser, look at ${capture} with wireshark, or try:`,
    ...all.map((line) => `  ${line}`),
    'Ctrl-C ends it and leaves nothing behind.',
  ];
}

/** One connection from outside to the stack's port 80. */
function relay(socket: Socket, { peer, address }: Place): void {
  const inner = peer.connect(address, 80);
  socket.pipe(inner).pipe(socket);
  socket.on('error', () => inner.destroy());
  inner.on('error', () => socket.destroy());
  socket.on('close', () => inner.destroy());
  inner.on('close', () => socket.end());
}
