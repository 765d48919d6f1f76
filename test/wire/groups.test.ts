import assert from 'node:assert/strict';
import { Address, parseAddress } from '#src/base/address.js';
import { Drop } from '#src/base/drops.js';
import { icmpv6, igmp, mld } from '#src/wire/index.js';
import { hex, octets, view, viewOf } from '../support/octets.js';

const group = 'ff0e0000000000000000000000000101';
const source = '20010db8000000000000000000000001';
const read = (get: (into: Address) => void): string => {
  const address = new Address();
  get(address);
  return `${address}`;
};

describe('wire/mld', () => {
  it('RFC 2710 §3: a version 1 query, whose delay is what it is', () => {
    const v = view(`8200 0000 9000 0000 ${group}`);
    assert.equal(mld.check(v, 0, 24), 0);
    assert.deepEqual([mld.queryVersion(0, 24), mld.maxDelayMs(v, 0, 24)], [1, 0x9000]);
    assert.equal(
      read((into) => mld.group(v, 0, into)),
      'ff0e::101',
    );
  });

  it('RFC 9777 §5.1: a version 2 query with sources and its two floating codes', () => {
    const v = view(`8200 0000 9000 0000 ${group} 0a 90 0002 ${source} ${source}`);
    assert.equal(mld.check(v, 0, v.byteLength), 0);
    assert.equal(mld.queryVersion(0, v.byteLength), 2);
    assert.equal(mld.maxDelayMs(v, 0, v.byteLength), 0x1000 << 4);
    assert.deepEqual([mld.suppress(v, 0), mld.robustness(v, 0), mld.intervalSeconds(v, 0), mld.sources(v, 0)], [true, 2, 16 << 4, 2]);
    assert.equal(
      read((into) => mld.source(v, 0, 1, into)),
      '2001:db8::1',
    );
    assert.equal(mld.format(v, 0, v.byteLength), 'mld query version 2');
  });

  it('RFC 9777 §5.2: a report and its records', () => {
    const v = viewOf(new Uint8Array(8 + 20 + 20 + 16));
    let at = mld.putReport(v, 0, 2);
    at = mld.putRecord(v, at, mld.Record.ToExclude, 0, parseAddress('ff0e::101') as Address);
    at = mld.putRecord(v, at, mld.Record.Allow, 1, parseAddress('ff0e::102') as Address);
    new Uint8Array(v.buffer).set(octets(source), at);
    assert.equal(mld.check(v, 0, v.byteLength), 0);
    assert.equal(mld.records(v, 0), 2);
    const first = mld.firstRecord(0);
    const second = mld.nextRecord(v, first);
    assert.deepEqual([mld.recordType(v, first), mld.recordSources(v, first), mld.recordType(v, second), mld.recordSources(v, second)], [4, 0, 5, 1]);
    assert.equal(
      read((into) => mld.recordGroup(v, second, into)),
      'ff0e::102',
    );
    assert.equal(
      read((into) => mld.recordSource(v, second, 0, into)),
      '2001:db8::1',
    );
    assert.equal(mld.nextRecord(v, second), v.byteLength);
    assert.equal(mld.format(v, 0, v.byteLength), 'mld report, 2 records');
  });

  it('version 1 reports and dones', () => {
    const v = viewOf(new Uint8Array(24));
    assert.equal(mld.putV1(v, 0, icmpv6.Type.MulticastDone, parseAddress('ff0e::101') as Address), 24);
    assert.equal(mld.check(v, 0, 24), 0);
    assert.equal(mld.format(v, 0, 24), 'mld done');
    mld.putV1(v, 0, icmpv6.Type.MulticastReport, new Address());
    assert.equal(mld.format(v, 0, 24), 'mld report version 1');
  });

  it('MldTruncated: short messages, missing sources and records, a query of neither length (RFC 9777 §8.1)', () => {
    const query = view(`8200 0000 9000 0000 ${group} 0a 90 0001 ${source}`);
    for (let end = 0; end < query.byteLength; end++) if (end !== 24) assert.equal(mld.check(query, 0, end), Drop.MldTruncated);
    const report = view(`8f00 0000 0000 0002 0101 0000 ${group} 00000000 0100 0001 ${group} ${source}`);
    assert.equal(mld.check(report, 0, report.byteLength), 0, 'auxiliary data are passed over');
    for (let end = 0; end < report.byteLength; end++) assert.equal(mld.check(report, 0, end), Drop.MldTruncated);
    assert.equal(mld.format(report, 0, 9), 'mld truncated');
  });
});

