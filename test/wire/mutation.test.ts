import assert from 'node:assert/strict';
import { Address } from '#src/base/address.js';
import { dropNames } from '#src/base/drops.js';
import { Prng } from '#src/base/prng.js';
import { ah, arp, esp, ethernet, gre, icmpv4, icmpv6, igmp, ipv4, ipv6, mld, nd, ndOptions, tcp, tcpOptions, udp, vlan } from '#src/wire/index.js';
import { octets } from '../support/octets.js';

/** A format under attack: good messages, its check, and all that may be asked after a 0. Views end where the message does, so that any read past it throws. */
interface Target {
  readonly seeds: readonly string[];
  check(view: DataView, end: number): number;
  read(view: DataView, end: number): void;
  format(view: DataView, end: number): string;
  /** Makes the checksum right again, so that the mutation gets past it. */
  mend?(view: DataView): void;
}

const address = new Address();
const addresses = '20010db8000000000000000000000001 20010db8000000000000000000000002';
const options = new tcpOptions.TcpOptions();
const chain = new ipv6.Chain();

/** Calls every function of a module whose parameters are the view and a place. */
function getters(module: object, view: DataView): void {
  const found = Object.values(module).filter((get) => typeof get === 'function' && /^\(view, at\) =>/.test(`${get}`));
  assert.ok(found.length > 1);
  for (const get of found) get(view, 0);
}

