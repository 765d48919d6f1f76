import assert from 'node:assert/strict';
import { type Packet, PacketPool, SMALL_SLOT } from '#src/base/packet.js';
import { Prng } from '#src/base/prng.js';
import { Slab } from '#src/base/slab.js';
import { netmap } from '#src/net/filter/netmap.js';
import * as wire from '#src/wire/ipv6.js';
import { chain } from '../support/site.js';
import { address, prefix } from '../support/stacks.js';
import { TwoWires } from '../support/two-wires.js';
import { checksum, icmp, ipv4, udp } from '../support/wire.js';
import { icmp6, ipv6, octets6, sum6, udp6 } from '../support/wire6.js';

describe('NPTv6 (RFC 6296)', () => {
  const pool = new PacketPool(1);
  const slab = new Slab(SMALL_SLOT, 1, 1);
  let packet: Packet;
  afterEach(() => packet.release());

  /** A datagram whose source or destination is translated: what the address has become, null when it was refused. */
  function mapped(from: string, to: string, side: 'source' | 'destination' = 'source'): string | null {
    const other = '2001:db8:ffff::1';
    const [src, dst] = side === 'source' ? [from, other] : [other, from];
    const bytes = ipv6({ src, dst, payload: udp6(1_000, 2_000, 'neutral', src, dst) });
    packet = pool.from(slab) as Packet;
    packet.bytes.set(bytes, packet.head);
    packet.tail = packet.head + bytes.length;
    packet.network = packet.head;
    packet.transport = packet.head + 40;
    packet.family = 6;
    packet.protocol = 17;
    packet.source.copy(address(src));
    packet.destination.copy(address(dst));
    const before = packet.view.getUint16(packet.transport + 6);
    const { address: at, length } = prefix(to);
    if (!netmap(packet, side, at, length)) return null;
    assert.equal(packet.view.getUint16(packet.transport + 6), before, 'the checksum is what it was');
    const now = address('::');
    (side === 'source' ? wire.source : wire.destination)(packet.view, packet.network, now);
    assert.ok(now.equals(packet[side]), 'descriptor and header agree');
    const ends = side === 'source' ? [`${now}`, other] : [other, `${now}`];
    const payload = packet.bytes.slice(packet.transport, packet.tail);
    assert.equal(sum6(ends[0] as string, ends[1] as string, 17, payload), 0, 'and right');
    return `${now}`;
  }

  it('§3.6: the example, there and back', () => {
    assert.equal(mapped('fd01:203:405:1::1234', '2001:db8:1::/48'), '2001:db8:1:d550::1234');
    packet.release();
    assert.equal(mapped('2001:db8:1:d550::1234', 'fd01:203:405::/48', 'destination'), 'fd01:203:405:1::1234');
  });

  it('§3.4: the subnet of all ones has no counterpart behind a prefix of 48 bits and less', () => {
    assert.equal(mapped('fd01:203:405:ffff::1234', '2001:db8:1::/48'), null);
  });

  it('§3.5: behind longer prefixes the first word of the identifier that is not all ones takes the difference', () => {
    const there = mapped('fd01:203:405:1:ffff:0:0:1234', '2001:db8:1:2::/64') as string;
    packet.release();
    assert.match(there, /^2001:db8:1:2:ffff:[0-9a-f]+::?(0:)?1234$/);
    assert.equal(mapped(there, 'fd01:203:405:1::/64', 'destination'), 'fd01:203:405:1:ffff::1234');
    packet.release();
    assert.equal(mapped('fd01:203:405:1::', '2001:db8:1:2::/64'), null, 'the identifier of all zeros is refused');
    packet.release();
    assert.equal(mapped('fd01:203:405:1:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'), null);
  });

  it('any address comes back as it was, and no checksum ever changes', () => {
    const prng = new Prng(3);
    const group = (): string => prng.below(0xffff).toString(16);
    packet = pool.from(slab) as Packet;
    for (let i = 0; i < 500; i++) {
      const length = i % 2 === 0 ? 48 : 64;
      const inside = length === 48 ? 'fd01:203:405' : 'fd01:203:405:7';
      const own = `${inside}:${Array.from({ length: 8 - inside.split(':').length }, () => (1 + prng.below(0xfffd)).toString(16)).join(':')}`;
      const outside = `2001:db8:${group()}::/${length}`;
      packet.release();
      const there = mapped(own, outside) as string;
      packet.release();
      const back = mapped(there, `${inside}::/${length}`, 'destination');
      assert.equal(back, `${address(own)}`, `${own} in ${outside}`);
    }
  });
});

