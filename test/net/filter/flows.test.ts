import assert from 'node:assert/strict';
import { Prng } from '#src/base/prng.js';
import { seconds } from '#src/base/time.js';
import { TrackState } from '#src/net/filter/connection.js';
import type { Chain } from '#src/net/filter/filter.js';
import { AddressSet, FilterRule } from '#src/net/filter/rule.js';
import { FourPorts, PORTS } from '../../support/four-ports.js';
import { address, prefix } from '../../support/stacks.js';
import { checksum, concat, hex, ipv4, udp } from '../../support/wire.js';

const kinds = ['masquerade', 'mss', 'mark', 'dscp', 'set'] as const;

/** A FourPorts whose filter lets connections out of p0, translated, and into p0 to one port. */
class Firewall {
  readonly router: FourPorts;
  readonly peers = new AddressSet();
  readonly rules: FilterRule[] = [];

  constructor(fast: 0 | 1) {
    this.router = new FourPorts(fast);
    this.peers.add(prefix('20.0.0.0/8'));
    this.set('masquerade');
  }

  private rule(...args: ConstructorParameters<typeof FilterRule>): FilterRule {
    const rule = new FilterRule(...args);
    this.rules.push(rule);
    return rule;
  }

  /** Rules with or without one that looks at every packet before the connections' own. */
  set(how: (typeof kinds)[number]): void {
    const { stack, ifaces } = this.router;
    const [p0, p1] = ifaces.map((i) => i.index) as [number, number];
    const first =
      how === 'mss'
        ? [this.rule({ tcpFlags: { mask: 6, value: 2 } }, { kind: 'mss', mss: 1_200 })]
        : how === 'mark'
          ? [this.rule({ source: prefix('10.0.0.0/25') }, { kind: 'mark', mark: 7 })]
          : how === 'dscp'
            ? [this.rule({ dscp: 46 }, { kind: 'drop' })]
            : how === 'set'
              ? [this.rule({ destination: this.peers }, { kind: 'accept' })]
              : [];
    const forward: Chain = {
      name: 'forward',
      hook: 'forward',
      policy: 'drop',
      rules: [
        ...first,
        this.rule({ state: [TrackState.Established, TrackState.Related] }, { kind: 'accept' }),
        this.rule({ inIndex: p0, destination: this.peers }, { kind: 'jump', chain: 'out' }),
        this.rule({ protocol: 17, destinationPort: [53, 53] }, { kind: 'accept' }),
      ],
    };
    const out: Chain = {
      name: 'out',
      hook: null,
      policy: 'accept',
      rules: [this.rule({ protocol: 17 }, { kind: 'accept' }), this.rule({ protocol: 6 }, { kind: 'accept' })],
    };
    const nat = [this.rule({ outIndex: p1 }, { kind: 'masquerade' })];
    const into = [this.rule({ destination: prefix('10.0.1.1/32'), destinationPort: [53, 53] }, { kind: 'dnat', address: address('10.0.0.2') })];
    stack.filter.set([
      forward,
      out,
      { name: 'nat', hook: 'postrouting', policy: 'accept', rules: nat },
      { name: 'in', hook: 'prerouting', policy: 'accept', rules: into },
    ]);
  }

  seen(): object {
    const tracked = [...this.router.stack.filter.conntrack.entries()].map((c) => [
      `${c.original.source}:${c.original.sourcePort} ${c.reply.source}:${c.reply.destinationPort}`,
      c.packets,
      c.octets,
      c.usedAt,
      c.tcp,
    ]);
    return { ...this.router.seen(), tracked: tracked.sort(), rules: this.rules.map((r) => [r.packets, r.octets]) };
  }
}

const mac = (port: number): string => `02000000000${port + 1}02000000009${port}0800`;

/** Conversations through a firewall: what comes out on one side is answered on the other. */
class Conversations {
  private readonly prng: Prng;
  private readonly sequences = new Map<string, number>();

  constructor(seed: number) {
    this.prng = new Prng(seed);
  }

  below(n: number): number {
    return this.prng.below(n);
  }

  private tcp(from: number, to: number, flags: number, sequence: number, ack: number, src: string, dst: string): Uint8Array {
    const word = (n: number): number[] => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
    const data = flags & 8 ? 10 : 0;
    const segment = Uint8Array.from([
      from >> 8,
      from & 255,
      to >> 8,
      to & 255,
      ...word(sequence),
      ...word(ack),
      0x50,
      flags,
      0x10,
      0,
      0,
      0,
      0,
      0,
      ...new Array<number>(data).fill(65),
    ]);
    const octets = (text: string): number[] => text.split('.').map(Number);
    const sum = checksum(concat(Uint8Array.from([...octets(src), ...octets(dst), 0, 6, 0, segment.length]), segment));
    segment.set([sum >> 8, sum & 255], 16);
    return segment;
  }

