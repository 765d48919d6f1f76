/**
 * Established throughput while 100,000 SYNs a second come over the same TAP from another process: rounds with and without interleaved,
 * medians. `npm run bench -- wire/synflood [seconds] [rounds] [rate]`; needs root, ip and a C compiler.
 */
import { type Address, parseAddress } from '#src/base/address.js';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import { makeNetns } from '../../test/support/netns.js';
import { compileLoad, median, openTap, PORT, servedStack } from './served.js';

const [seconds = '1', roundsText = '5', rate = '100000'] = process.argv.slice(3);
const { path: load, remove } = compileLoad('tcp-load');
const ns = makeNetns('bench');
const stack = servedStack(0, openTap(ns, 0));
try {
  // The forged addresses lie behind the host, which drops what is sent to them.
  stack.ip.routes.add({
    family: 4,
    prefix: parseAddress('198.18.0.0') as Address,
    length: 15,
    type: 'unicast',
    index: stack.interfaces.named('eth0')?.index as number,
    gateway: parseAddress('10.9.0.1'),
    source: null,
    metric: 0,
    mtu: 0,
    table: MAIN_TABLE,
    vrf: 0,
    protocol: 'static',
  });
  await ns.exec('ping', '-c', '1', '-W', '2', '10.9.0.2');
  const bulk = async (): Promise<number> => Number((await ns.exec(load, 'send', '10.9.0.2', String(PORT), seconds, '1')).split(' ')[0]);
  const quiet: number[] = [];
  const flooded: number[] = [];
  const rates: number[] = [];
  for (let round = 0; round < Number(roundsText); round++) {
    quiet.push(await bulk());
    const answered = stack.ctx.counters.get('TcpOutSegs');
    const flood = ns.exec(load, 'syn', '10.9.0.2', String(PORT + 3), String(1.3 * Number(seconds)), rate);
    flooded.push(await bulk());
    rates.push(Number(await flood));
    if (round === 0) console.log(`segments sent meanwhile: ${stack.ctx.counters.get('TcpOutSegs') - answered}`);
  }
  console.log(
    `in, 1 connection: ${median(quiet).toFixed(0)} MB/s; under ${median(rates).toFixed(0)} SYN/s ${median(flooded).toFixed(0)} MB/s,` +
      ` ratio ${(median(flooded) / median(quiet)).toFixed(2)}, asked 0.8`,
  );
} finally {
  stack.close();
  ns.remove();
  remove();
}
