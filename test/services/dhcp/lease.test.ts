import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { memoryStore } from '#src/hyper/memory-store.js';
import { classlessRoutes, decodeLease, encodeLease, type Lease, leaseOf } from '#src/services/dhcp/lease.js';
import { Pool } from '#src/services/dhcp/pool.js';
import { type DhcpMessage, Option } from '#src/wire/dhcp.js';
import { octets } from '../../support/octets.js';
import { address } from '../../support/stacks.js';

describe('DHCP leases', () => {
  const message = (...options: (readonly [number, string])[]): DhcpMessage => ({
    op: 2,
    xid: 1,
    secs: 0,
    flags: 0,
    ciaddr: 0,
    yiaddr: address('10.1.2.3').w3,
    siaddr: 0,
    giaddr: 0,
    chaddr: octets('020000000001'),
    options: new Map([
      [Option.MessageType, octets('05')],
      [Option.ServerId, octets('0a010001')],
      [Option.LeaseTime, octets('00000064')],
      ...options.map(([option, value]) => [option, octets(value)] as const),
    ]),
  });
  const lease = (...options: (readonly [number, string])[]): Lease => leaseOf(message(...options)) as Lease;

  it('RFC 2131 §4.4.5: times that make no sense give way to the defaults; a lease is for 10 s at least, or for ever', () => {
    assert.deepEqual([lease().renew, lease().rebind, lease().expire], [seconds(50), seconds(87.5), seconds(100)]);
    const odd = lease([Option.RenewalTime, '000000c8'], [Option.RebindingTime, '00000010']);
    assert.deepEqual([odd.renew, odd.rebind], [seconds(16), seconds(16)]);
    assert.equal(leaseOf(message([Option.LeaseTime, '00000009'])), null);
    assert.equal(lease([Option.LeaseTime, 'ffffffff']).renew, Number.POSITIVE_INFINITY);
    assert.equal(leaseOf({ ...message(), yiaddr: 0 }), null);
    assert.equal(leaseOf(message([Option.LeaseTime, '01'])), null);
  });

  it('RFC 3442: classless routes win over the router, and a malformed option gives way to it', () => {
    const routes = classlessRoutes(octets('00 0a010001 18 c0a801 00000000 20 c0a80201 0a010002'));
    assert.deepEqual(
      routes?.map(({ to, gateway }) => `${to.address}/${to.length} ${gateway}`),
      ['0.0.0.0/0 10.1.0.1', '192.168.1.0/24 null', '192.168.2.1/32 10.1.0.2'],
    );
    assert.equal(classlessRoutes(octets('21 0a010001 00000000')), null);
    assert.equal(classlessRoutes(octets('18 c0a801')), null);
    const broken = lease([Option.ClasslessRoutes, '21'], [Option.Router, '0a010001']);
    assert.deepEqual(
      broken.routes.map(({ gateway }) => `${gateway}`),
      ['10.1.0.1'],
    );
  });

  it('masks, domains, MTU: what is wrong is left out', () => {
    assert.equal(lease([Option.SubnetMask, 'ffff0000']).length, 16);
    assert.equal(lease([Option.SubnetMask, 'ff00ff00']).length, 8);
    assert.equal(lease([Option.SubnetMask, '00000000']).length, 0);
    assert.deepEqual(lease([Option.SearchList, '0161 00 0162 c000'], [Option.DomainName, '6578']).search, ['ex', 'a', 'b.a']);
    assert.deepEqual(lease([Option.SearchList, 'c000'], [Option.DomainName, '2e2e']).search, []);
    assert.deepEqual([lease([Option.Mtu, '0044']).mtu, lease([Option.Mtu, '0578']).mtu], [0, 1_400]);
    assert.deepEqual(lease([Option.DnsServers, '0a010001 00000000 e0000001 0a']).servers.map(String), ['10.1.0.1']);
  });

  it('what the store keeps is read again, and nothing else is', () => {
    const kept = encodeLease(lease(), 1e15);
    assert.deepEqual(decodeLease(kept), { lease: lease(), began: 1e15 });
    assert.equal(decodeLease(kept.subarray(0, 100)), null);
  });

  it('a pool gives the same address again, fresh ones first, then the one free for longest', () => {
    let now = 0;
    const clocks = { bootTime: () => now, wallClock: () => now };
    const pool = new Pool(10, 12, [], clocks, memoryStore(), 'k');
    for (const [i, client] of ['a', 'b', 'c'].entries()) {
      assert.equal(pool.choose(client, 0), 10 + i);
      pool.bind(client, '', '', 10 + i, 100);
      now += 10;
    }
    assert.deepEqual([pool.choose('d', 0), pool.free], [null, 0]);
    now = 105;
    assert.equal(pool.choose('d', 11), 10);
    now = 500;
    assert.equal(pool.choose('d', 11), 11);
    assert.equal(pool.choose('b', 0), 11);
    pool.bind('d', '', '', 11, 100);
    assert.equal(pool.of('b'), null);
    assert.equal(pool.choose('b', 0), 10);
    pool.decline(11);
    assert.equal(pool.choose('d', 11), 10);
  });
});
