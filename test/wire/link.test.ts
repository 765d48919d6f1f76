import assert from 'node:assert/strict';
import { Drop } from '#src/base/drops.js';
import { arp, ethernet, vlan } from '#src/wire/index.js';
import { hex, view } from '../support/octets.js';

describe('wire/ethernet', () => {
  const frame = view('ffffffffffff 020000000001 0806');

  it('IEEE 802.3 §3.1.1: reads the header', () => {
    assert.equal(ethernet.check(frame, 0, 14), 0);
    assert.equal(ethernet.type(frame, 0), ethernet.EtherType.Arp);
    assert.deepEqual([ethernet.destinationHigh(frame, 0), ethernet.destinationLow(frame, 0)], [0xffff, -1]);
    assert.equal(ethernet.formatMac(ethernet.sourceHigh(frame, 0), ethernet.sourceLow(frame, 0)), '02:00:00:00:00:01');
    assert.ok(ethernet.isBroadcast(frame, 0) && ethernet.isGroup(frame, 0));
    assert.equal(ethernet.format(frame, 0, 14), '02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff type 0x0806');
  });

  it('tells groups from stations, and broadcast from groups', () => {
    const group = view('01005e000001 020000000001 0800');
    assert.ok(ethernet.isGroup(group, 0) && !ethernet.isBroadcast(group, 0));
    const station = view('020000000002 020000000001 0800');
    assert.ok(!ethernet.isGroup(station, 0) && !ethernet.isBroadcast(station, 0));
  });

  it('EthernetTruncated, EthernetBadSource', () => {
    for (let end = 0; end < 14; end++) assert.equal(ethernet.check(frame, 0, end), Drop.EthernetTruncated);
    assert.equal(ethernet.check(view('020000000002 010000000001 0800'), 0, 14), Drop.EthernetBadSource);
  });

  it('writes what it reads', () => {
    const out = view('00'.repeat(16));
    ethernet.put(out, 1, 0xffff, -1, 0x0200, 1, 0x0806);
    assert.equal(hex(out), `00${hex(frame)}00`);
  });

  it('parses station addresses of both customs, and nothing else', () => {
    assert.deepEqual(ethernet.parseMac('02-00-00-00-00-FF'), Uint8Array.from([2, 0, 0, 0, 0, 255]));
    for (const text of ['', '02:00:00:00:00', '02:00:00:00:00:01:02', '2:0:0:0:0:1', '0200.0000.0001', 'gg:00:00:00:00:01'])
      assert.equal(ethernet.parseMac(text), null);
  });
});

describe('wire/vlan', () => {
  it('IEEE 802.1Q §9.6: reads the tag', () => {
    const tag = view('6064 0800');
    assert.equal(vlan.check(tag, 0, 4), 0);
    assert.deepEqual([vlan.vid(tag, 0), vlan.pcp(tag, 0), vlan.tci(tag, 0), vlan.type(tag, 0)], [100, 3, 0x6064, 0x0800]);
    assert.equal(vlan.format(tag, 0, 4), 'vlan 100 priority 3 type 0x0800');
  });

  it('VlanTruncated', () => {
    for (let end = 0; end < 4; end++) assert.equal(vlan.check(view('60640800'), 0, end), Drop.VlanTruncated);
    assert.equal(vlan.format(view('6064'), 0, 2), 'vlan truncated');
  });

  it('push and pop move only the addresses', () => {
    const plain = '0a0000000001 0a0000000002 0800 4500';
    const v = view(`00000000 ${plain}`);
    assert.equal(vlan.push(v, 4, 0x8100, 0x2005), 0);
    assert.equal(hex(v), '0a00000000010a000000000281002005' + '08004500');
    assert.equal(vlan.pop(v, 0), 4);
    assert.equal(hex(v, 4), plain.replaceAll(' ', ''));
  });
});

describe('wire/arp', () => {
  const request = '0001 0800 0604 0001 020000000001 0a000001 000000000000 0a000002';

  it('RFC 826: reads a request', () => {
    const v = view(`${request} ${'00'.repeat(18)}`);
    assert.equal(arp.check(v, 0, v.byteLength), 0, 'padding is no part of it');
    assert.deepEqual([arp.op(v, 0), arp.sender(v, 0), arp.target(v, 0)], [arp.Op.Request, 0x0a000001, 0x0a000002]);
    assert.deepEqual([arp.senderMacHigh(v, 0), arp.senderMacLow(v, 0), arp.targetMacHigh(v, 0), arp.targetMacLow(v, 0)], [0x0200, 1, 0, 0]);
    assert.equal(arp.format(v, 0, 28), 'arp who has 10.0.0.2 tell 10.0.0.1');
  });

  it('writes what it reads', () => {
    const out = view('00'.repeat(28));
    assert.equal(arp.put(out, 0, arp.Op.Request, 0x0200, 1, 0x0a000001, 0, 0, 0x0a000002), 28);
    assert.equal(hex(out), request.replaceAll(' ', ''));
    arp.put(out, 0, arp.Op.Reply, 0x0200, 1, 0x0a000001, 0, 0, 0x0a000002);
    assert.equal(arp.format(out, 0, 28), 'arp 10.0.0.1 is at 02:00:00:00:00:01');
  });

  it('ArpTruncated', () => {
    for (let end = 0; end < 28; end++) assert.equal(arp.check(view(request), 0, end), Drop.ArpTruncated);
    assert.equal(arp.format(view(request), 0, 27), 'arp truncated');
  });

  it('ArpMalformed: another hardware, protocol, length or opcode', () => {
    for (const [at, value] of [
      [1, 6],
      [2, 0x86],
      [4, 8],
      [5, 16],
      [7, 0],
      [7, 3],
      [6, 1],
    ] as const) {
      const v = view(request);
      v.setUint8(at, value);
      assert.equal(arp.check(v, 0, 28), Drop.ArpMalformed, `octet ${at}`);
    }
  });

  it('ArpBadSender: a group as station or as address', () => {
    for (const [at, value] of [
      [8, 1],
      [14, 224],
      [14, 239],
    ] as const) {
      const v = view(request);
      v.setUint8(at, value);
      assert.equal(arp.check(v, 0, 28), Drop.ArpBadSender);
    }
  });
});
