import assert from 'node:assert/strict';
import { millis, seconds } from '#src/base/time.js';
import { NEIGHBOR_PENDING_MAX, neighborStateNames } from '#src/net/link/neighbor.js';
import { address } from '../support/stacks.js';
import { Bench, hex, toHex, udp } from '../support/wire.js';

const ALL = hex('ffffffffffff');
const request = (sender: string, target: string, mac = '020000000009'): Uint8Array =>
  hex(`0001 0800 06 04 0001 ${mac} ${sender} 000000000000 ${target}`);
const reply = (sender: string, target: string, mac = '020000000009'): Uint8Array =>
  hex(`0001 0800 06 04 0002 ${mac} ${sender} 020000000001 ${target}`);

describe('ARP', () => {
  let t: Bench;
  const state = (text: string): string => {
    const n = t.eth0.neighbors?.find(address(text));
    return n ? (neighborStateNames[n.state] as string) : 'none';
  };
  beforeEach(() => {
    t = new Bench();
  });
  afterEach(() => t.end());

  it('RFC 826: a request for our address is answered to its sender, and the sender is learned', () => {
    t.ether(0x0806, request('0a000009', '0a000001'), ALL);
    const [frame] = t.frames() as [Uint8Array];
    assert.equal(frame.length, 60);
    assert.equal(
      toHex(frame.subarray(0, 42)),
      `020000000009 020000000001 0806 0001080006040002 020000000001 0a000001 020000000009 0a000009`.replaceAll(' ', ''),
    );
    assert.equal(state('10.0.0.9'), 'STALE');
    t.dropped({});
  });

  it('RFC 826: a request for somebody else is not answered and makes no entry', () => {
    t.ether(0x0806, request('0a000009', '0a000005'), ALL);
    t.quiet();
    assert.equal(state('10.0.0.9'), 'none');
  });

  it('what is not ARP for IPv4 over Ethernet is dropped by reason', () => {
    t.ether(0x0806, hex('0001 0800 06 04 0001'), ALL);
    t.dropped({ ArpTruncated: 1 });
    t.ether(0x0806, hex('0006 0800 06 04 0001 020000000009 0a000009 000000000000 0a000001'), ALL);
    t.dropped({ ArpMalformed: 1 });
    t.ether(0x0806, request('0a000009', '0a000001', '030000000009'), ALL);
    t.dropped({ ArpBadSender: 1 });
    t.quiet();
  });

  it('RFC 1122 §2.3.2: an unresolved next hop is asked for at most once a second, three times, then fails', () => {
    const socket = t.stack.udp.openSocket(4);
    socket.connect(address('10.0.0.9'), 9);
    for (let i = 0; i < NEIGHBOR_PENDING_MAX + 2; i++) socket.sendTo(new Uint8Array(1), 0, 1, null, 0);
    assert.equal(t.frames().length, 1);
    t.dropped({ NeighborQueueFull: 2 });
    t.run(seconds(1));
    assert.equal(t.frames().length, 1);
    t.run(seconds(1));
    assert.equal(t.frames().length, 1);
    t.run(seconds(1));
    t.quiet();
    t.dropped({ NeighborFailed: NEIGHBOR_PENDING_MAX });
    assert.equal(state('10.0.0.9'), 'FAILED');
    // The next packet asks anew: it is a second since the last question.
    for (let i = 0; i < 3; i++) socket.sendTo(new Uint8Array(1), 0, 1, null, 0);
    assert.equal(t.frames().length, 1);
    socket.close();
  });

  it('RFC 4861 §7.3: an answer makes it reachable, silence stale, use delayed, and then it is probed by unicast', () => {
    const socket = t.stack.udp.openSocket(4);
    socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.0.9'), 9);
    t.frames();
    t.ether(0x0806, reply('0a000009', '0a000001'));
    assert.equal(t.packets().length, 1);
    assert.equal(state('10.0.0.9'), 'REACHABLE');
    t.run(seconds(46));
    assert.equal(state('10.0.0.9'), 'STALE');
    socket.sendTo(new Uint8Array(1), 0, 1, address('10.0.0.9'), 9);
    assert.equal(t.packets().length, 1);
    assert.equal(state('10.0.0.9'), 'DELAY');
    t.run(seconds(5.1));
    const [probe] = t.frames() as [Uint8Array];
    assert.equal(toHex(probe.subarray(0, 6)), '020000000009');
    assert.equal(state('10.0.0.9'), 'PROBE');
    t.ether(0x0806, reply('0a000009', '0a000001'));
    assert.equal(state('10.0.0.9'), 'REACHABLE');
    socket.close();
  });

  it('RFC 5227 §2.4: a station that claims our address is answered once in ten seconds and changes nothing', () => {
    t.ether(0x0806, request('0a000001', '0a000005'), ALL);
    assert.equal(t.frames().length, 1);
    t.dropped({ AddressDuplicate: 1 });
    t.ether(0x0806, reply('0a000001', '0a000001'));
    t.quiet();
    t.dropped({ AddressDuplicate: 1 });
    assert.deepEqual(t.events, ['conflict: 10.0.0.1 02:00:00:00:00:09']);
  });

  it('RFC 5227 §2.1: with probing on, three probes precede the use of an address, and an owner prevents it', () => {
    t.end();
    t = new Bench([], { sysctl: { 'net.ipv4.conf.all.arp_probe': 1 } });
    const entry = t.stack.addAddress(t.eth0, { address: address('10.0.0.1'), length: 24 });
    t.run(seconds(7.5));
    const probes = t.frames().filter((f) => toHex(f.subarray(28, 32)) === '00000000');
    assert.equal(probes.length, 3);
    assert.equal(entry.state, 'preferred');
    const other = t.stack.addAddress(t.eth0, { address: address('10.0.0.2'), length: 24 });
    t.run(millis(1_100));
    t.frames();
    t.ether(0x0806, reply('0a000002', '0a000002'));
    assert.equal(other.state, 'duplicate');
    t.ether(0x0806, request('0a000009', '0a000002'), ALL);
    t.quiet();
  });

  it('a scan does not displace neighbours in use: the table is bounded', () => {
    t.end();
    t = new Bench(['10.0.0.1/16'], { sysctl: { 'anystack.neighbors_max': 8 } });
    t.introduce();
    const socket = t.stack.udp.openSocket(4);
    for (let i = 0; i < 20; i++) socket.sendTo(new Uint8Array(1), 0, 1, address(`10.0.1.${i}`), 9);
    t.run();
    assert.equal(t.eth0.neighbors?.size, 8);
    socket.close();
    t.run(seconds(5));
    t.frames();
    t.ip({ payload: udp(1, 9) });
    assert.equal(t.frames().length, 1, 'the stack still answers');
  });
});