/** An IGMP message with the right checksum. */
function message(text: string): DataView {
  const v = view(text);
  igmp.finishMessage(v, 0, v.byteLength);
  return v;
}

describe('wire/igmp', () => {
  it('RFC 9776 §7.1: tells the version of a query', () => {
    for (const [text, version, time] of [
      ['1100 0000 00000000', 1, 100],
      ['1164 0000 00000000', 2, 100],
      ['1190 0000 e0000101 0a90 0000', 3, 256],
      ['117f 0000 e0000101 0a7f 0000', 3, 127],
      ['11ff 0000 00000000', 2, 255],
    ] as const) {
      const v = message(text);
      assert.equal(igmp.check(v, 0, v.byteLength), 0);
      assert.deepEqual([igmp.queryVersion(v, 0, v.byteLength), igmp.maxTime(v, 0, v.byteLength)], [version, time], text);
      assert.equal(igmp.format(v, 0, v.byteLength), `igmp query version ${version}`);
    }
  });

  it('RFC 9776 §4.1: fields and sources of a version 3 query', () => {
    const v = message('1164 0000 e0000101 0a90 0001 0a000001');
    assert.deepEqual(
      [
        igmp.type(v, 0),
        igmp.group(v, 0),
        igmp.suppress(v, 0),
        igmp.robustness(v, 0),
        igmp.intervalSeconds(v, 0),
        igmp.sources(v, 0),
        igmp.source(v, 0, 0),
      ],
      [0x11, 0xe0000101 | 0, true, 2, 256, 1, 0x0a000001],
    );
  });

  it('RFC 9776 §4.2: a report and its records', () => {
    const v = viewOf(new Uint8Array(8 + 8 + 8 + 4));
    let at = igmp.putReport(v, 0, 2);
    at = igmp.putRecord(v, at, igmp.Record.ToExclude, 0, 0xe0000101);
    at = igmp.putRecord(v, at, igmp.Record.Block, 1, 0xe0000102);
    v.setInt32(at, 0x0a000001);
    igmp.finishMessage(v, 0, v.byteLength);
    assert.equal(igmp.check(v, 0, v.byteLength), 0);
    const first = igmp.firstRecord(0);
    const second = igmp.nextRecord(v, first);
    assert.deepEqual(
      [igmp.records(v, 0), igmp.recordType(v, first), igmp.recordSources(v, first), igmp.recordGroup(v, first)],
      [2, 4, 0, 0xe0000101 | 0],
    );
    assert.deepEqual([igmp.recordType(v, second), igmp.recordSources(v, second), igmp.recordSource(v, second, 0)], [6, 1, 0x0a000001]);
    assert.equal(igmp.nextRecord(v, second), v.byteLength);
    assert.equal(igmp.format(v, 0, v.byteLength), 'igmp report version 3, 2 records');
  });

  it('RFC 2236 §2: writes reports and leaves of 8 octets', () => {
    const v = viewOf(new Uint8Array(8));
    igmp.put(v, 0, igmp.Type.ReportV2, 0, 0xe0000101);
    assert.equal(hex(v), '160008fee0000101');
    assert.equal(igmp.format(v, 0, 8), 'igmp type 0x16');
    igmp.put(v, 0, igmp.Type.Leave, 0, 0xe0000101);
    assert.equal(igmp.check(v, 0, 8), 0);
    assert.equal(igmp.format(v, 0, 8), 'igmp leave');
  });

  it('IgmpTruncated, IgmpBadChecksum', () => {
    const query = message('1164 0000 e0000101 0a90 0001 0a000001');
    for (let end = 0; end < query.byteLength; end++) {
      const v = viewOf(new Uint8Array(query.buffer, 0, end));
      if (end >= 8) igmp.finishMessage(v, 0, end);
      if (end !== 8) assert.equal(igmp.check(v, 0, end), Drop.IgmpTruncated, `${end} octets`);
    }
    const report = '2200 0000 0000 0002 0101 0000 e0000101 00000000 0100 0001 e0000102 0a000001';
    assert.equal(igmp.check(message(report), 0, 32), 0);
    for (let end = 8; end < 32; end++)
      assert.equal(igmp.check(message(report.replaceAll(' ', '').slice(0, 2 * end)), 0, end), Drop.IgmpTruncated, `${end} octets`);
    query.setUint8(5, 9);
    assert.equal(igmp.check(query, 0, 16), Drop.IgmpBadChecksum);
    assert.equal(igmp.format(query, 0, 7), 'igmp truncated');
  });
});