  /** A frame from inside. */
  outward(): [number, Uint8Array] {
    const n = this.below(8);
    const [src, dst] = [`10.0.0.${2 + (n & 1)}`, n === 5 ? '30.0.0.1' : `20.9.9.${n}`];
    const port = 5_000 + n;
    const fields = {
      src,
      dst,
      ttl: this.below(30) === 0 ? 1 : 64,
      fragment: this.below(30) === 0 ? 0x2000 : 0x4000,
      tos: this.below(20) === 0 ? 0xb8 : 0,
    };
    if (this.below(2) === 0) {
      const payload = udp(port, this.below(40) === 0 ? 0 : 7, new Uint8Array(this.below(40) === 0 ? 1_472 : 10));
      if (this.below(2) === 0) payload.set([this.below(256), this.below(256)], 6); // some sum: it is only brought along
      return [0, concat(hex(mac(0)), ipv4({ ...fields, payload }), new Uint8Array(this.below(3)))];
    }
    const key = `${src}>${dst}`;
    const at = this.sequences.get(key) ?? 0;
    this.sequences.set(key, at + 1);
    const flags = at === 0 ? 2 : this.below(60) === 0 ? 1 | 16 : this.below(80) === 0 ? 4 : 16 | (this.below(2) * 8);
    const sequence = at === 0 ? 1_000 : 1_001 + (this.below(50) === 0 ? 500_000 : 0);
    return [
      0,
      concat(
        hex(mac(0)),
        ipv4({ ...fields, fragment: 0x4000, protocol: 6, payload: this.tcp(port, 80, flags, sequence, at === 0 ? 0 : 5_001, src, dst) }),
      ),
    ];
  }

  /** The answer to a frame that has come out on a port, as hex; null for none. */
  answer(port: number, frame: string): [number, Uint8Array] | null {
    const bytes = hex(frame);
    if (bytes[12] !== 8 || bytes[13] !== 0 || this.below(4) === 0) return null;
    const dotted = (at: number): string => bytes.subarray(at, at + 4).join('.');
    const number = (at: number): number => ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
    const [src, dst, to, from] = [dotted(30), dotted(26), number(34), number(36)];
    if (bytes[23] === 17) return [port, concat(hex(mac(port)), ipv4({ src, dst, payload: udp(from, to, new Uint8Array(20)) }))];
    if (bytes[23] !== 6) return null;
    const syn = ((bytes[47] as number) & 2) !== 0;
    const payload = this.tcp(from, to, syn ? 18 : 24, syn ? 5_000 : 5_001, 1_001, src, dst);
    return [port, concat(hex(mac(port)), ipv4({ src, dst, protocol: 6, payload }))];
  }
}

describe('the flow table does what tracking, rules and NAT do', () => {
  for (const seed of [1, 2]) {
    it(`on random conversations while rules, sets and routes change, seed ${seed}`, () => {
      const [fast, slow] = [new Firewall(1), new Firewall(0)];
      const talk = new Conversations(seed);
      let answers: [number, Uint8Array][] = [];
      for (let round = 0; round < 80; round++) {
        const frames = [...Array.from({ length: talk.below(20) }, () => talk.outward()), ...answers];
        for (const { router } of [fast, slow]) {
          for (const [port, bytes] of frames) router.put(port, bytes);
          router.run();
        }
        const seen = fast.seen() as { frames: string[][] };
        assert.deepEqual(seen, slow.seen(), `round ${round}`);
        answers = [];
        for (let port = 1; port < PORTS - 1; port++) {
          for (const frame of seen.frames[port] as string[]) {
            const answer = talk.answer(port, frame);
            if (answer !== null) answers.push(answer);
          }
        }
        const n = talk.below(60);
        for (const { router, peers, set } of [fast, slow].map((f) => Object.assign(f, { set: f.set.bind(f) }))) {
          if (n < 10) set(kinds[n % 5] as (typeof kinds)[number]);
          if (n === 10 || n === 11) peers.remove(prefix('20.0.0.0/8'));
          if (n >= 12 && n < 16) peers.add(prefix('20.0.0.0/8'));
          if (n === 16) router.route('20.9.9.2/32', 2, '10.0.2.2');
          if (n > 40) router.run(seconds(n === 41 ? 40 : n === 42 ? 200 : n === 43 ? 119.6 : 1.3));
          if (n === 17) router.stack.filter.conntrack.flush((c) => c.original.sourcePort === 5_001);
        }
      }
      assert(fast.router.long < slow.router.long * 0.85, `${fast.router.long} of ${slow.router.long} packets went the long road`);
      for (const { router } of [fast, slow]) router.end();
    });
  }
});
