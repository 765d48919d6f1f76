import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { memoryLink } from '#src/hyper/memory-link.js';
import { address } from './stacks.js';
import { concat, hex } from './wire.js';
import { Bench6, icmp6, octets6, prefixOption, type RaFields, type Seen, sourceLink, sum6, targetLink } from './wire6.js';

/** What the node under test is in a part: the list asks most of both. */
export type Role = 'host' | 'router';

/** A test of the list with its parts: letter → what it is, or why it is not shown. */
interface Listed {
  readonly id: string;
  readonly title: string;
  readonly node: Role | 'both';
  /** The file that declares its parts. */
  readonly file?: string;
  readonly parts: Readonly<Record<string, string | { readonly what: string; readonly reason: string }>>;
}

const ROOT = new URL('../../../', import.meta.url);

/** The tests of specs/ipv6-ready.json. */
export const listed = (): Listed[] => JSON.parse(readFileSync(new URL('specs/ipv6-ready.json', ROOT), 'utf8')).tests as Listed[];

/** The parts of the list that one file shows, each as the roles it is asked of; titles stand in the list alone. */
export class Parts {
  private readonly wanted = new Map<string, { title: string; roles: Role[] }>();
  private readonly sysctl: Readonly<Record<string, unknown>>;

  /** `url`: import.meta.url of the file. */
  constructor(url: string, sysctl: Readonly<Record<string, unknown>> = {}) {
    this.sysctl = sysctl;
    const file = relative(fileURLToPath(new URL('build/', ROOT)), fileURLToPath(url)).replace(/\.js$/, '.ts');
    for (const test of listed()) {
      if (test.file !== file) continue;
      for (const [letter, part] of Object.entries(test.parts)) {
        if (typeof part !== 'string') continue;
        const roles: Role[] = test.node === 'both' ? ['host', 'router'] : [test.node];
        this.wanted.set(letter === '' ? test.id : `${test.id}.${letter}`, { title: `${test.title}${part === '' ? '' : `: ${part}`}`, roles });
      }
    }
  }

  /** Declares a part: `body` is run on a fresh node in each role. */
  part(id: string, body: (t: Nut, role: Role) => void, sysctl: Readonly<Record<string, unknown>> = {}): void {
    const part = this.wanted.get(id);
    assert(part !== undefined, `the list has no part ${id} of this file`);
    this.wanted.delete(id);
    for (const role of part.roles) {
      it(`v6LC.${id} ${part.title} (${role})`, () => {
        const t = new Nut(role, { ...this.sysctl, ...sysctl });
        body(t, role);
        t.end();
      });
    }
  }

  /** All have been declared. */
  end(): void {
    assert.deepEqual([...this.wanted.keys()], [], 'parts of the list without a test');
  }
}

/** A node of the tester. */
export interface Station {
  readonly name: string;
  readonly mac: string;
  readonly ll: string;
  readonly global: string;
}
const station = (name: string, mac: string, last: string, prefix = '2001:db8:100::'): Station => ({
  name,
  mac: `0200000000${mac}`,
  ll: `fe80::${last}`,
  global: `${prefix}${last}`,
});

/** On the link; routers on the link; behind TR1. OTHER is a link address that a station changes to. */
export const TN1: Station = station('TN1', 'a1', 'a1');
export const TR1: Station = station('TR1', 'b1', 'b1');
export const TR2: Station = station('TR2', 'b2', 'b2');
export const TR3: Station = station('TR3', 'b3', 'b3');
export const TN2: Station = station('TN2', 'a2', 'a2', '2001:db8:101::');
export const TN3: Station = station('TN3', 'a3', 'a3', '2001:db8:102::');
export const OTHER: Station = station('other', 'ee', 'ee');
const stations = [TN1, TR1, TR2, TR3, TN2, TN3, OTHER];

/** The node's addresses: by the link address, and in the prefix that TR1 advertises. */
export const { LL } = Bench6;
export const PREFIX = '2001:db8:100::';
export const GLOBAL: string = `${PREFIX}ff:fe00:1`;

/** Where an advertisement or redirect goes, and with what. */
export interface From {
  readonly src?: string;
  readonly dst?: string;
  readonly hops?: number;
}

