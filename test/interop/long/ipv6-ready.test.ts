import assert from 'node:assert/strict';
import { type AnyStack, createStack } from '#src/index.js';
import { makeNetns, type Netns } from '../../support/netns.js';
import { GLOBAL, LL, line, PREFIX, type Station, TN1, TN2, TR1 } from '../../support/ready.js';
import { needs } from '../../support/requirements.js';
import { concat, hex } from '../../support/wire.js';
import { icmp6, ipv6, octets6, prefixOption, seenIn, sourceLink, targetLink } from '../../support/wire6.js';

/** What the node said, and when: milliseconds. */
interface Said {
  readonly line: string;
  readonly at: number;
}

/**
 * The IPv6 Ready list's parts that live by the clock, as a tester outside sees them: our stack on a TAP, the tester's frames on
 * another, a Linux bridge between. In virtual time all parts stand in test/net/ipv6/ready.
 */
describe('IPv6 Ready Logo over TAPs, in real time', function () {
  this.timeout(120_000);
  let linux: Netns;
  let node: AnyStack;
  let tester: AnyStack;
  const said: Said[] = [];
  /** Sends what the tester answers with, if it does. */
  let answers: (line: string) => void = () => {};

  const frame = (from: Station, packet: Uint8Array, to = '020000000001'): void => {
    port.send(concat(hex(to), hex(from.mac), hex('86dd'), packet));
  };
  const icmp = (from: Station, type: number, rest: number, body: Uint8Array, src: string, dst: string, hops = 255): void => {
    const to = dst.startsWith('ff') ? '333300000001' : undefined;
    frame(from, ipv6({ src, dst, hops, next: 58, payload: icmp6(type, 0, rest, body, src, dst) }), to);
  };
  const ask = (from: Station, src = from.ll, dst = LL, size = 8): void => icmp(from, 128, 0xffff0001, new Uint8Array(size), src, dst, 64);
  const advertise = (reachable: number, retrans: number): void => {
    const times = Uint8Array.from([reachable, retrans].flatMap((ms) => [ms >>> 24, (ms >>> 16) & 255, (ms >>> 8) & 255, ms & 255]));
    icmp(TR1, 134, 1_800, concat(times, sourceLink(TR1.mac), prefixOption(PREFIX, 64, 0xc0, 86_400, 43_200)), TR1.ll, 'ff02::1');
  };
  const advert = (s: Station, target = s.ll): void => icmp(s, 136, 0x60000000, concat(octets6(target), targetLink(s.mac)), target, LL);
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  /** The first `count` lines that begin so, from now on; fails when they do not come. */
  const next = async (start: string, count = 1, ms = 20_000): Promise<Said[]> => {
    const from = said.length;
    const found = (): Said[] => said.slice(from).filter((s) => s.line.startsWith(start));
    for (const end = Date.now() + ms; found().length < count; await sleep(20)) assert(Date.now() < end, `${start}: ${found().length} of ${count}`);
    return found();
  };
  /** Spans between lines are no shorter than `seconds`. */
  const apart = (lines: readonly Said[], seconds: number): void => {
    for (let i = 1; i < lines.length; i++) {
      const span = (lines[i] as Said).at - (lines[i - 1] as Said).at;
      assert.ok(span >= seconds * 1_000 - 100, `${span} ms of ${seconds} s: ${(lines[i] as Said).line}`);
    }
  };
  let port: ReturnType<AnyStack['packet']['createSocket']>;

  before(async function () {
    needs(this, 'tap', 'netns');
    linux = makeNetns('ready');
    linux.run('ip', 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0');
    const tap = (name: string, mac: string): object => ({ type: 'tap', name, netns: linux.path, mac });
    tester = createStack({
      name: 'tester',
      sysctl: { 'net.ipv6.conf.all.disable_ipv6': 1 },
      interfaces: { eth0: { device: tap('tester', '02:00:00:00:00:f0') } },
    } as never);
    for (const dev of ['br0', 'tester']) linux.run('sysctl', '-qw', `net.ipv6.conf.${dev}.disable_ipv6=1`);
    linux.run('ip', 'link', 'set', 'tester', 'master', 'br0');
    linux.run('ip', 'link', 'set', 'tester', 'up');
    linux.run('ip', 'link', 'set', 'br0', 'up');
    await tester.ready;
    port = tester.packet.createSocket({ interface: 'eth0', direction: 'in' }, (octets, { time }) => {
      const seen = seenIn(octets);
      if (seen === null || octets.readUIntBE(6, 6) !== 0x020000000001 || seen.next === 0) return;
      said.push({ line: line(seen), at: time / 1_000 });
      answers(line(seen));
    });
    node = createStack({
      name: 'node',
      sysctl: { 'net.ipv6.conf.all.addr_gen_mode': 0 },
      interfaces: { eth0: { device: tap('node', '02:00:00:00:00:01'), addresses: ['auto'] } },
    } as never);
    linux.run('sysctl', '-qw', 'net.ipv6.conf.node.disable_ipv6=1');
    linux.run('ip', 'link', 'set', 'node', 'master', 'br0');
  });

  after(async () => {
    await node?.close();
    await tester?.close();
    linux?.remove();
  });

  it('v6LC.3.1.1, 2.2.1: the link-local address is probed for, then routers are asked for, 4 s apart at least', async () => {
    const heard = next(`dad ${LL}`);
    linux.run('ip', 'link', 'set', 'node', 'up');
    const [probe] = await heard;
    const asked = await next('rs', 2);
    apart([probe as Said, asked[0] as Said], 1);
    apart(asked, 4);
  });

  it('v6LC.2.1.5: three questions, a retransmit time apart, as the router says', async () => {
    const first = next(`ns ${TN1.ll}`, 3);
    ask(TN1);
    apart(await first, 1);
    advertise(4_000, 3_000);
    await next(`dad ${GLOBAL}`);
    await sleep(1_500);
    const slow = next(`ns ${TN1.ll}`, 3);
    ask(TN1);
    apart(await slow, 3);
  });

  it('v6LC.2.1.6: reachable, then stale; five seconds after the next packet three probes to its link address', async () => {
    advertise(4_000, 1_000);
    await sleep(4_000); // the questions of before come to their end
    answers = (l) => l === `ns ${TN1.ll}` && advert(TN1);
    const reply = next(`reply ${TN1.ll} via TN1`);
    ask(TN1);
    await reply;
    answers = () => {};
    await sleep(6_100); // one and a half of the reachable time
    const [again, probes] = [next(`reply ${TN1.ll} via TN1`), next(`ns ${TN1.ll} via TN1`, 3)];
    ask(TN1);
    const [back] = await again;
    const three = await probes;
    apart([back as Said, three[0] as Said], 5);
    apart(three, 1);
  });

  it('v6LC.4.1.5: an echo reply goes in fragments that fit the path MTU a router told', async () => {
    answers = (l) => l.startsWith(`ns ${TR1.ll}`) && advert(TR1);
    const whole = next(`reply ${TN2.global} via TR1`);
    ask(TR1, TN2.global, GLOBAL, 1_392);
    await whole;
    const about = ipv6({ src: GLOBAL, dst: TN2.global, next: 58, payload: new Uint8Array(1_184).fill(129, 0, 1) });
    icmp(TR1, 2, 1_304, about, TR1.ll, GLOBAL, 64);
    const pieces = next(`fragment 1304 ${TN2.global} via TR1`);
    ask(TR1, TN2.global, GLOBAL, 1_392);
    await pieces;
  });
});
