import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { NeighborState, neighborStateNames } from '#src/net/link/neighbor.js';
import type { UdpSocket } from '#src/net/socket/udp-socket.js';
import { address } from '../../support/stacks.js';
import { concat, hex, toHex } from '../../support/wire.js';
import { Bench6, octets6, PEER, PEER_LL, PEER_MAC, sourceLink, targetLink, udp6 } from '../../support/wire6.js';

const OTHER_MAC = '0200000000aa';

describe('neighbour discovery', () => {
  let t: Bench6;
  let socket: UdpSocket;
  beforeEach(() => {
    t = new Bench6();
    socket = t.stack.udp.openSocket(6);
    socket.bind(null, 7);
  });
  afterEach(() => {
    socket.close();
    t.end();
  });
  const send = (to = PEER): number => socket.sendTo(new Uint8Array(1), 0, 1, address(to), 9, t.eth0.index);
  const entry = (of = PEER): string => {
    const n = t.eth0.neighbors?.find(address(of)) ?? null;
    if (n === null) return 'none';
    const mac = n.usable ? ` ${n.macHigh.toString(16).padStart(4, '0')}${(n.macLow >>> 0).toString(16).padStart(8, '0')}` : '';
    return `${neighborStateNames[n.state]}${mac}${n.isRouter ? ' router' : ''}`;
  };

  describe('messages that must not be believed', () => {
    const ns = { src: PEER_LL, dst: 'fd00::1' };
    const cases: [string, string, () => void][] = [
      ['§7.1.1: a solicitation with hop limit 254', 'NdHopLimit', () => t.ns('fd00::1', [sourceLink()], { hops: 254 })],
      ['§7.1.1: a solicitation with code 1', 'NdMalformed', () => t.icmp(135, 1, 0, octets6('fd00::1'), { ...ns, hops: 255 })],
      ['§7.1.1: a solicitation cut short', 'NdTruncated', () => t.icmp(135, 0, 0, octets6('fd00::1').subarray(0, 12), { ...ns, hops: 255 })],
      ['§7.1.1: a solicitation for a group', 'NdMalformed', () => t.ns('ff02::1', [], { dst: 'fd00::1' })],
      ['§7.1.1: an option of length 0', 'NdMalformed', () => t.ns('fd00::1', [hex('0100020000000009')])],
      ['§7.1.1: a probe that is not to the solicited-node group', 'NdBadAddress', () => t.ns('fd00::1', [], { src: '::' })],
      ['§7.1.1: a probe with a link address', 'NdBadAddress', () => t.ns('fd00::1', [sourceLink()], { src: '::', dst: 'ff02::1:ff00:1' })],
      ['§7.2.3: a solicitation for somebody else', 'NdNotForUs', () => t.ns('fd00::77', [sourceLink()], { dst: 'fd00::1' })],
      ['§7.1.2: an advertisement with hop limit 254', 'NdHopLimit', () => t.na(PEER, 0x60, [targetLink()], { hops: 254 })],
      ['§7.1.2: a solicited advertisement to a group', 'NdBadAddress', () => t.na(PEER, 0x60, [targetLink()], { dst: 'ff02::1' })],
      ['§7.2.5: an advertisement nobody asked for', 'NdNotForUs', () => t.na(PEER, 0x60, [targetLink()])],
      [
        '§6.1.1: a router solicitation with hop limit 254',
        'NdHopLimit',
        () => t.icmp(133, 0, 0, new Uint8Array(0), { src: PEER_LL, dst: Bench6.LL, hops: 254 }),
      ],
      [
        '§6.1.1: a router solicitation from nobody with a link address',
        'NdBadAddress',
        () => t.icmp(133, 0, 0, sourceLink(), { src: '::', dst: Bench6.LL, hops: 255 }),
      ],
      ['§6.2.6: a router solicitation to a host', 'NdRefused', () => t.icmp(133, 0, 0, sourceLink(), { src: PEER_LL, dst: Bench6.LL, hops: 255 })],
      ['§6.1.2: a router advertisement with hop limit 254', 'NdHopLimit', () => t.ra({ hops: 254 })],
      ['§6.1.2: a router advertisement from a global address', 'NdBadAddress', () => t.ra({ src: PEER })],
      ['§6.1.2: a router advertisement with code 1', 'NdMalformed', () => t.ra({ code: 1 })],
    ];
    for (const [what, drop, act] of cases) {
      it(`RFC 4861 ${what} changes nothing`, () => {
        const before = t.eth0.neighbors?.size;
        act();
        t.dropped({ [drop]: 1 });
        t.quiet();
        assert.equal(t.eth0.neighbors?.size, before);
        assert.deepEqual(t.stack.v6.routers.list(), []);
      });
    }
  });

  describe('answers', () => {
    it('RFC 4861 §7.2.4: a solicitation to the group is answered with our link address, solicited and to override', () => {
      t.ns('fd00::1', [sourceLink()], { src: PEER, dst: 'ff02::1:ff00:1' });
      const m = t.message();
      assert.deepEqual([m.type, m.src, m.dst, m.hops, m.rest >>> 24, m.toMac], [136, 'fd00::1', PEER, 255, 0x60, PEER_MAC]);
      assert.equal(toHex(m.body), toHex(octets6('fd00::1')) + '0201020000000001');
      assert.equal(entry(), `DELAY ${PEER_MAC}`); // STALE by the question, DELAY by the answer
    });

    it('RFC 4861 §7.2.3: no link address in a unicast question: the answer waits for resolution', () => {
      t.ns('fd00::1', [], { src: PEER });
      const question = t.message();
      assert.deepEqual([question.type, question.dst], [135, 'ff02::1:ff00:9']);
      t.na(PEER, 0x60, [targetLink()]);
      assert.equal(t.message().type, 136);
    });

    it('RFC 4861 §7.2.4, RFC 4862 §5.4.3: a probe for our address is answered to all nodes, not solicited', () => {
      t.ns('fd00::1', [], { src: '::', dst: 'ff02::1:ff00:1' });
      const m = t.message();
      assert.deepEqual([m.type, m.dst, m.rest >>> 24, m.toMac], [136, 'ff02::1', 0x20, '333300000001']);
    });

    it('RFC 4861 §4.4: a router says so', () => {
      t.stack.ctx.sysctl.set('net.ipv6.conf.all.forwarding', 1);
      t.ns('fd00::1', [sourceLink()]);
      assert.equal(t.message().rest >>> 24, 0xe0);
    });

    it('somebody who advertises our address in use is told of, and the address stays', () => {
      t.na('fd00::1', 0x20, [targetLink()], { dst: 'ff02::1' });
      t.dropped({ AddressDuplicate: 1 });
      assert.deepEqual(t.events, ['conflict: fd00::1 02:00:00:00:00:09']);
      assert.ok(t.addresses().includes('fd00::1/64 preferred'));
      t.ns('fd00::1', [], { src: 'fd00::1', dst: 'fd00::1' });
      t.dropped({ AddressDuplicate: 1 });
      t.quiet();
    });
  });

  describe('resolution', () => {
    it('a link that goes takes its neighbours with it: behind the next cable others may be', () => {
      t.meet(PEER);
      assert.notEqual(entry(), 'none');
      t.cable(false);
      assert.equal(entry(), 'none');
      t.cable(true);
    });

    it('RFC 4861 §7.2.2: three questions a second apart from the pending source, then the sender hears of it', () => {
      assert.equal(send(), 1);
      for (let i = 0; i < 3; i++) {
        const m = t.message();
        assert.deepEqual([m.type, m.src, m.dst, m.hops, m.toMac], [135, 'fd00::1', 'ff02::1:ff00:9', 255, '3333ff000009']);
        assert.equal(toHex(m.body), `${toHex(octets6(PEER))}0101020000000001`);
        t.run(seconds(1));
      }
      t.quiet();
      t.dropped({ NeighborFailed: 1 });
      assert.equal(entry(), 'FAILED');
    });

    it('RFC 4861 §7.2.5: a solicited answer makes REACHABLE and sends what waits', () => {
      send();
      t.seen();
      t.na(PEER, 0x60, [targetLink()]);
      const p = t.one();
      assert.deepEqual([p.next, p.dst, p.toMac], [17, PEER, PEER_MAC]);
      assert.equal(entry(), `REACHABLE ${PEER_MAC}`);
    });

    it('RFC 4861 §7.2.5: while INCOMPLETE an answer without link address is ignored, an unsolicited one makes STALE', () => {
      send();
      t.seen();
      t.na(PEER, 0x60, []);
      t.quiet();
      assert.equal(entry(), 'INCOMPLETE');
      t.na(PEER, 0xa0, [targetLink()]);
      assert.equal(t.one().next, 17);
      assert.equal(entry(), `DELAY ${PEER_MAC} router`);
    });

    // RFC 4861 §7.2.5 and appendix C: state before, flags, link address, state after.
    const table: [string, number, number, string | null, string][] = [
      ['REACHABLE', NeighborState.Reachable, 0x40, null, `REACHABLE ${PEER_MAC}`],
      ['REACHABLE', NeighborState.Reachable, 0x40, OTHER_MAC, `STALE ${PEER_MAC}`],
      ['REACHABLE', NeighborState.Reachable, 0x20, OTHER_MAC, `STALE ${OTHER_MAC}`],
      ['REACHABLE', NeighborState.Reachable, 0x60, OTHER_MAC, `REACHABLE ${OTHER_MAC}`],
      ['REACHABLE', NeighborState.Reachable, 0x00, PEER_MAC, `REACHABLE ${PEER_MAC}`],
      ['STALE', NeighborState.Stale, 0x40, OTHER_MAC, `STALE ${PEER_MAC}`],
      ['STALE', NeighborState.Stale, 0x40, PEER_MAC, `REACHABLE ${PEER_MAC}`],
      ['STALE', NeighborState.Stale, 0x40, null, `REACHABLE ${PEER_MAC}`],
      ['STALE', NeighborState.Stale, 0x20, OTHER_MAC, `STALE ${OTHER_MAC}`],
      ['STALE', NeighborState.Stale, 0x60, OTHER_MAC, `REACHABLE ${OTHER_MAC}`],
      ['STALE', NeighborState.Stale, 0x00, null, `STALE ${PEER_MAC}`],
      ['STALE', NeighborState.Stale, 0x80, PEER_MAC, `STALE ${PEER_MAC} router`],
      ['STALE', NeighborState.Stale, 0x80, OTHER_MAC, `STALE ${PEER_MAC}`],
    ];
    for (const [name, before, flags, mac, after] of table) {
      it(`RFC 4861 §7.2.5: in ${name} an advertisement with flags ${flags.toString(16)} and ${mac === null ? 'no' : mac === PEER_MAC ? 'the same' : 'another'} link address`, () => {
        send();
        t.na(PEER, before === NeighborState.Reachable ? 0x60 : 0x20, [targetLink()]);
        if (before === NeighborState.Stale) {
          // From the DELAY that its packet began, by another unsolicited change and back.
          t.na(PEER, 0x20, [targetLink(OTHER_MAC)]);
          t.na(PEER, 0x20, [targetLink()]);
        }
        t.seen();
        assert.equal(entry(), `${name} ${PEER_MAC}`);
        t.na(PEER, flags, mac === null ? [] : [targetLink(mac)]);
        assert.equal(entry(), after);
      });
    }

    it('RFC 4861 §7.3.3: unused for a while it is STALE, used DELAY, then probed by unicast and forgotten', () => {
      send();
      t.na(PEER, 0x60, [targetLink()]);
      t.wait(46);
      assert.equal(entry(), `STALE ${PEER_MAC}`);
      t.seen();
      send();
      assert.equal(t.one().next, 17);
      assert.equal(entry(), `DELAY ${PEER_MAC}`);
      t.wait(5);
      for (let i = 0; i < 3; i++) {
        const m = t.message();
        assert.deepEqual([m.type, m.dst, m.toMac], [135, PEER, PEER_MAC]);
        t.wait(1);
      }
      t.quiet();
      assert.equal(entry(), 'FAILED');
    });

    it('RFC 6583 §7.1: a scan displaces its own entries, not those in use', () => {
      t.stack.ctx.sysctl.set('anystack.neighbors_max', 16);
      t.meet(PEER);
      send();
      t.na(PEER, 0x60, [targetLink()]);
      for (let i = 0x100; i < 0x180; i++) socket.sendTo(new Uint8Array(1), 0, 1, address(`fd00::${i.toString(16)}`), 9);
      assert.equal(t.eth0.neighbors?.size, 16);
      assert.equal(entry(), `REACHABLE ${PEER_MAC}`);
      t.seen();
      t.dropped({ NeighborFailed: 113 });
      assert.equal(send('fd00::abc'), 1); // and new ones are still asked for
      assert.equal(t.message().dst, 'ff02::1:ff00:abc');
      t.dropped({ NeighborFailed: 1 });
    });
  });

  it('RFC 4007 §6: a link-local destination needs a zone', () => {
    assert.equal(socket.sendTo(new Uint8Array(1), 0, 1, address(PEER_LL), 9, 0), -22);
    assert.equal(send(PEER_LL), 1);
    assert.equal(t.message().src, Bench6.LL);
  });

  describe('duplicate address detection', () => {
    let d: Bench6;
    const claim = (text: string, sysctl: Record<string, unknown> = {}): void => {
      d = new Bench6({ 'net.ipv6.conf.all.dad_transmits': 1, ...sysctl }, []);
      d.wait(3);
      d.seen();
      d.stack.addAddress(d.eth0, { address: address(text), length: 64 });
    };
    afterEach(() => d.end());
    const state = (): string | undefined => d.eth0.addresses.find((a) => a.address.equals(address('fd00::1')))?.state;

    it('RFC 4862 §5.4.2: one probe from nobody to the solicited-node group, with a nonce; the address is used a second later', () => {
      claim('fd00::1');
      d.run(seconds(0.1));
      const m = d.message();
      assert.deepEqual([m.type, m.src, m.dst, m.hops], [135, '::', 'ff02::1:ff00:1', 255]);
      assert.equal(toHex(m.body.subarray(0, 18)), `${toHex(octets6('fd00::1'))}0e01`);
      assert.equal(state(), 'tentative');
      d.wait(1.1);
      d.quiet();
      assert.equal(state(), 'preferred');
    });

    it('RFC 4862 §5.4.1: an interface that comes up waits at random, the link-local address first', () => {
      d = new Bench6({ 'net.ipv6.conf.all.dad_transmits': 1 }, []);
      d.wait(2.1);
      const probes = d.seen();
      assert.deepEqual(
        probes.map((p) => [p.src, p.dst]),
        [['::', 'ff02::1:ff00:1']],
      );
      assert.deepEqual(d.addresses(), [`${Bench6.LL}/64 preferred`]);
    });

    it('RFC 4862 §5.4: a tentative address receives and answers nothing', () => {
      claim('fd00::1');
      d.ns('fd00::1', [sourceLink()], { dst: 'ff02::1:ff00:1' });
      d.ip6({ payload: udp6(1, 7) });
      d.dropped({ NdNotForUs: 1, IpNotForUs: 1 });
    });

    it('RFC 4862 §5.4.4: an advertisement of the address ends it', () => {
      claim('fd00::1');
      d.na('fd00::1', 0x20, [targetLink()], { src: 'fd00::1', dst: 'ff02::1' });
      assert.equal(state(), 'duplicate');
      assert.deepEqual(d.events, ['conflict: fd00::1 02:00:00:00:00:09']);
      d.wait(5);
      assert.equal(state(), 'duplicate');
      d.dropped({ AddressDuplicate: 1 });
    });

    it('RFC 4862 §5.4.3: a probe of another station ends it, also before ours was sent', () => {
      claim('fd00::1');
      d.ns('fd00::1', [], { src: '::', dst: 'ff02::1:ff00:1' });
      assert.equal(state(), 'duplicate');
      d.dropped({ AddressDuplicate: 1 });
    });

    it('RFC 7527 §4.2: our own probe looped back does not end it; more are sent', () => {
      claim('fd00::1');
      d.run(seconds(0.1));
      const probe = d.message();
      d.icmp(135, 0, 0, probe.body, { src: '::', dst: 'ff02::1:ff00:1', hops: 255 });
      d.dropped({ NdLooped: 1 });
      d.wait(5);
      assert.equal(d.seen().length, 3);
      assert.equal(state(), 'preferred');
    });

    it('RFC 4429: an optimistic address receives, and answers without override', () => {
      claim('fd00::2', { 'net.ipv6.conf.all.optimistic_dad': 1 });
      d.ra({ options: [concat(hex('0304 40c0 00015180 00015180 00000000'), octets6('fd00::'))] });
      const optimistic = d.eth0.addresses.find((a) => a.state === 'optimistic');
      assert.ok(optimistic);
      d.seen();
      d.ns(optimistic.address.toString(), [sourceLink()]);
      assert.equal(d.message().rest >>> 24, 0x40);
      d.wait(3);
      assert.equal(optimistic.state, 'preferred');
      d.dropped({});
    });

    it('RFC 9131 §4.1: routers are told of a new address, without override', () => {
      claim('fd00::1', { 'net.ipv6.conf.all.ndisc_notify': 1 });
      d.wait(1.2);
      const [, na] = d.seen();
      assert.deepEqual([na?.payload[0], na?.src, na?.dst, na?.payload[4]], [136, 'fd00::1', 'ff02::2', 0]);
    });

    it('a link that comes back has its addresses probed for, in use meanwhile', () => {
      claim('fd00::1');
      d.wait(2);
      d.seen();
      d.cable(false);
      d.cable(true);
      assert.equal(state(), 'preferred');
      d.wait(2.5);
      assert.equal(d.seen().filter((p) => p.src === '::').length, 2);
      d.ns('fd00::1', [sourceLink()]);
      assert.equal(d.message().type, 136);
    });
  });
});
