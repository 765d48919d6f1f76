import assert from 'node:assert/strict';
import { Prng } from '#src/base/prng.js';
import { seconds } from '#src/base/time.js';
import { memoryHub } from '#src/hyper/memory-link.js';
import { VirtualClock } from '#src/hyper/virtual-host.js';
import { FilterRule } from '#src/net/filter/rule.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { address, assertEmpty, lone, prefix } from '../support/stacks.js';
import { Bench, concat, hex, icmp, ipv4, udp } from '../support/wire.js';

const dual = { 'net.ipv6.conf.all.disable_ipv6': 0 };

/** Frames to mutate: what two stacks of ours say to each other, and some they never would. */
function seeds(): Uint8Array[] {
  const clock = new VirtualClock();
  const [d0, d1] = memoryHub(2, { offloads: 0 });
  const frames: Uint8Array[] = [];
  const stacks = [d0, d1].map((device, n) => {
    const { stack } = lone(clock, `seed${n}`, { sysctl: dual }, n + 1);
    const eth0 = stack.addInterface('eth0', device as NonNullable<typeof device>);
    stack.addAddress(eth0, prefix(`10.0.0.${9 - 8 * n}/24`));
    stack.addAddress(eth0, prefix(`fd00::${9 - 8 * n}/64`));
    return stack;
  });
  const [a, b] = stacks as [(typeof stacks)[0], (typeof stacks)[0]];
  a.ctx.observer.tx = (_iface, packet) => {
    const frame = new Uint8Array(packet.length);
    frame.set(packet.bytes.subarray(packet.head, packet.tail));
    if (packet.pieces === 0 && frames.length < 400) frames.push(frame);
  };
  for (const family of [4, 6] as const) {
    const to = address(family === 4 ? '10.0.0.1' : 'fd00::1');
    const listener = b.tcp.openSocket(family);
    listener.bind(null, 80);
    listener.listen(5);
    clock.advance(seconds(3));
    const socket = a.tcp.openSocket(family);
    socket.connect(to, 80);
    clock.advance(seconds(0.1));
    (listener.accept() as TcpSocket).write(new Uint8Array(3_000), 0, 3_000);
    socket.write(new Uint8Array(100), 0, 100);
    const datagrams = a.udp.openSocket(family);
    datagrams.sendTo(new Uint8Array(3_000), 0, 3_000, to, 7);
    clock.advance(seconds(0.5));
    socket.close();
    datagrams.close();
    clock.advance(seconds(1));
  }
  for (const stack of stacks) stack.close();
  const ether = (payload: Uint8Array, type = '0800'): Uint8Array => concat(hex(`020000000001 020000000009 ${type}`), payload);
  const quoted = ipv4({ src: '10.0.0.1', dst: '10.0.0.9', protocol: 6, payload: hex('0050 1234 00000001 00000002 5010 ffff 0000 0000') });
  frames.push(
    ether(ipv4({ protocol: 1, payload: icmp(8, 0, 1, new Uint8Array(60)) })),
    ether(ipv4({ protocol: 1, payload: icmp(3, 4, 1_000, quoted) })),
    ether(ipv4({ protocol: 1, payload: icmp(5, 1, 0x0a000002, quoted) })),
    ether(ipv4({ options: '07 07 04 00000000 00', payload: udp(1, 7) })),
    ether(ipv4({ fragment: 0x2000, payload: udp(1, 7, new Uint8Array(40)) })),
    ether(ipv4({ protocol: 2, ttl: 1, dst: '224.0.0.1', payload: hex('11 64 ee 9b 00000000') })),
    ether(concat(hex('0005 0800'), ipv4({ payload: udp(1, 7) })), '8100'),
    ether(ipv4({ protocol: 50, payload: new Uint8Array(64) })),
    ether(ipv4({ protocol: 51, payload: new Uint8Array(64) })),
    ether(ipv4({ protocol: 4, payload: ipv4({ payload: udp(1, 7) }) })),
  );
  return frames;
}

const COUNT = Number(process.env['ANYSTACK_FUZZ'] ?? 100_000);
const SEED = Number(process.env['ANYSTACK_SEED'] ?? 1);

