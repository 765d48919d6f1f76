import assert from 'node:assert/strict';
import { Address } from '#src/base/address.js';
import { Drop } from '#src/base/drops.js';
import { ipv6, Protocol } from '#src/wire/index.js';
import { hex, octets, view, viewOf } from '../support/octets.js';

const { Chain, Problem } = ipv6;
const addresses = '20010db8000000000000000000000001 20010db8000000000000000000000002';

/** A packet with this next header and payload. */
function packet(next: number, payload: string): DataView {
  const bytes = octets(payload);
  const v = viewOf(Uint8Array.from([...octets(`60000000 0000 ${next.toString(16).padStart(2, '0')}40 ${addresses}`), ...bytes]));
  ipv6.setPayloadLength(v, 0, bytes.length);
  return v;
}

const chain = new Chain();
const walk = (v: DataView): number => ipv6.walk(v, 0, v.byteLength, chain);

describe('wire/ipv6', () => {
  const v = view(`6a512345 0004 1140 ${addresses} 01020304`);

  it('RFC 8200 §3: reads the header', () => {
    assert.equal(ipv6.check(v, 0, 44), 0);
    assert.deepEqual(
      [ipv6.version(v, 0), ipv6.trafficClass(v, 0), ipv6.flowLabel(v, 0), ipv6.payloadLength(v, 0), ipv6.nextHeader(v, 0), ipv6.hopLimit(v, 0)],
      [6, 0xa5, 0x12345, 4, 17, 64],
    );
    const address = new Address();
    ipv6.source(v, 0, address);
    assert.equal(`${address}`, '2001:db8::1');
    ipv6.destination(v, 0, address);
    assert.equal(`${address}`, '2001:db8::2');
    assert.equal(ipv6.format(v, 0, 44), '2001:db8::1 > 2001:db8::2 udp payload 4 hops 64');
  });

  it('writes what it reads', () => {
    const out = viewOf(new Uint8Array(40));
    ipv6.put(out, 0, 0xa5, 0x12345, 4, 17, 64, new Address(0x20010db8, 0, 0, 1), new Address(0x20010db8, 0, 0, 2));
    assert.equal(hex(out), hex(v, 0, 40));
  });

  it('IpTruncated, IpBadVersion, IpBadLength', () => {
    for (let end = 0; end < 40; end++) assert.equal(ipv6.check(v, 0, end), Drop.IpTruncated);
    for (let end = 40; end < 44; end++) assert.equal(ipv6.check(v, 0, end), Drop.IpBadLength);
    const other = viewOf(new Uint8Array(v.buffer));
    other.setUint8(0, 0x45);
    assert.equal(ipv6.check(other, 0, 44), Drop.IpBadVersion);
  });

  describe('extension headers', () => {
    it('RFC 8200 §4.1: none, then the upper protocol stands at 40', () => {
      assert.equal(walk(packet(Protocol.Udp, '00'.repeat(8))), 0);
      assert.deepEqual([chain.protocol, chain.offset, chain.nextField, chain.headers], [Protocol.Udp, 40, 6, 0]);
    });

    it('all in the recommended order, up to the upper protocol', () => {
      const p = packet(0, `3c00010400000000 2b00010400000000 3c00000000000000 0600010400000000 ${'11'.repeat(20)}`);
      assert.equal(walk(p), 0);
      assert.deepEqual([chain.protocol, chain.offset, chain.nextField, chain.headers], [Protocol.Tcp, 72, 64, 4]);
      assert.deepEqual([chain.hopByHop, chain.routing, chain.routingType], [40, 56, 0]);
    });

    it('stops at a fragment header and goes on behind it when asked', () => {
      const p = packet(Protocol.Fragment, `3c00 0001 12345678 1100010400000000 ${'00'.repeat(8)}`);
      assert.equal(walk(p), 0);
      assert.deepEqual([chain.protocol, chain.offset], [Protocol.Fragment, 40]);
      assert.deepEqual(
        [ipv6.fragmentOffset(p, 40), ipv6.moreFragments(p, 40), ipv6.fragmentId(p, 40), ipv6.fragmentNext(p, 40)],
        [0, true, 0x12345678, 60],
      );
      assert.equal(ipv6.walkFragment(p, 0, p.byteLength, chain), 0);
      assert.deepEqual([chain.protocol, chain.offset], [Protocol.Udp, 56]);
    });

    it('RFC 7112 §5: a first fragment without all headers is reported', () => {
      const p = packet(Protocol.Fragment, '3c00000112345678 110100');
      assert.equal(walk(p), 0);
      assert.equal(ipv6.walkFragment(p, 0, p.byteLength, chain), Drop.IpTruncated);
      assert.equal(chain.problem, Problem.FirstFragment);
    });

    it('leaves AH, ESP, no next header and unknown protocols to others', () => {
      for (const next of [Protocol.Ah, Protocol.Esp, Protocol.NoNext, 135, 253]) {
        assert.equal(walk(packet(next, '00'.repeat(8))), 0);
        assert.deepEqual([chain.protocol, chain.offset], [next, 40]);
      }
    });

    it('RFC 8200 §4.1: hop-by-hop options only right behind the fixed header', () => {
      assert.equal(walk(packet(Protocol.DestinationOptions, `0000010400000000 1100010400000000`)), Drop.IpBadExtension);
      assert.deepEqual([chain.problem, chain.pointer], [Problem.NextHeader, 40]);
    });

    it('RFC 8200 §4.4, RFC 5095 §3: routing headers pass with no segments left, else point at the type', () => {
      for (const type of [0, 2, 3, 4, 77]) {
        const text = `1100${type.toString(16).padStart(2, '0')}`;
        assert.equal(walk(packet(Protocol.Routing, `${text}00 00000000 ${'00'.repeat(8)}`)), 0);
        assert.deepEqual([chain.routingType, chain.routing], [type, 40]);
        assert.equal(walk(packet(Protocol.Routing, `${text}01 00000000`)), Drop.IpRoutingHeader);
        assert.deepEqual([chain.problem, chain.pointer], [Problem.Field, 42]);
      }
    });

    it('RFC 2711 §2.1: router alert counts in the hop-by-hop header', () => {
      assert.equal(walk(packet(0, '3a00050200000100 00')), 0);
      assert.equal(chain.routerAlert, 0);
      assert.equal(walk(packet(Protocol.DestinationOptions, '3a00050200000100 00')), 0);
      assert.equal(chain.routerAlert, -1);
      const out = viewOf(new Uint8Array(8));
      ipv6.putRouterAlert(out, 0, Protocol.Icmpv6, 0);
      assert.equal(hex(out), '3a00050200000100');
    });

    const actions: [string, string, number, number, boolean][] = [
      ['00: skipped', '1100 1e00 0102 0000', 0, Problem.None, false],
      ['01: discarded in silence', '1100 5e00 0102 0000', Drop.IpUnknownOption, Problem.None, false],
      ['10: reported', '1100 9e00 0102 0000', Drop.IpUnknownOption, Problem.Option, false],
      ['11: reported unless to a group', '1100 de00 0102 0000', Drop.IpUnknownOption, Problem.Option, true],
    ];
    for (const [name, text, drop, problem, unlessGroup] of actions) {
      it(`RFC 8200 §4.2: an unknown option of action ${name}`, () => {
        for (const next of [0, Protocol.DestinationOptions]) {
          assert.equal(walk(packet(next, text)), drop);
          assert.deepEqual([chain.problem, chain.unlessGroup], [problem, unlessGroup]);
          if (problem === Problem.Option) assert.equal(chain.pointer, 42);
        }
      });
    }

    it('IpTruncated, IpBadExtension: headers and options that run past their ends', () => {
      assert.equal(walk(packet(0, '1100')), Drop.IpTruncated);
      assert.equal(walk(packet(0, '1101010400000000')), Drop.IpTruncated);
      assert.equal(walk(packet(Protocol.Fragment, '11000000')), Drop.IpTruncated);
      assert.equal(walk(packet(0, '1100010500000000')), Drop.IpBadExtension);
      assert.equal(chain.pointer, 43);
      assert.equal(walk(packet(0, '1100000000000001')), Drop.IpBadExtension);
      assert.equal(chain.pointer, 47);
    });

    it('IpExtensionsTooMany: headers and options are bounded (RFC 8504 §5.3)', () => {
      const header = '3c00010400000000';
      assert.equal(walk(packet(Protocol.DestinationOptions, header.repeat(ipv6.EXTENSIONS_MAX) + '1100')), Drop.IpExtensionsTooMany);
      assert.equal(walk(packet(Protocol.DestinationOptions, header.repeat(ipv6.EXTENSIONS_MAX - 1) + '1100010400000000')), 0);
      assert.equal(walk(packet(0, `1102${'1e00'.repeat(ipv6.OPTIONS_MAX)}${'0100'.repeat(3)}`)), 0);
      assert.equal(walk(packet(0, `1102${'1e00'.repeat(ipv6.OPTIONS_MAX + 1)}${'0100'.repeat(2)}`)), Drop.IpExtensionsTooMany);
    });

    it('forgets the last packet', () => {
      walk(packet(0, '2b00050200000100 1100040100000000'));
      assert.equal(walk(packet(Protocol.Udp, '00'.repeat(8))), 0);
      assert.deepEqual([chain.routing, chain.routingType, chain.hopByHop, chain.routerAlert, chain.problem], [-1, -1, -1, -1, Problem.None]);
    });

    it('writes fragment headers', () => {
      const out = viewOf(new Uint8Array(8));
      ipv6.putFragment(out, 0, 17, 1448, true, -2);
      assert.equal(hex(out), '110005a9fffffffe');
      ipv6.putFragment(out, 0, 17, 2896, false, 1);
      assert.equal(hex(out), '11000b5000000001');
    });
  });
});
