import assert from 'node:assert/strict';
import { Drop } from '#src/base/drops.js';
import { tcp, tcpOptions, udp } from '#src/wire/index.js';
import { hex, octets, view, viewOf } from '../support/octets.js';

const { Kind, TcpOptions } = tcpOptions;

describe('wire/udp', () => {
  const v = view('0035 8235 000a 0000 6869 ffff');

  it('RFC 768: reads the header; what lies past the length is padding', () => {
    assert.equal(udp.check(v, 0, 12), 0);
    assert.deepEqual([udp.sourcePort(v, 0), udp.destinationPort(v, 0), udp.length(v, 0), udp.checksum(v, 0)], [53, 33333, 10, 0]);
    assert.equal(udp.format(v, 0, 12), 'udp 53 > 33333 length 10');
  });

  it('writes what it reads', () => {
    const out = viewOf(new Uint8Array(8));
    udp.put(out, 0, 53, 33333, 10, 0);
    assert.equal(hex(out), hex(v, 0, 8));
  });

  it('UdpTruncated, UdpBadLength', () => {
    for (let end = 0; end < 8; end++) assert.equal(udp.check(v, 0, end), Drop.UdpTruncated);
    for (let end = 8; end < 10; end++) assert.equal(udp.check(v, 0, end), Drop.UdpBadLength);
    assert.equal(udp.check(view('0035823500070000'), 0, 8), Drop.UdpBadLength);
    assert.equal(udp.format(v, 0, 7), 'udp truncated');
  });
});

describe('wire/tcp', () => {
  const syn = view('d431 01bb 80000001 00000000 a002 faf0 0000 0000 020405b4 0402080a 00112233 00000000 01030307');

  it('RFC 9293 §3.1: reads the header', () => {
    assert.equal(tcp.check(syn, 0, 40), 0);
    assert.deepEqual(
      [
        tcp.sourcePort(syn, 0),
        tcp.destinationPort(syn, 0),
        tcp.seq(syn, 0),
        tcp.ack(syn, 0),
        tcp.headerLength(syn, 0),
        tcp.flags(syn, 0),
        tcp.window(syn, 0),
        tcp.urgent(syn, 0),
        tcp.checksum(syn, 0),
      ],
      [54321, 443, 0x80000001 | 0, 0, 40, tcp.Flag.Syn, 64240, 0, 0],
    );
    assert.equal(tcp.format(syn, 0, 40), 'tcp 54321 > 443 [S] seq 2147483649 win 64240 length 0');
  });

  it('writes what it reads', () => {
    const out = viewOf(new Uint8Array(20));
    tcp.put(out, 0, 54321, 443, 0x80000001 | 0, 0, 40, tcp.Flag.Syn, 64240, 0, 0);
    assert.equal(hex(out), hex(syn, 0, 20));
    tcp.setChecksum(out, 0, 0x1234);
    assert.equal(tcp.checksum(out, 0), 0x1234);
  });

  it('RFC 9293 MUST-64: header and options at any place', () => {
    for (let shift = 1; shift < 4; shift++) {
      const moved = viewOf(Uint8Array.from([...new Uint8Array(shift), ...new Uint8Array(syn.buffer)]));
      const options = new TcpOptions();
      assert.equal(tcp.check(moved, shift, moved.byteLength), 0);
      assert.equal(tcpOptions.parseOptions(moved, shift, options), 0);
      assert.equal(options.tsVal, 0x00112233);
    }
  });

  it('TcpTruncated, TcpBadOffset', () => {
    for (let end = 0; end < 40; end++) assert.equal(tcp.check(syn, 0, end), Drop.TcpTruncated);
    const v = viewOf(new Uint8Array(syn.buffer));
    v.setUint8(12, 0x4f);
    assert.equal(tcp.check(v, 0, 40), Drop.TcpBadOffset);
    assert.equal(tcp.format(v, 0, 40), 'tcp truncated');
  });

  it('writes flags as letters', () => {
    assert.equal(tcp.formatFlags(0xff), 'FSRPUEW.');
    assert.equal(tcp.formatFlags(0), 'none');
  });
});

