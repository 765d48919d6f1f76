import assert from 'node:assert/strict';
import { Drop } from '#src/base/drops.js';
import { ah, esp, gre } from '#src/wire/index.js';
import { hex, octets, view, viewOf } from '../support/octets.js';
import { slowChecksum } from '../support/slow/checksum.js';

describe('wire/esp', () => {
  it('RFC 4303 §2: reads SPI and sequence, and the trailer of an opened payload', () => {
    const v = view('c0000001 00000007 4500 0102 0204');
    assert.equal(esp.check(v, 0, v.byteLength), 0);
    assert.deepEqual([esp.spi(v, 0), esp.sequence(v, 0)], [0xc0000001, 7]);
    assert.equal(esp.checkTrailer(v, 8, v.byteLength), 0);
    assert.deepEqual([esp.padLength(v, v.byteLength), esp.nextHeader(v, v.byteLength)], [2, 4]);
    assert.equal(esp.format(v, 0, v.byteLength), 'esp spi 0xc0000001 sequence 7');
  });

  it('writes what it reads, for every padding', () => {
    for (let pad = 0; pad < 256; pad++) {
      const v = viewOf(new Uint8Array(8 + pad + 2));
      esp.put(v, 0, 0xc0000001, 0xffffffff);
      assert.equal(esp.putTrailer(v, 8, pad, 6), v.byteLength);
      assert.deepEqual([esp.spi(v, 0), esp.sequence(v, 0)], [0xc0000001, 0xffffffff]);
      assert.equal(esp.checkTrailer(v, 8, v.byteLength), 0);
      assert.deepEqual([esp.padLength(v, v.byteLength), esp.nextHeader(v, v.byteLength)], [pad, 6]);
    }
  });

  it('EspTruncated: short, or SPI 0 (RFC 4303 §2.1)', () => {
    const v = view('c0000001 00000007 0004');
    for (let end = 0; end < 10; end++) assert.equal(esp.check(v, 0, end), Drop.EspTruncated);
    assert.equal(esp.check(view('00000000 00000007 0004'), 0, 10), Drop.EspTruncated);
    assert.equal(esp.format(v, 0, 7), 'esp truncated');
  });

  it('EspBadPadding: past the payload, or not 1, 2, 3 (RFC 4303 §2.4)', () => {
    for (const text of ['', '04', '0104', '01020304 0504', '0202 0204', '0103 0204', '0000 0204']) {
      const v = view(text);
      assert.equal(esp.checkTrailer(v, 0, v.byteLength), Drop.EspBadPadding, text);
    }
  });
});

describe('wire/ah', () => {
  const v = view(`0604 0000 00000100 00000009 ${'aa'.repeat(12)}`);

  it('RFC 4302 §2: reads and writes the header', () => {
    assert.equal(ah.check(v, 0, 24), 0);
    assert.deepEqual([ah.nextHeader(v, 0), ah.headerLength(v, 0), ah.spi(v, 0), ah.sequence(v, 0)], [6, 24, 256, 9]);
    assert.equal(ah.format(v, 0, 24), 'ah spi 0x00000100 sequence 9 next 6');
    const out = viewOf(new Uint8Array(12));
    ah.put(out, 0, 6, 24, 256, 9);
    assert.equal(hex(out), hex(v, 0, 12));
  });

  it('AhTruncated: short, a length below its own header, SPI 0', () => {
    for (let end = 0; end < 24; end++) assert.equal(ah.check(v, 0, end), Drop.AhTruncated);
    assert.equal(ah.check(view('06000000 00000100 00000009'), 0, 12), Drop.AhTruncated);
    assert.equal(ah.check(view('06010000 00000000 00000009'), 0, 12), Drop.AhTruncated);
    assert.equal(ah.format(v, 0, 11), 'ah truncated');
  });
});

describe('wire/gre', () => {
  it('RFC 2784 §2, RFC 2890 §2: every set of fields, written and read', () => {
    const { Flag } = gre;
    for (let bits = 0; bits < 8; bits++) {
      const word = (bits & 1 ? Flag.Checksum : 0) | (bits & 2 ? Flag.Key : 0) | (bits & 4 ? Flag.Sequence : 0);
      const length = gre.lengthOf(word);
      const v = viewOf(new Uint8Array(length + 3));
      new Uint8Array(v.buffer).set(octets('010203'), length);
      assert.equal(gre.put(v, 0, word, 0x0800, 0xfffffff0, 0x80000000), length);
      if (word & Flag.Checksum) {
        gre.finishPacket(v, 0, v.byteLength);
        assert.equal(slowChecksum(new Uint8Array(v.buffer)), 0);
      }
      assert.equal(gre.check(v, 0, v.byteLength), 0);
      assert.deepEqual([gre.flags(v, 0), gre.type(v, 0), gre.headerLength(v, 0)], [word, 0x0800, length]);
      assert.equal(gre.key(v, 0), word & Flag.Key ? 0xfffffff0 : -1);
      assert.equal(gre.sequence(v, 0), word & Flag.Sequence ? 0x80000000 : -1);
      for (let end = 0; end < length; end++) assert.equal(gre.check(v, 0, end), Drop.GreTruncated);
      assert.match(gre.format(v, 0, v.byteLength), word & Flag.Key ? /key 4294967280$/ : /type 0x0800$/);
      assert.equal(gre.format(v, 0, length - 1), 'gre truncated');
    }
  });

  it('GreBadFlags: another version, or a flag that RFC 2784 §2.3 has refused; bits 6 to 12 are ignored', () => {
    for (const word of [1, 7, 0x4000, 0x0800, 0x0400]) {
      const v = view(`${word.toString(16).padStart(4, '0')}0800`);
      assert.equal(gre.check(v, 0, 4), Drop.GreBadFlags);
    }
    assert.equal(gre.check(view('03f80800'), 0, 4), 0);
  });

  it('GreBadChecksum', () => {
    assert.equal(gre.check(view('80000800 12340000'), 0, 8), Drop.GreBadChecksum);
  });
});