describe('fuzzing', function () {
  this.timeout(Math.max(60_000, COUNT));

  it(`${COUNT} mutated frames: nothing throws, nothing is left, every bound holds (ANYSTACK_SEED=${SEED})`, () => {
    const prng = new Prng(SEED);
    const frames = seeds();
    assert(frames.length > 30, `${frames.length} seeds`);
    const t = new Bench(['10.0.0.1/24', 'fd00::1/64'], { sysctl: dual });
    t.stack.ctx.sysctl.set('net.ipv4.ip_forward', 1);
    t.stack.filter.set([
      {
        name: 'in',
        hook: 'input',
        policy: 'accept',
        rules: [new FilterRule({ protocol: 6, destinationPort: [81, 90] }, { kind: 'reject', with: 'tcp-reset' })],
      },
      { name: 'out', hook: 'postrouting', policy: 'accept', rules: [new FilterRule({}, { kind: 'masquerade' })] },
    ]);
    const sockets = [7, 80].map((port) => {
      const udpSocket = t.stack.udp.openSocket(46);
      udpSocket.bind(null, port);
      return udpSocket;
    });
    const listener = t.stack.tcp.openSocket(46);
    listener.bind(null, 80);
    listener.listen(16);
    const accepted: TcpSocket[] = [];
    for (let i = 0; i < COUNT; i++) {
      t.frame(mutate(prng, frames[prng.below(frames.length)] as Uint8Array));
      if (i % 16 !== 0) continue;
      t.frames();
      for (let one = listener.accept(); one !== null; one = listener.accept()) accepted.push(one);
      if (accepted.length > 8) accepted.shift()?.abort();
      if (i % 1_024 === 0) t.run(seconds(1));
    }
    assert.deepEqual(
      t.events.filter((event) => event.startsWith('failed')),
      [],
      'no assertion of the stack failed',
    );
    assert.equal(t.stack.state, 'running');
    // The stack still answers.
    t.run(seconds(120));
    t.frames();
    t.introduce();
    t.ip({ protocol: 1, payload: icmp(8, 0, 7) });
    assert(
      t.packets().some((p) => p[9] === 1 && p[20] === 0),
      'an echo reply',
    );
    for (const one of accepted) one.abort();
    for (const socket of sockets) socket.close();
    listener.close();
    t.end();
    assertEmpty(t.stack);
  });
});

/** Changes some octets, cuts, lengthens or doubles a part; now and then the IPv4 and transport checksums are set right again, so that what is behind them is reached. */
function mutate(prng: Prng, seed: Uint8Array): Uint8Array {
  let frame: Uint8Array = seed.slice();
  for (let n = prng.below(5); n >= 0; n--) {
    const at = prng.below(frame.length);
    switch (prng.below(8)) {
      case 0:
        frame = frame.slice(0, Math.max(1, at));
        break;
      case 1:
        frame = concat(frame, new Uint8Array(prng.below(64)).fill(prng.below(256)));
        break;
      case 2:
        frame[at] = [0, 1, 0x7f, 0x80, 0xff][prng.below(5)] as number;
        break;
      case 3:
        frame.copyWithin(at, prng.below(frame.length), frame.length);
        break;
      default:
        frame[at] = (frame[at] as number) ^ (1 << prng.below(8));
    }
    frame = frame.slice(0, 1_600);
  }
  if (prng.below(4) > 0 && frame.length > 14) frame.set(seed.subarray(0, Math.min(14, seed.length)), 0);
  if (prng.below(4) > 0) repair(frame);
  return frame;
}

function repair(frame: Uint8Array): void {
  if (frame.length < 34 || frame[12] !== 8 || frame[13] !== 0) return;
  const header = ((frame[14] as number) & 15) * 4;
  if (header < 20 || 14 + header > frame.length) return;
  const total = Math.min(frame.length - 14, ((frame[16] as number) << 8) | (frame[17] as number));
  put(frame, 24, onesComplement(frame, 14, 14 + header, 24, 0));
  const protocol = frame[23] as number;
  const at = 14 + header;
  const end = 14 + total;
  const field = protocol === 6 ? at + 16 : protocol === 17 ? at + 6 : protocol === 1 || protocol === 2 ? at + 2 : -1;
  if (field < 0 || field + 2 > end || field + 2 > frame.length) return;
  let pseudo = 0;
  if (protocol === 6 || protocol === 17) {
    for (let i = 26; i < 34; i += 2) pseudo += ((frame[i] as number) << 8) | (frame[i + 1] as number);
    pseudo += protocol + (end - at);
  }
  put(frame, field, onesComplement(frame, at, end, field, pseudo));
}

const put = (frame: Uint8Array, at: number, value: number): void => frame.set([value >> 8, value & 255], at);

function onesComplement(frame: Uint8Array, from: number, to: number, field: number, start: number): number {
  let sum = start;
  for (let i = from; i < to; i += 2) if (i !== field) sum += ((frame[i] as number) << 8) | (i + 1 < to ? (frame[i + 1] as number) : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