describe('wire/tcp-options', () => {
  /** A header with these options, padded with zeros to a word. */
  function header(options: string): DataView {
    const bytes = octets(options);
    const v = viewOf(new Uint8Array(20 + ((bytes.length + 3) & ~3)));
    v.setUint8(12, (v.byteLength >> 2) << 4);
    new Uint8Array(v.buffer).set(bytes, 20);
    return v;
  }
  const parse = (options: string): tcpOptions.TcpOptions => {
    const parsed = new TcpOptions();
    assert.equal(tcpOptions.parseOptions(header(options), 0, parsed), 0, options);
    return parsed;
  };

  it('RFC 9293 §3.2, RFC 7323, RFC 2018: the options of a SYN', () => {
    const o = parse('020405b4 0402080a 00112233 fffffffe 01030307');
    assert.equal(tcpOptions.format(o), 'mss 1460,sackOK,TS 1122867 ecr 4294967294,wscale 7');
    assert.deepEqual(
      [o.mss, o.windowScale, o.sackPermitted, o.timestamps, o.tsVal, o.tsEcr, o.sackCount, o.cookieLength],
      [1460, 7, true, true, 0x112233, -2, 0, -1],
    );
  });

  it('RFC 7323 appendix A: timestamps alone, in the layout everybody sends', () => {
    const o = parse('0101080a 00000005 00000006');
    assert.equal(tcpOptions.format(o), 'TS 5 ecr 6');
  });

  it('RFC 2018 §3: up to four blocks', () => {
    const blocks = [1, 2, 3, 4].map((n) => `${(n * 16).toString(16).padStart(8, '0')}ffffff${(n * 16).toString(16)}`);
    for (let n = 1; n <= 4; n++) {
      const o = parse(`0101 05${(2 + 8 * n).toString(16).padStart(2, '0')} ${blocks.slice(0, n).join('')}`);
      assert.equal(o.sackCount, n);
      assert.deepEqual(
        [...o.sack.subarray(0, 2 * n)],
        [1, 2, 3, 4].slice(0, n).flatMap((k) => [16 * k, (0xffffff00 + 16 * k) | 0]),
      );
    }
    assert.match(tcpOptions.format(parse('0101050a 00000001 00000002')), /^sack 1:2$/);
  });

  it('RFC 7413 §4.1.1: Fast Open cookies of 4 to 16 octets, even, and the request for one', () => {
    assert.equal(parse('2202').cookieLength, 0);
    const o = parse('220a 0102030405060708');
    assert.deepEqual([o.cookieLength, ...o.cookie.subarray(0, 8)], [8, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert.match(tcpOptions.format(o), /cookie 8/);
    assert.equal(parse(`2212${'09'.repeat(16)}`).cookieLength, 16);
    for (const bad of ['220501020300', '22040102', `2214${'09'.repeat(18)}`]) assert.equal(parse(bad).cookieLength, -1);
  });

  it('RFC 9293 MUST-6: unknown options, MD5 and AO among them, are passed over', () => {
    const o = parse(`1312${'aa'.repeat(16)} fd04f989 1d041122 020405b4`);
    assert.equal(o.mss, 1460);
  });

  it('a known kind of another length is ignored, what follows counts', () => {
    for (const text of [
      '020300 020405b4',
      '0206 00000000 020405b4',
      '0304 0000 020405b4',
      '0403 00 020405b4',
      '0809 00000000000000 020405b4',
      '0504 0000 020405b4',
      '0502 020405b4',
      '050c00000000000000000000 020405b4',
    ]) {
      const o = parse(text);
      assert.deepEqual([o.mss, o.windowScale, o.sackPermitted, o.timestamps, o.sackCount], [1460, -1, false, false, 0], text);
    }
  });

  it('RFC 7323 §2.3: a shift above 14 counts as 14', () => {
    assert.equal(parse('03030f').windowScale, 14);
    assert.equal(parse('0303ff').windowScale, 14);
  });

  it('nothing counts behind the end of options', () => {
    assert.equal(parse('00020405 b4000000').mss, -1);
  });

  it('TcpBadOptions: RFC 9293 MUST-7, lengths 0, 1 and past the header', () => {
    for (const text of ['02000000', '02010000', '02050000', '01010102', '0101fe06', '080a000000000000']) {
      assert.equal(tcpOptions.parseOptions(header(text), 0, new TcpOptions()), Drop.TcpBadOptions, text);
    }
  });

  it('forgets the last segment', () => {
    const o = new TcpOptions();
    tcpOptions.parseOptions(header(`020405b4 0402080a 00112233 00000001 01030307 2202 0101`), 0, o);
    tcpOptions.parseOptions(header('0101050a 00000001 00000002'), 0, o);
    tcpOptions.parseOptions(header(''), 0, o);
    assert.equal(tcpOptions.format(o), '');
  });

  it('what is written for a SYN is read again, in every combination', () => {
    for (let bits = 0; bits < 64; bits++) {
      const o = new TcpOptions();
      if (bits & 1) o.mss = 1460;
      if (bits & 2) o.sackPermitted = true;
      if (bits & 4) Object.assign(o, { timestamps: true, tsVal: -5, tsEcr: 7 });
      if (bits & 8) o.windowScale = 9;
      if (bits & 16) o.cookieLength = bits & 32 ? 8 : 0;
      o.cookie.set([1, 2, 3, 4, 5, 6, 7, 8]);
      const length = tcpOptions.synOptionsLength(o);
      assert.ok(length % 4 === 0 && length <= 40);
      const v = viewOf(new Uint8Array(20 + length));
      v.setUint8(12, (v.byteLength >> 2) << 4);
      assert.equal(tcpOptions.putSynOptions(v, 20, o), 20 + length);
      const again = new TcpOptions();
      assert.equal(tcpOptions.parseOptions(v, 0, again), 0);
      assert.equal(tcpOptions.format(again), tcpOptions.format(o));
    }
  });

  it('the longest cookie fits beside all other options of a SYN', () => {
    const o = new TcpOptions();
    Object.assign(o, { mss: 1460, sackPermitted: true, timestamps: true, windowScale: 7, cookieLength: tcpOptions.COOKIE_MAX });
    assert.equal(tcpOptions.synOptionsLength(o), 40);
  });

  it('what is written for other segments is read again; three blocks fit beside timestamps', () => {
    for (const timestamps of [false, true]) {
      for (let blocks = 0; blocks <= 4; blocks++) {
        const o = new TcpOptions();
        Object.assign(o, { timestamps, tsVal: 1, tsEcr: -1, sackCount: blocks });
        o.sack.set([1, 2, 3, 4, -5, -4, -3, -2]);
        const length = tcpOptions.optionsLength(timestamps, blocks);
        assert.ok(length % 4 === 0 && length <= 40);
        const v = viewOf(new Uint8Array(20 + length));
        v.setUint8(12, (v.byteLength >> 2) << 4);
        assert.equal(tcpOptions.putOptions(v, 20, o), 20 + length);
        const again = new TcpOptions();
        assert.equal(tcpOptions.parseOptions(v, 0, again), 0);
        o.sackCount = tcpOptions.sackFit(timestamps, blocks);
        assert.equal(o.sackCount, timestamps ? Math.min(blocks, 3) : blocks);
        assert.equal(tcpOptions.format(again), tcpOptions.format(o));
      }
    }
    assert.equal(Kind.Sack, 5);
  });
});
