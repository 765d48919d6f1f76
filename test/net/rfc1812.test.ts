import assert from 'node:assert/strict';
import { address, prefix } from '../support/stacks.js';
import { Bench, concat, hex, icmp, ipv4, toHex, udp } from '../support/wire.js';

/** A router at 10.0.0.1 whose way to 192.0.2.0/24 is 10.0.0.5. */
describe('RFC 1812: a router', () => {
  let t: Bench;
  beforeEach(() => {
    t = new Bench(['10.0.0.1/24'], { sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv4.conf.all.send_redirects': 0 } });
    t.introduce();
    t.eth0.neighbors?.setPermanent(address('10.0.0.5'), 0x0200, 0x00000005);
    const { address: at, length } = prefix('192.0.2.0/24');
    const rest = { source: null, metric: 0, mtu: 0, table: 254, vrf: 0, protocol: 'static', type: 'unicast' } as const;
    t.stack.ip.routes.add({ family: 4, prefix: at, length, index: t.eth0.index, gateway: address('10.0.0.5'), ...rest });
    t.frames();
  });
  afterEach(() => t.end());
  /** What is forwarded of an IPv4 packet, without the link header. */
  const passed = (packet: Uint8Array, to: Uint8Array = t.mac): Uint8Array[] => {
    t.ether(0x0800, packet, to);
    return t.packets();
  };

  it('§5.2.5, §4.2.2.3: changes TTL and checksum alone: precedence, reserved bits, options it does not know pass as they are', () => {
    for (const fields of [{ tos: 0xff }, { fragment: 0x8000 }, { id: 0xbeef, fragment: 0x4000 }, { options: '9e04 0000' }]) {
      const given = ipv4({ dst: '192.0.2.1', ttl: 9, payload: udp(9, 9), ...fields });
      const [out] = passed(given);
      assert.ok(out !== undefined, JSON.stringify(fields));
      const expected = ipv4({ dst: '192.0.2.1', ttl: 8, payload: udp(9, 9), ...fields });
      assert.equal(toHex(out), toHex(expected));
    }
  });

  it('§5.2.6: sends fragments on as they come', () => {
    for (const fragment of [0x2000, 0x2001, 0x0002]) {
      const [out] = passed(ipv4({ dst: '192.0.2.1', id: 7, fragment, payload: new Uint8Array(8) }));
      assert.equal((((out?.[6] as number) << 8) | (out?.[7] as number)) & 0xffff, fragment);
    }
  });

  it('§5.3.4: what came as broadcast or multicast of the link goes no further', () => {
    const packet = ipv4({ dst: '192.0.2.1', payload: udp(9, 9) });
    assert.deepEqual(passed(packet, hex('ffffffffffff')), []);
    assert.deepEqual(passed(packet, hex('01005e000001')), []);
    t.dropped({ IpBroadcastForward: 2 });
  });

  it('§5.3.5.1, §4.2.2.11: forwards no limited broadcast, no loopback, and nothing of a source that is no host', () => {
    assert.deepEqual(passed(ipv4({ dst: '255.255.255.255', payload: udp(9, 9) }), hex('ffffffffffff')), []);
    t.stack.ctx.counters.drops.fill(0);
    for (const fields of [
      { dst: '127.0.0.1' },
      { src: '127.0.0.1' },
      { src: '224.0.0.1' },
      { src: '255.255.255.255' },
      { src: '240.0.0.1' },
      { src: '0.0.0.0' },
    ]) {
      assert.deepEqual(passed(ipv4({ dst: '192.0.2.1', payload: udp(9, 9), ...fields })), [], JSON.stringify(fields));
    }
    t.dropped({ IpMartian: 3, IpBadSource: 3 });
  });

  it('§5.2.7.2: believes no redirect about what it forwards', () => {
    const quoted = ipv4({ src: '10.0.0.9', dst: '192.0.2.1', payload: udp(9, 9) });
    t.ip({ src: '10.0.0.5', protocol: 1, payload: icmp(5, 1, 0x0a000007, quoted) });
    t.stack.ctx.counters.drops.fill(0);
    t.ether(0x0800, ipv4({ dst: '192.0.2.1', payload: udp(9, 9) }));
    const [frame] = t.frames();
    assert.equal(toHex((frame as Uint8Array).subarray(0, 6)), '020000000005', 'still by the way it knows');
  });

  it('§5.3.1: a TTL of 1 ends here, one of 2 does not; §4.2.2.9: what is for us is taken with any', () => {
    assert.equal(passed(ipv4({ dst: '192.0.2.1', ttl: 2, payload: udp(9, 9) }))[0]?.[8], 1);
    const [exceeded] = passed(ipv4({ dst: '192.0.2.1', ttl: 1, payload: udp(9, 9) }));
    assert.deepEqual([exceeded?.[20], exceeded?.[21]], [11, 0]);
    const [echoed] = passed(ipv4({ dst: '10.0.0.1', ttl: 1, protocol: 1, payload: icmp(8, 0, 1) }));
    assert.equal(echoed?.[20], 0);
    t.dropped({ IpTtlExceeded: 1 });
  });

  it('§4.3.2.7: no time exceeded about an ICMP error, a later fragment, or to a source that is no host', () => {
    passed(ipv4({ dst: '192.0.2.1', ttl: 1, protocol: 1, payload: icmp(3, 1, 0, concat(ipv4({}), new Uint8Array(8))) }));
    passed(ipv4({ dst: '192.0.2.1', ttl: 1, fragment: 5, payload: new Uint8Array(8) }));
    t.quiet();
    t.dropped({ IpTtlExceeded: 2 });
  });

  it('§4.2.2.5: a wrong header checksum ends a packet that only passes, without a word', () => {
    assert.deepEqual(passed(ipv4({ dst: '192.0.2.1', checksum: 0x1234, payload: udp(9, 9) })), []);
    t.dropped({ IpBadChecksum: 1 });
  });

  it('§5.3.12.1: when forwarding stops nothing passes, and when it begins again it does', () => {
    t.stack.ctx.sysctl.set('net.ipv4.ip_forward', 0);
    assert.deepEqual(passed(ipv4({ dst: '192.0.2.1', payload: udp(9, 9) })), []);
    t.dropped({ IpNotForUs: 1 });
    t.stack.ctx.sysctl.set('net.ipv4.ip_forward', 1);
    assert.equal(passed(ipv4({ dst: '192.0.2.1', payload: udp(9, 9) })).length, 1);
  });
});
