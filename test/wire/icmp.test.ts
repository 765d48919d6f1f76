import assert from 'node:assert/strict';
import { Address } from '#src/base/address.js';
import { Drop } from '#src/base/drops.js';
import { icmpv4, icmpv6, Protocol } from '#src/wire/index.js';
import { octets, view, viewOf } from '../support/octets.js';
import { slowChecksum, slowTransportChecksum } from '../support/slow/checksum.js';

const quoted = '4500001c000000004011000001020304050607081234005000080000';

/** An ICMP message with the right checksum. */
function message(text: string): DataView {
  const v = view(text);
  icmpv4.finishMessage(v, 0, v.byteLength);
  return v;
}

describe('wire/icmpv4', () => {
  it('RFC 792: an echo request of ping', () => {
    const v = message('0800 0000 1a2b 0007 6869');
    assert.equal(icmpv4.check(v, 0, 10), 0);
    assert.equal(slowChecksum(new Uint8Array(v.buffer)), 0);
    assert.deepEqual([icmpv4.type(v, 0), icmpv4.code(v, 0), icmpv4.identifier(v, 0), icmpv4.sequence(v, 0)], [icmpv4.Type.Echo, 0, 0x1a2b, 7]);
    assert.equal(icmpv4.format(v, 0, 10), 'icmp Echo code 0 id 6699 sequence 7');
    assert.notEqual(icmpv4.checksum(v, 0), 0);
  });

  it('RFC 1191 §4: fragmentation needed carries the MTU, and errors quote', () => {
    const v = message(`0304 0000 0000 05dc ${quoted}`);
    assert.equal(icmpv4.check(v, 0, v.byteLength), 0);
    assert.equal(icmpv4.mtu(v, 0), 1500);
    assert.equal(icmpv4.quoted(0), 8);
    assert.equal(icmpv4.pointer(message(`0c00 0000 1400 0000 ${quoted}`), 0), 20);
    assert.equal(icmpv4.gateway(message(`0501 0000 0a000001 ${quoted}`), 0), 0x0a000001);
  });

  it('IcmpTruncated: short, quoting less than RFC 792 asks, half a timestamp', () => {
    const v = message(`0300 0000 00000000 ${quoted}`);
    for (let end = 0; end < 8; end++) assert.equal(icmpv4.check(v, 0, end), Drop.IcmpTruncated);
    for (let end = 8; end < v.byteLength; end++) {
      const short = viewOf(new Uint8Array(v.buffer, 0, end));
      icmpv4.finishMessage(short, 0, end);
      assert.equal(icmpv4.check(short, 0, end), Drop.IcmpTruncated);
    }
    assert.equal(icmpv4.check(message(`0300 0000 00000000 44${quoted.slice(2)}`), 0, 36), Drop.IcmpTruncated, 'an impossible header length');
    assert.equal(icmpv4.check(message(`0300 0000 00000000 46${quoted.slice(2)}`), 0, 36), Drop.IcmpTruncated, 'options cut off');
    assert.equal(icmpv4.check(message('0d00 0000 0001 0001 00000000'), 0, 12), Drop.IcmpTruncated);
    assert.equal(icmpv4.check(message(`0d00 0000 0001 0001 ${'00'.repeat(12)}`), 0, 20), 0);
  });

  it('IcmpBadChecksum', () => {
    const v = message('0800 0000 1a2b 0007 6869');
    v.setUint8(9, 0);
    assert.equal(icmpv4.check(v, 0, 10), Drop.IcmpBadChecksum);
  });

  it('knows errors, about which none is sent (RFC 1122 §3.2.2)', () => {
    const { Type } = icmpv4;
    for (const type of [Type.Unreachable, Type.SourceQuench, Type.Redirect, Type.TimeExceeded, Type.ParameterProblem])
      assert.ok(icmpv4.isError(type));
    for (const type of [Type.Echo, Type.EchoReply, Type.Timestamp, 42]) assert.ok(!icmpv4.isError(type));
  });

  it('writes what it reads', () => {
    const v = viewOf(new Uint8Array(36));
    new Uint8Array(v.buffer).set(octets(quoted), 8);
    icmpv4.put(v, 0, icmpv4.Type.Unreachable, icmpv4.Unreachable.FragmentationNeeded, 1280);
    icmpv4.finishMessage(v, 0, 36);
    assert.equal(icmpv4.check(v, 0, 36), 0);
    assert.equal(icmpv4.mtu(v, 0), 1280);
    assert.equal(icmpv4.format(v, 0, 7), 'icmp truncated');
  });
});

describe('wire/icmpv6', () => {
  const source = new Address(0xfe800000, 0, 0, 1);
  const destination = new Address(0xff020000, 0, 0, 1);

  it('RFC 4443 §2.3: the checksum covers the pseudo header', () => {
    const v = viewOf(new Uint8Array(13));
    icmpv6.put(v, 0, icmpv6.Type.Echo, 0, 0x12340001);
    icmpv6.finishMessage(v, 0, 13, source, destination);
    assert.equal(icmpv6.check(v, 0, 13), 0);
    assert.ok(icmpv6.verify(v, 0, 13, source, destination));
    assert.ok(!icmpv6.verify(v, 0, 13, source, new Address(0xff020000, 0, 0, 2)));
    const packet = Uint8Array.from([
      ...octets('60000000000d3aff fe800000000000000000000000000001 ff020000000000000000000000000001'),
      ...new Uint8Array(v.buffer),
    ]);
    assert.equal(slowTransportChecksum(packet, 40, Protocol.Icmpv6), 0);
    assert.deepEqual([icmpv6.type(v, 0), icmpv6.code(v, 0), icmpv6.identifier(v, 0), icmpv6.sequence(v, 0)], [128, 0, 0x1234, 1]);
    assert.equal(icmpv6.format(v, 0, 13), 'icmpv6 Echo code 0 id 4660 sequence 1');
    assert.notEqual(icmpv6.checksum(v, 0), 0);
  });

  it('RFC 4443 §3.2, §3.4: MTU and pointer', () => {
    const v = view(`0200 0000 00000500 ${'60'.repeat(40)}`);
    assert.equal(icmpv6.check(v, 0, 48), 0);
    assert.equal(icmpv6.mtu(v, 0), 1280);
    assert.equal(icmpv6.pointer(v, 0), 1280);
    assert.equal(icmpv6.quoted(3), 11);
  });

  it('IcmpTruncated: short, or an error that quotes less than a header', () => {
    const v = view(`0100 0000 00000000 ${'60'.repeat(40)}`);
    for (let end = 0; end < 48; end++) assert.equal(icmpv6.check(v, 0, end), Drop.IcmpTruncated);
    assert.ok(icmpv6.isError(1) && icmpv6.isError(127) && !icmpv6.isError(128));
    assert.equal(icmpv6.format(v, 0, 7), 'icmpv6 truncated');
  });
});