const targets: Record<string, Target> = {
  ethernet: {
    seeds: ['020000000002 020000000001 0800 45'],
    check: (v, end) => ethernet.check(v, 0, end),
    read: (v) => getters(ethernet, v),
    format: (v, end) => ethernet.format(v, 0, end),
  },
  vlan: {
    seeds: ['6064 0800 00'],
    check: (v, end) => vlan.check(v, 0, end),
    read: (v) => getters(vlan, v),
    format: (v, end) => vlan.format(v, 0, end),
  },
  arp: {
    seeds: ['0001 0800 0604 0001 020000000001 0a000001 000000000000 0a000002'],
    check: (v, end) => arp.check(v, 0, end),
    read: (v) => getters(arp, v),
    format: (v, end) => arp.format(v, 0, end),
  },
  ipv4: {
    seeds: [
      `4600 0020 0000 2000 4011 0000 c0a80001 c0a800c7 94040000 ${'00'.repeat(8)}`,
      `4c00 0030 0000 0000 4011 0000 c0a80001 c0a800c7 01 070b04 0000000000000000 44080500 00000000 83070400 000000 00`,
    ],
    mend: (v) => {
      if (v.byteLength < 20) return;
      v.setUint16(10, 0);
      if (ipv4.headerLength(v, 0) <= v.byteLength) ipv4.finishHeader(v, 0);
    },
    check: (v, end) => ipv4.check(v, 0, end),
    read: (v) => {
      getters(ipv4, v);
      ipv4.source(v, 0, address);
      ipv4.destination(v, 0, address);
      ipv4.seenOptions(v, 0);
      for (let o = ipv4.firstOption(v, 0); o >= 0; o = ipv4.nextOption(v, 0, o)) assert.ok(o < ipv4.headerLength(v, 0));
    },
    format: (v, end) => ipv4.format(v, 0, end),
  },
  ipv6: {
    seeds: [
      `60000000 0020 0040 ${addresses} 3c00010400000000 2b00010400000000 3c00000000000000 2c00010400000000`,
      `60000000 0010 0040 ${addresses} 3a00050200000100 1100000112345678`,
      `60000000 0018 2c40 ${addresses} 3c00000112345678 11000104000000000000000000000000`,
    ],
    check: (v, end) => ipv6.check(v, 0, end),
    read: (v, end) => {
      getters(ipv6, v);
      ipv6.source(v, 0, address);
      ipv6.destination(v, 0, address);
      if (ipv6.walk(v, 0, end, chain) !== 0) return;
      assert.ok(chain.offset <= end && chain.headers <= ipv6.EXTENSIONS_MAX);
      if (chain.protocol !== 44) return;
      ipv6.fragmentOffset(v, chain.offset);
      ipv6.fragmentId(v, chain.offset);
      if (ipv6.walkFragment(v, 0, end, chain) === 0) assert.ok(chain.offset <= end);
    },
    format: (v, end) => ipv6.format(v, 0, end),
  },
  icmpv4: {
    seeds: [
      '0800 0000 1a2b 0007 6869',
      '0304 0000 0000 05dc 4500001c000000004011000001020304050607081234005000080000',
      '0d00 0000 0001 0001 000000000000000000000000',
    ],
    mend: (v) => {
      if (v.byteLength >= 8) icmpv4.finishMessage(v, 0, v.byteLength);
    },
    check: (v, end) => icmpv4.check(v, 0, end),
    read: (v, end) => {
      getters(icmpv4, v);
      if (icmpv4.isError(icmpv4.type(v, 0))) assert.ok(icmpv4.quoted(0) + ipv4.headerLength(v, icmpv4.quoted(0)) + icmpv4.QUOTE_MIN <= end);
    },
    format: (v, end) => icmpv4.format(v, 0, end),
  },
  icmpv6: {
    seeds: ['8000 0000 12340001 00', `0200 0000 00000500 ${'60'.repeat(40)}`],
    check: (v, end) => icmpv6.check(v, 0, end),
    read: (v) => getters(icmpv6, v),
    format: (v, end) => icmpv6.format(v, 0, end),
  },
  nd: {
    seeds: [
      '8700000000000000fe800000000000000000000000000001 0101020000000001 0e01010203040506',
      `8600000040480708 00007530000003e8 0101020000000001 0501000000000578 030440c0 00015180 ffffffff 00000000 20010db8000100000000000000000000 1801001800000258 1803400000000258 ${'20'.repeat(16)}`,
      `8600000040480708 00007530000003e8 1903000000000258 ${'20'.repeat(16)} 1f02000000000258 0161000000000000 26020960 0064ff9b0000000000000000`,
      `8900000000000000 fe800000000000000000000000000001 20010db8000000000000000000000001 0401000000000000`,
    ],
    check: (v, end) => nd.check(v, 0, end),
    read: (v, end) => {
      const type = v.getUint8(0);
      if (type === icmpv6.Type.RouterAdvertisement) getters({ ...nd, naFlags: null, target: null, destination: null }, v);
      else if (type !== icmpv6.Type.RouterSolicitation) nd.target(v, 0, address);
      if (type === icmpv6.Type.Redirect) nd.destination(v, 0, address);
      for (let o = nd.options(v, 0); o < end; o = ndOptions.next(v, o)) readOption(v, o);
    },
    format: (v, end) => nd.format(v, 0, end),
  },
  mld: {
    seeds: [
      `8200 0000 9000 0000 ${'ff'.repeat(16)}`,
      `8200 0000 9000 0000 ${'ff'.repeat(16)} 0a90 0001 ${'20'.repeat(16)}`,
      `8f00 0000 0000 0002 0401 0000 ${'ff'.repeat(16)} 00000000 0500 0001 ${'ff'.repeat(16)} ${'20'.repeat(16)}`,
    ],
    check: (v, end) => mld.check(v, 0, end),
    read: (v, end) => {
      if (v.getUint8(0) !== icmpv6.Type.MulticastReportV2) {
        mld.group(v, 0, address);
        mld.maxDelayMs(v, 0, end);
        if (v.getUint8(0) !== icmpv6.Type.MulticastQuery || mld.queryVersion(0, end) === 1) return;
        mld.intervalSeconds(v, 0);
        for (let i = 0; i < mld.sources(v, 0); i++) mld.source(v, 0, i, address);
        return;
      }
      let record = mld.firstRecord(0);
      for (let n = mld.records(v, 0); n > 0; n--) {
        mld.recordType(v, record);
        mld.recordGroup(v, record, address);
        for (let i = 0; i < mld.recordSources(v, record); i++) mld.recordSource(v, record, i, address);
        record = mld.nextRecord(v, record);
      }
      assert.ok(record <= end);
    },
    format: (v, end) => mld.format(v, 0, end),
  },
  igmp: {
    seeds: [
      '1164 0000 00000000',
      '1164 0000 e0000101 0a90 0001 0a000001',
      '2200 0000 0000 0002 0401 0000 e0000101 00000000 0500 0001 e0000102 0a000001',
    ],
    mend: (v) => {
      if (v.byteLength >= 8) igmp.finishMessage(v, 0, v.byteLength);
    },
    check: (v, end) => igmp.check(v, 0, end),
    read: (v, end) => {
      igmp.group(v, 0);
      if (igmp.type(v, 0) === igmp.Type.Query && igmp.queryVersion(v, 0, end) === 3) {
        for (let i = 0; i < igmp.sources(v, 0); i++) igmp.source(v, 0, i);
        igmp.intervalSeconds(v, 0);
      }
      if (igmp.type(v, 0) !== igmp.Type.ReportV3) return;
      let record = igmp.firstRecord(0);
      for (let n = igmp.records(v, 0); n > 0; n--) {
        igmp.recordGroup(v, record);
        for (let i = 0; i < igmp.recordSources(v, record); i++) igmp.recordSource(v, record, i);
        record = igmp.nextRecord(v, record);
      }
      assert.ok(record <= end);
    },
    format: (v, end) => igmp.format(v, 0, end),
  },
  udp: {
    seeds: ['0035 8235 000a 1234 6869'],
    check: (v, end) => udp.check(v, 0, end),
    read: (v) => {
      getters(udp, v);
      udp.verify(v, 0, address, address);
    },
    format: (v, end) => udp.format(v, 0, end),
  },
  tcp: {
    seeds: [
      'd431 01bb 80000001 00000000 a002 faf0 0000 0000 020405b4 0402080a 00112233 00000000 01030307',
      `d431 01bb 00000001 00000000 f010 faf0 0000 0000 0101050a0000000100000002 220a0102030405060708 1312${'aa'.repeat(16)}`,
    ],
    check: (v, end) => tcp.check(v, 0, end),
    read: (v, end) => {
      getters(tcp, v);
      tcp.verify(v, 0, end, address, address);
      if (tcpOptions.parseOptions(v, 0, options) !== 0) return;
      tcpOptions.format(options);
      assert.ok(options.sackCount <= 4 && options.windowScale <= 14 && options.cookieLength <= 16);
    },
    format: (v, end) => tcp.format(v, 0, end),
  },
  esp: {
    seeds: ['c0000001 00000007 4500 0102 0204'],
    check: (v, end) => esp.check(v, 0, end) || esp.checkTrailer(v, 8, end),
    read: (v, end) => {
      assert.ok(esp.spi(v, 0) > 0 && esp.sequence(v, 0) >= 0);
      assert.ok(8 + esp.padLength(v, end) + 2 <= end && esp.nextHeader(v, end) >= 0);
    },
    format: (v, end) => esp.format(v, 0, end),
  },
  ah: {
    seeds: [`0604 0000 00000100 00000009 ${'aa'.repeat(12)}`],
    check: (v, end) => ah.check(v, 0, end),
    read: (v, end) => {
      getters(ah, v);
      assert.ok(ah.headerLength(v, 0) <= end);
    },
    format: (v, end) => ah.format(v, 0, end),
  },
  gre: {
    seeds: ['30000800 00000001 00000002 45', 'b0000800 00000000 00000001 00000002 45'],
    mend: (v) => {
      if (v.byteLength >= 6 && v.getUint8(0) & 0x80) gre.finishPacket(v, 0, v.byteLength);
    },
    check: (v, end) => gre.check(v, 0, end),
    read: (v, end) => {
      getters(gre, v);
      assert.ok(gre.headerLength(v, 0) <= end);
    },
    format: (v, end) => gre.format(v, 0, end),
  },
};