/** The node under test, and the tester on its link. What the node sends is read as one line a message: see `line`. */
export class Nut extends Bench6 {
  readonly role: Role;
  private seq = 0;

  constructor(role: Role, sysctl: Readonly<Record<string, unknown>> = {}) {
    super({ 'net.ipv6.conf.all.forwarding': role === 'router' ? 1 : 0, ...sysctl }, role === 'router' ? [`${GLOBAL}/64`] : []);
    this.role = role;
    if (role === 'router') this.route('::', 0, TR1.ll);
  }

  /** A static route of the router. */
  route(prefix: string, length: number, gateway: string | null, index: number = this.eth0.index): void {
    this.stack.ip.routes.add({
      family: 6,
      prefix: address(prefix),
      length,
      type: 'unicast',
      index,
      gateway: gateway === null ? null : address(gateway),
      source: null,
      metric: 1_024,
      mtu: 0,
      table: 254,
      vrf: 0,
      protocol: 'static',
    });
  }

  /** A router's second link, where nobody is. */
  second(): number {
    const [near, far] = memoryLink();
    far.start({ readable: () => {}, writable: () => {}, carrier: () => {}, mtu: () => {}, failed: () => {} });
    const { index } = this.stack.addInterface('eth1', near);
    this.run();
    return index;
  }

  /** Common test setup 1.1: TR1 advertises itself and the prefix; TR1 is known and the global address in use. Routers are configured. */
  setup(fields: RaFields = {}): void {
    if (this.role === 'host') this.advertise(TR1, fields);
    this.ns(LL, [sourceLink(TR1.mac)], { src: TR1.ll });
    this.answer(TR1, TR1.ll);
    this.seen();
    this.stack.ctx.counters.drops.fill(0);
  }

  /** A router advertisement with the prefix; lifetimes are long unless said otherwise. */
  advertise(from: Station, { options = [prefixOption(PREFIX, 64, 0xc0, 86_400, 43_200)], ...fields }: RaFields = {}): void {
    this.ra({ src: from.ll, reachable: 30_000, retrans: 1_000, ...fields, options }, from.mac);
    this.wait(0.01);
  }

  /** An echo request; to the link-local address when it comes from one. `size` counts the data. */
  ask(from: Station, src: string = from.ll, dst: string = src.startsWith('fe80') ? LL : GLOBAL, size = 8): void {
    this.icmp(128, 0, 0xffff0000 | ++this.seq, new Uint8Array(size).fill(this.seq), { src, dst }, from.mac);
  }

  /** An echo request as IPv6 payload, for headers and fragments in front of it. */
  question(src: string, dst: string, size = 8): Uint8Array {
    return icmp6(128, 0, 0xffff0000 | ++this.seq, new Uint8Array(size).fill(1), src, dst);
  }

  /** A neighbour advertisement for `target`: solicited, to override, a router's from routers; `mac` null: no link address. */
  answer(
    from: Station,
    target: string,
    flags = 0x60 | (from.name.startsWith('TR') ? 0x80 : 0),
    mac: string | null = from.mac,
    fields: { dst?: string } = {},
  ): void {
    this.na(target, flags, mac === null ? [] : [targetLink(mac)], { src: target, dst: LL, ...fields });
  }

  /** A redirect of `destination` to `target`. */
  redirect(
    from: Station,
    destination: string,
    target: string,
    options: Uint8Array[] = [],
    fields: From & { code?: number; reserved?: number } = {},
  ): void {
    const { code = 0, reserved = 0, ...rest } = fields;
    const body = concat(octets6(target), octets6(destination), ...options);
    this.icmp(137, code, reserved, body, { src: from.ll, dst: LL, hops: 255, ...rest }, from.mac);
  }

  /** A router solicitation. */
  rs(from: Station, options: Uint8Array[] = [sourceLink(from.mac)], fields: From & { code?: number } = {}): void {
    const { code = 0, ...rest } = fields;
    this.icmp(133, code, 0, concat(...options), { src: from.ll, dst: 'ff02::2', hops: 255, ...rest }, from.mac);
  }

  /** The same message again with its ICMPv6 checksum spoilt. */
  spoilt(send: () => void): void {
    const { frame } = this;
    this.frame = (bytes) => {
      const bad = bytes.slice();
      bad[14 + 40 + 2] = (bad[14 + 40 + 2] as number) ^ 0x55;
      frame.call(this, bad);
    };
    send();
    this.frame = frame;
  }