describe('NETMAP and what ICMP errors quote', () => {
  const rules = (inside: string, outside: string) => [
    chain('prerouting', [[{ destination: range(outside) }, { kind: 'netmap', side: 'destination', to: range(inside) }]]),
    chain('postrouting', [[{ source: range(inside) }, { kind: 'netmap', side: 'source', to: range(outside) }]]),
  ];
  const range = (text: string) => prefix(text);

  it('RFC 6296: an error from outside about a translated packet quotes the address its sender has', () => {
    const t = new TwoWires(['fd01:203:405:1::1/64'], ['2001:db8:ffff::1/64']);
    t.stack.filter.set(rules('fd01:203:405::/48', '2001:db8:1::/48'));
    const [own, far, router] = ['fd01:203:405:1::1234', '2001:db8:ffff::9', '2001:db8:ffff::7'];
    const sent = ipv6({ src: own, dst: far, payload: udp6(1_000, 2_000, 'x', own, far) });
    t.put('a', sent);
    const outside = t.one('b');
    const shown = '2001:db8:1:d550::1234';
    assert.deepEqual(outside.subarray(8, 24), octets6(shown));
    t.put('b', ipv6({ src: router, dst: shown, next: 58, payload: icmp6(1, 0, 0, outside, router, shown) }));
    const error = t.one('a');
    assert.deepEqual(error.subarray(24, 40), octets6(own));
    assert.deepEqual(error.subarray(48, 88), Uint8Array.from(sent.subarray(0, 40)).with(7, 63), 'the quoted header is as it was sent');
    assert.deepEqual(error.subarray(88), sent.subarray(40), 'its checksum too');
    assert.equal(sum6(router, own, 58, error.subarray(40)), 0);
    t.end();
  });

  it('and so over IPv4; an error from an inner router shows it by its outer address, and the inner host it quotes too', () => {
    const t = new TwoWires(['10.1.0.1/24'], ['198.51.100.1/24']);
    t.stack.filter.set(rules('10.1.0.0/24', '203.0.113.0/24'));
    t.put('b', ipv4({ src: '198.51.100.9', dst: '203.0.113.5', payload: udp(7, 8) }));
    const inside = t.one('a');
    assert.deepEqual([...inside.subarray(16, 20)], [10, 1, 0, 5]);
    t.put('a', ipv4({ src: '10.1.0.77', dst: '198.51.100.9', protocol: 1, payload: icmp(11, 0, 0, inside) }));
    const error = t.one('b');
    assert.deepEqual([...error.subarray(12, 16)], [203, 0, 113, 77]);
    assert.deepEqual([...error.subarray(20 + 8 + 16, 20 + 8 + 20)], [203, 0, 113, 5]);
    assert.equal(checksum(error.subarray(20)), 0);
    assert.equal(checksum(error.subarray(28, 48)), 0, 'the quoted header is whole');
    t.end();
  });

  it('an error of the translator itself quotes the packet as its sender sent it', () => {
    const t = new TwoWires(['10.1.0.1/24'], ['198.51.100.1/24']);
    t.stack.filter.set(rules('10.1.0.0/24', '203.0.113.0/24'));
    const sent = ipv4({ src: '198.51.100.9', dst: '203.0.113.5', ttl: 1, payload: udp(7, 8) });
    t.put('b', sent);
    const error = t.one('b');
    assert.deepEqual([error[20], ...error.subarray(44, 48)], [11, 203, 0, 113, 5]);
    assert.deepEqual(error.subarray(28, 56), sent.subarray(0, 28));
    assert.equal(checksum(error.subarray(20)), 0);
    t.end();
  });
});
