/**
 * What the stack adds to an answer: one octet there and back, ping, and UDP, beside the bare responder on the same device layer in
 * the same run, rounds interleaved (A B A B …), medians; a first round does not count, in which V8 compiles the far longer path of
 * the stack. `npm run bench -- wire/latency [seconds] [rounds]`; needs root, ip, ping and a C compiler. On a machine with an idle
 * core the waking of it is most of a round trip; with busy poll it is not.
 */
import { makeNetns, type Netns } from '../../test/support/netns.js';
import { Responder } from './responder.js';
import { compileLoad, median, openTap, PORT, servedStack } from './served.js';

const [seconds = '1', roundsText = '5'] = process.argv.slice(3);
const load = compileLoad('load');
const tcpLoad = compileLoad('tcp-load');

/** A figure of one round. */
type Row = (ns: Netns) => Promise<number>;
const A = '10.9.0.2';
const B = '10.9.1.2';

const first = async (output: Promise<string>): Promise<number> => Number((await output).split(' ')[0]);
const echo = (ns: Netns, to: string, octets: number, window: number): Promise<number> =>
  first(ns.exec(load.path, 'echo', to, '7', String(octets), seconds, String(window)));
const ping = async (ns: Netns, to: string): Promise<number> =>
  Number(/= [\d.]+\/([\d.]+)\//.exec(await ns.exec('ping', '-q', '-A', '-c', String(Math.round(2_000 * Number(seconds))), to))?.[1]) * 1_000;

for (const busyPollMicros of [0, 50]) {
  const ns = makeNetns('bench');
  const a = openTap(ns, 0, { busyPollMicros });
  const responder = new Responder(a.host, a.device, A);
  const b = openTap(ns, 1, { busyPollMicros });
  const stack = servedStack(1, b);
  const received = (): number => b.device.statistics?.()['rxFrames'] as number;
  /** Datagrams that the application has read, of a flood of them. */
  const flood: Row = async (on) => {
    const before = stack.ctx.counters.get('UdpInDatagrams');
    await on.exec(load.path, 'flood', B, '9', '64', seconds);
    return (stack.ctx.counters.get('UdpInDatagrams') - before) / Number(seconds);
  };
  const bareFlood: Row = async (on) => {
    responder.sink = true;
    const before = responder.frames;
    await on.exec(load.path, 'flood', A, '9', '64', seconds);
    responder.sink = false;
    return (responder.frames - before) / Number(seconds);
  };
  const rows: readonly (readonly [string, Row, Row, string])[] = [
    [
      '1 octet, TCP against bare UDP, /s',
      (on) => echo(on, A, 1, 1),
      (on) => first(on.exec(tcpLoad.path, 'ping', B, String(PORT + 2), seconds)),
      '>= 0.7',
    ],
    ['1 octet, UDP against bare UDP, /s', (on) => echo(on, A, 1, 1), (on) => echo(on, B, 1, 1), ''],
    ['ping, us', (on) => ping(on, A), (on) => ping(on, B), '<= 1.25'],
    ['UDP echo of 64, 32 under way, /s', (on) => echo(on, A, 64, 32), (on) => echo(on, B, 64, 32), '>= 150,000/s'],
    ['UDP of 64 received, /s', bareFlood, flood, '>= 300,000/s'],
  ];
  try {
    for (const address of [A, B]) await ns.exec('ping', '-c', '1', '-W', '2', address);
    const figures = rows.map(() => [[], []] as [number[], number[]]);
    for (let round = -1; round < Number(roundsText); round++) {
      for (const [r, [, bare, ours]] of rows.entries()) {
        const pair = [await bare(ns), await ours(ns)] as const;
        if (round < 0) continue;
        figures[r]?.[0].push(pair[0]);
        figures[r]?.[1].push(pair[1]);
      }
    }
    console.log(`-- busy poll ${busyPollMicros} us${''.padEnd(19)}      responder          stack  ratio  asked (${received()} frames)`);
    for (const [r, [title, , , asked]] of rows.entries()) {
      const [bare, ours] = (figures[r] as [number[], number[]]).map(median) as [number, number];
      console.log(
        `${title.padEnd(34)}${bare.toFixed(0).padStart(15)}${ours.toFixed(0).padStart(15)}${(ours / bare).toFixed(2).padStart(7)}  ${asked}`,
      );
    }
  } finally {
    a.device.close();
    stack.close();
    ns.remove();
  }
}
load.remove();
tcpLoad.remove();