  /** What was sent since the last look, in order. */
  lines(): string[] {
    return this.seen().map(line);
  }

  sends(...expected: string[]): void {
    assert.deepEqual(this.lines(), expected);
  }

  // The states of an entry, reached and recognised as from outside: RFC 4861 §7.3. `src` is the neighbour's address.

  incomplete(s: Station, src = s.ll): void {
    this.ask(s, src);
    this.sends(`ns ${src}`);
  }

  reachable(s: Station, src = s.ll): void {
    this.incomplete(s, src);
    this.answer(s, src);
    this.sends(`reply ${src} via ${s.name}`);
  }

  stale(s: Station, src = s.ll): void {
    this.reachable(s, src);
    this.wait(46);
    this.sends();
  }

  probing(s: Station, src = s.ll): void {
    this.stale(s, src);
    this.ask(s, src);
    this.sends(`reply ${src} via ${s.name}`);
    this.wait(5.1);
    this.sends(`ns ${src} via ${s.name}`);
  }

  isNone(s: Station, src = s.ll): void {
    this.ask(s, src);
    this.sends(`ns ${src}`);
  }

  isIncomplete(src: string): void {
    this.wait(1);
    this.sends(`ns ${src}`);
  }

  isReachable(s: Station, src = s.ll, via = s.name): void {
    this.ask(s, src);
    this.sends(`reply ${src} via ${via}`);
    this.wait(5.2);
    this.sends();
  }

  isStale(s: Station, src = s.ll, via = s.name): void {
    this.ask(s, src);
    this.sends(`reply ${src} via ${via}`);
    this.wait(5.2);
    this.sends(`ns ${src} via ${via}`);
  }

  isProbing(s: Station, src = s.ll, via = s.name): void {
    this.wait(1);
    this.sends(`ns ${src} via ${via}`);
  }
}

/** One message as a line; stations by their names. */
export function line(p: Seen): string {
  const name = stations.find((s) => s.mac === p.toMac)?.name ?? p.toMac;
  const via = p.toMac.startsWith('3333') ? '' : ` via ${name}`;
  if (p.next === 44) return `fragment ${p.payload.length + 40} ${p.dst}${via}`;
  if (p.next !== 58) return `protocol ${p.next} ${p.dst}${via}`;
  assert.equal(sum6(p.src, p.dst, 58, p.payload), 0, 'the checksum is right');
  const v = new DataView(p.payload.buffer, p.payload.byteOffset);
  const target = (): string => textOf(p.payload.subarray(8, 24));
  switch (p.payload[0]) {
    case 128:
      return `echo ${p.dst}${via}`;
    case 129:
      return `reply ${p.dst}${via}`;
    case 133:
      return 'rs';
    case 134:
      return `ra ${p.dst}${via}`;
    case 135:
      return p.src === '::' ? `dad ${target()}` : `ns ${target()}${via}`;
    case 136:
      return `na ${target()} > ${p.dst} ${(v.getUint8(4) >>> 5).toString(2).padStart(3, '0')}${via}`;
    case 137:
      return `redirect ${textOf(p.payload.subarray(24, 40))} to ${target()}${via}`;
    default:
      return `error ${p.payload[0]}/${p.payload[1]} ${v.getUint32(4)} > ${p.dst}`;
  }
}

function textOf(octets: Uint8Array): string {
  const v = new DataView(octets.buffer, octets.byteOffset, 16);
  const a = address('::');
  a.set(v.getInt32(0), v.getInt32(4), v.getInt32(8), v.getInt32(12));
  return a.toString();
}

/** An extension header of eight octets: next, and an option of `type` with four octets of data (1: PadN). */
export const header = (next: number, type = 1): Uint8Array =>
  hex(`${next.toString(16).padStart(2, '0')}00${type.toString(16).padStart(2, '0')}0400000000`);
/** A fragment header; offset in octets. */
export const fragmentHeader = (next: number, offset: number, more: boolean, id: number): Uint8Array =>
  Uint8Array.from([next, 0, offset >> 8, (offset & 0xf8) | Number(more), id >>> 24, (id >>> 16) & 255, (id >>> 8) & 255, id & 255]);
