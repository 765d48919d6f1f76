/**
 * Bulk both ways, ping-pong, and connections that come and go, for a time: no heap growth, and no packet, slot or connection lost.
 * `npm run bench -- wire/endurance [seconds, default 60]`; needs root, ip and a C compiler; start node with --expose-gc for the
 * heap to be judged. Ends with exit code 1 when something has grown or was lost.
 */
import { makeNetns } from '../../test/support/netns.js';
import { compileLoad, openTap, PORT, servedStack } from './served.js';

const seconds = Number(process.argv[3] ?? 60);
/** Heap that may be more at the end than after the first of four quarters, in octets: what the compiler still learns. */
const GROWTH_MAX = 2 << 20;
const { path: load, remove } = compileLoad('tcp-load');
const ns = makeNetns('bench');
const stack = servedStack(0, openTap(ns, 0));

/** Heap and buffers when nothing is under way. */
async function used(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 300));
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Slots and descriptors that somebody holds. The device keeps some ready: they are its own. */
const held = (): Record<string, number> => {
  const { pool, slab, chunks, big } = stack.ctx;
  return { packets: pool.held, smallSlots: slab.held, chunks: chunks.held, bigSlots: big.held };
};

try {
  await ns.exec('ping', '-c', '1', '-W', '2', '10.9.0.2');
  const quarter = String(Math.max(0.2, seconds / 4 / 1.2));
  const marks: number[] = [];
  for (let i = 0; i < 4; i++) {
    const at = (port: number): string[] => ['10.9.0.2', String(PORT + port), quarter];
    const [sent, received, pings, opens] = await Promise.all([
      ns.exec(load, 'send', ...at(0), '4'),
      ns.exec(load, 'recv', ...at(1), '4'),
      ns.exec(load, 'ping', ...at(2)),
      ns.exec(load, 'open', ...at(3), '8'),
    ]);
    marks.push(await used());
    console.log(
      `${i + 1}/4: in ${sent.split(' ')[0]} MB/s, out ${received.split(' ')[0]} MB/s, ping-pong ${pings.trim()}/s, connections ${opens.split(' ')[0]}/s,` +
        ` heap and buffers ${((marks[i] as number) / 1_048_576).toFixed(1)} MB`,
    );
  }
  const growth = (marks[3] as number) - (marks[0] as number);
  const left = { ...held(), connections: stack.tcp.connections().length, retransmission: stack.tcp.sentPool.used };
  const lost = Object.entries(left).filter(([, n]) => n > 0);
  console.log(
    `growth since the first quarter: ${(growth / 1_048_576).toFixed(2)} MB${globalThis.gc === undefined ? ' (not collected: not judged)' : ''}`,
  );
  console.log(lost.length === 0 ? 'nothing is held' : `still held: ${lost.map(([what, n]) => `${n} ${what}`).join(', ')}`);
  if (lost.length > 0 || (globalThis.gc !== undefined && growth > GROWTH_MAX)) process.exitCode = 1;
} finally {
  stack.close();
  ns.remove();
  remove();
}