function readOption(v: DataView, o: number): void {
  const { Kind } = ndOptions;
  const end = ndOptions.next(v, o);
  switch (ndOptions.kind(v, o)) {
    case Kind.SourceLink:
    case Kind.TargetLink:
      ndOptions.linkLow(v, o);
      break;
    case Kind.Mtu:
      ndOptions.mtu(v, o);
      break;
    case Kind.Prefix:
      ndOptions.prefix(v, o, address);
      break;
    case Kind.Route:
      ndOptions.routePrefix(v, o, address);
      break;
    case Kind.Rdnss:
      for (let i = 0; i < ndOptions.resolvers(v, o); i++) ndOptions.resolver(v, o, i, address);
      assert.ok(o + 8 + 16 * ndOptions.resolvers(v, o) === end);
      break;
    case Kind.Dnssl:
      assert.ok(ndOptions.domains(o) < end);
      break;
    case Kind.Pref64:
      ndOptions.pref64Prefix(v, o, address);
      assert.ok([96, 64, 56, 48, 40, 32].includes(ndOptions.pref64Length(v, o)));
      break;
  }
}

/** Octets that tend to lie at the edge of something. */
const EDGES = [0, 1, 2, 3, 4, 7, 8, 0x0f, 0x10, 0x7f, 0x80, 0xfe, 0xff];

function mutate(seed: Uint8Array, prng: Prng): Uint8Array {
  let bytes = seed.slice();
  const kind = prng.below(6);
  if (kind === 0) bytes = bytes.slice(0, prng.below(bytes.length + 1));
  if (kind === 1) bytes = Uint8Array.from([...bytes, ...bytes.slice(prng.below(bytes.length))]);
  for (let i = prng.below(4); i >= 0 && bytes.length > 0; i--) {
    const at = prng.below(bytes.length);
    if (prng.below(2) === 0) bytes[at] = EDGES[prng.below(EDGES.length)] as number;
    else bytes[at] = (bytes[at] as number) ^ (1 << prng.below(8));
  }
  return bytes;
}

describe('mutated headers', () => {
  const rounds = Math.ceil(100_000 / Object.keys(targets).length);
  for (const [name, target] of Object.entries(targets)) {
    it(`${name}: check never throws, and after a 0 no getter does`, () => {
      const seeds = target.seeds.map(octets);
      const prng = new Prng(name.length * 7919);
      const drops = new Set<number>();
      let passed = 0;
      for (let n = 0; n < rounds; n++) {
        const seed = seeds[n % seeds.length] as Uint8Array;
        const view = new DataView((n < seeds.length ? seed.slice() : mutate(seed, prng)).buffer);
        if (target.mend !== undefined && (n < seeds.length || prng.below(4) > 0)) target.mend(view);
        const end = view.byteLength;
        const drop = target.check(view, end);
        if (n < seeds.length) assert.equal(drop, 0, `seed ${n} is good: ${dropNames[drop]}`);
        assert.ok(drop === 0 || dropNames[drop] !== undefined);
        assert.equal(typeof target.format(view, end), 'string');
        if (drop === 0) {
          target.read(view, end);
          passed++;
        } else {
          drops.add(drop);
        }
      }
      assert.ok(passed > 100, `${passed} got past the check`);
      assert.ok(drops.size > 0);
    });
  }
});
