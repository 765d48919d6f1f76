import assert from 'node:assert/strict';
import { ConfigError } from '#src/base/errors.js';
import { createStack, memoryLink } from '#src/index.js';
import { Sysctl } from '#src/net/sysctl.js';
import { GLOBAL, LL, Nut, TN1, TN2, TR1 } from '../../support/ready.js';
import { address, prefix } from '../../support/stacks.js';

describe('tunables of one interface', () => {
  let t: Nut | null = null;
  afterEach(() => {
    t?.end();
    t = null;
  });
  const set = (name: string, value: unknown): void => (t as Nut).stack.ctx.sysctl.set(name, value);

  it('all is for every interface, default for those without their own, a name for one; names may have dots', () => {
    const s = new Sysctl();
    const [one, two] = [s.attach('eth0'), s.attach('eth0.100')];
    s.set('net.ipv6.conf.all.accept_ra', 2);
    assert.deepEqual([one.conf6.accept_ra, two.conf6.accept_ra], [2, 2]);
    s.set('net.ipv6.conf.eth0.100.accept_ra', 0);
    s.set('net.ipv6.conf.default.accept_ra', 1);
    assert.deepEqual([one.conf6.accept_ra, two.conf6.accept_ra, s.attach('eth1').conf6.accept_ra], [1, 0, 1]);
    assert.equal(s.get('net.ipv6.conf.all.accept_ra'), 2);
    assert.equal(s.get('net.ipv6.conf.eth0.accept_ra'), 1);
    assert.equal(s.given('net.ipv6.conf.eth0.accept_ra'), undefined);
    s.unset('net.ipv6.conf.default.accept_ra');
    s.unset('net.ipv6.conf.eth0.100.accept_ra');
    assert.deepEqual([one.conf6.accept_ra, two.conf6.accept_ra], [2, 2]);
    s.unset('net.ipv6.conf.all.accept_ra');
    assert.equal(one.conf6.accept_ra, 1);
  });

  it('a value of an interface outlives it, is checked like that of all, and stands in the list', () => {
    const s = new Sysctl('linux', { 'net.ipv4.conf.ppp0.rp_filter': 1 });
    assert.equal(s.attach('ppp0').conf4.rp_filter, 1);
    s.detach('ppp0');
    assert.equal(s.attach('ppp0').conf4.rp_filter, 1);
    assert.throws(() => s.set('net.ipv4.conf.ppp0.rp_filter', 3), ConfigError);
    assert.throws(() => s.set('net.ipv4.conf.ppp0.rp_filtre', 1), /nearest is net.ipv4.conf.all.rp_filter/);
    assert.throws(() => s.set('net.ipv4.tcp.ppp0.rmem', 1), ConfigError);
    assert.deepEqual(
      s
        .list()
        .filter(({ name }) => name.includes('ppp0'))
        .map(({ name, value }) => [name, value]),
      [['net.ipv4.conf.ppp0.rp_filter', 1]],
    );
  });

  it('net.ipv4.ip_forward and net.ipv4.conf.all.forwarding are one; an interface may be left out', () => {
    const s = new Sysctl();
    const [one, two] = [s.attach('eth0'), s.attach('eth1')];
    let told = 0;
    s.onChange('net.ipv4.ip_forward', () => told++);
    s.set('net.ipv4.conf.eth1.forwarding', 0);
    s.set('net.ipv4.ip_forward', 1);
    assert.deepEqual([one.conf4.forwarding, two.conf4.forwarding, s.get('net.ipv4.conf.all.forwarding'), told], [1, 0, 1, 2]);
    s.set('net.ipv4.conf.all.forwarding', 0);
    assert.deepEqual([one.conf4.forwarding, s.get('net.ipv4.ip_forward')], [0, 0]);
  });

  it('net.ipv6.conf.eth0.forwarding: what comes in there goes on, and the interface is a router', () => {
    t = new Nut('router');
    t.reachable(TR1);
    set('net.ipv6.conf.eth0.forwarding', 0);
    t.ask(TN1, TN1.global, TN2.global);
    t.dropped({ IpNotForUs: 1 });
    set('net.ipv6.conf.all.forwarding', 0);
    set('net.ipv6.conf.eth0.forwarding', 1);
    t.seen();
    t.ask(TN1, TN1.global, TN2.global);
    assert.ok(t.lines().includes(`echo ${TN2.global} via TR1`));
    t.advertise(TR1);
    t.dropped({ NdRefused: 1 });
  });

  it('net.ipv6.conf.eth0.accept_ra, autoconf and dad_transmits go by the interface', () => {
    t = new Nut('host', { 'net.ipv6.conf.eth0.accept_ra': 0 });
    t.advertise(TR1);
    t.dropped({ NdRefused: 1 });
    set('net.ipv6.conf.eth0.accept_ra', 1);
    set('net.ipv6.conf.eth0.autoconf', 0);
    t.advertise(TR1);
    assert.deepEqual(t.addresses(), [`${LL}/64 preferred`]);
    set('net.ipv6.conf.eth0.autoconf', 1);
    set('net.ipv6.conf.eth0.dad_transmits', 2);
    t.advertise(TR1);
    t.wait(3.1);
    assert.deepEqual(
      t.lines().filter((l) => l.startsWith('dad')),
      [`dad ${GLOBAL}`, `dad ${GLOBAL}`],
    );
  });

  it('net.ipv6.conf.all.mtu: packets over it go in fragments; a router may tell less, and none below 1280 is taken', () => {
    t = new Nut('host', { 'net.ipv6.conf.all.mtu': 1_400 });
    t.reachable(TN1);
    t.ask(TN1, TN1.ll, LL, 1_400);
    assert.ok(t.lines().every((l) => l.startsWith('fragment')));
    set('net.ipv6.conf.eth0.mtu', 1_279);
    t.ask(TN1, TN1.ll, LL, 1_400);
    t.sends(`reply ${TN1.ll} via TN1`);
  });

  it('net.ipv6.conf.eth0.disable_ipv6: addresses go and nothing is heard; back, it begins anew', () => {
    t = new Nut('host');
    t.setup();
    assert.equal(t.addresses().length, 2);
    set('net.ipv6.conf.eth0.disable_ipv6', 1);
    assert.deepEqual([t.addresses(), t.stack.v6.routers.list()], [[], []]);
    t.ask(TN1);
    t.dropped({ Ipv6Disabled: 1 });
    set('net.ipv6.conf.eth0.disable_ipv6', 0);
    assert.deepEqual(t.addresses(), [`${LL}/64 preferred`]);
    t.isNone(TN1);
    set('net.ipv6.conf.lo.disable_ipv6', 1);
    assert.deepEqual(
      t.stack.ip.loopback.addresses.filter((a) => !a.address.isV4),
      [],
    );
    set('net.ipv6.conf.lo.disable_ipv6', 0);
    assert.equal(t.stack.ip.loopback.addresses.filter((a) => !a.address.isV4).length, 1);
  });

  it('net.ipv6.conf.all.accept_dad: RFC 4862 §5.4.5, another station with our link-local address ends IPv6 on the interface', () => {
    for (const mode of [1, 2]) {
      t = new Nut('host', { 'net.ipv6.conf.all.accept_dad': mode, 'net.ipv6.conf.all.dad_transmits': 1 });
      t.cable(false);
      t.stack.addresses.remove(t.eth0, address(LL));
      t.cable(true);
      t.stack.addAddress(t.eth0, prefix(`${GLOBAL}/64`));
      t.ns(LL, [], { src: '::', dst: 'ff02::1:ff00:1' });
      t.wait(3);
      t.seen();
      t.ask(TN1, TN1.global);
      t.sends(...(mode === 1 ? [`ns ${TN1.global}`] : []));
      assert.deepEqual(t.addresses(), mode === 1 ? [`${LL}/64 duplicate`, `${GLOBAL}/64 preferred`] : []);
      if (mode === 1) t.end();
    }
  });

  it('net.ipv6.neigh: the times of IPv6 neighbours are their own, by interface', () => {
    t = new Nut('host', {
      'net.ipv6.neigh.default.retrans_time_ms': 100,
      'net.ipv6.neigh.default.mcast_solicit': 2,
      'net.ipv6.neigh.default.base_reachable_time_ms': 1_000,
      'net.ipv6.neigh.default.delay_first_probe_time': 2,
      'net.ipv6.neigh.default.ucast_solicit': 1,
      'net.ipv6.neigh.default.gc_stale_time': 3,
    });
    t.incomplete(TN1);
    t.wait(0.5);
    t.sends(`ns ${TN1.ll}`);
    t.wait(2);
    t.reachable(TN1);
    t.wait(1.6);
    t.ask(TN1);
    t.sends(`reply ${TN1.ll} via TN1`);
    t.wait(2.05);
    t.sends(`ns ${TN1.ll} via TN1`);
    t.wait(1);
    t.sends();
    t.wait(10);
    set('net.ipv6.neigh.eth0.mcast_solicit', 4);
    t.incomplete(TN1);
    t.wait(0.5);
    t.sends(...Array<string>(3).fill(`ns ${TN1.ll}`));
    t.wait(2);
    t.reachable(TN1);
    t.wait(5);
    assert.equal(t.eth0.neighbors?.size, 0, 'stale and unused for three seconds');
  });

  it('in the configuration: interfaces have theirs, a reload changes them, and what is left out is inherited again', async () => {
    const interfaces = { eth0: { device: memoryLink()[0], addresses: ['10.0.0.1/24'] } };
    const stack = createStack({ interfaces, sysctl: { 'net.ipv4.conf.eth0.rp_filter': 1, 'net.ipv4.neigh.eth0.retrans_time_ms': 500 } });
    const { eth0 } = { eth0: stack.core.interfaces.named('eth0') };
    assert.deepEqual([eth0?.conf4.rp_filter, eth0?.neigh4.retrans_time_ms, eth0?.neigh6.retrans_time_ms], [1, 500, 1_000]);
    stack.reload({ interfaces, sysctl: { 'net.ipv4.conf.all.rp_filter': 2 } });
    assert.deepEqual([eth0?.conf4.rp_filter, eth0?.neigh4.retrans_time_ms], [2, 1_000]);
    assert.throws(() => stack.reload({ interfaces, sysctl: { 'net.ipv4.conf.eth0.rp_filtre': 2 } }), /no such tunable/);
    await stack.close();
  });
});
