import assert from 'node:assert/strict';
import { parseAddress } from '#src/base/address.js';
import { Drop } from '#src/base/drops.js';
import { Prng } from '#src/base/prng.js';
import { socks } from '#src/wire/index.js';
import { hex } from '../support/wire.js';

const MALFORMED = -Drop.SocksMalformed;

describe('wire: SOCKS 5', () => {
  it('RFC 1928 §3: a greeting is taken whole; another version is refused at its first octet', () => {
    assert.equal(socks.greetingLength(hex('050200ff02')), 4);
    for (const part of ['', '05', '0502', '050200']) assert.equal(socks.greetingLength(hex(part)), 0);
    for (const wrong of ['04', '0400', '47', '0500']) assert.equal(socks.greetingLength(hex(wrong)), MALFORMED, wrong);
    assert.ok(socks.offers(hex('05020002'), socks.SocksMethod.Password));
    assert.ok(!socks.offers(hex('050100 02'), socks.SocksMethod.Password));
  });

  it('RFC 1929 §2: name and password', () => {
    const whole = hex('01 04 75736572 03 707764');
    assert.equal(socks.credentialsLength(whole), whole.length);
    for (let n = 0; n < whole.length; n++) assert.equal(socks.credentialsLength(whole.subarray(0, n)), 0);
    assert.deepEqual(socks.credentials(whole), { user: 'user', password: 'pwd' });
    assert.equal(socks.credentialsLength(hex('0100 03')), MALFORMED);
    assert.equal(socks.credentialsLength(hex('05')), MALFORMED);
  });

  it('RFC 1928 §5: destinations of all three kinds, in requests and datagrams', () => {
    for (const [text, host, port] of [
      ['05 01 00 01 0a000001 0050', '10.0.0.1', 80],
      ['05 01 00 03 07 706c616e742e61 01bb', 'plant.a', 443],
      ['05 03 00 04 20010db8000000000000000000000001 0035', '2001:db8::1', 53],
    ] as const) {
      const octets = hex(text);
      assert.equal(socks.requestLength(octets), octets.length);
      for (let n = 0; n < octets.length; n++) assert.equal(socks.requestLength(octets.subarray(0, n)), 0, text);
      assert.deepEqual(socks.where(octets), { host, port });
      const datagram = hex(text);
      datagram.set([0, 0, 0]);
      assert.equal(socks.datagramHeader(datagram), datagram.length);
      assert.equal(socks.datagramHeader(datagram.subarray(0, -1)), -Drop.SocksTruncated);
      datagram[2] = 1;
      assert.equal(socks.datagramHeader(datagram), -Drop.SocksFragment);
    }
  });

  it('what no host or resolver could mean is malformed', () => {
    for (const wrong of ['04', '05 01 01', '05 01 00 02', '05 01 00 03 00', '05 01 00 03 03 610062 0050', '05 01 00 03 03 610a62 0050'])
      assert.equal(socks.requestLength(hex(wrong)), MALFORMED, wrong);
    assert.equal(socks.datagramHeader(hex('0001 00 01 0a000001 0050')), MALFORMED);
    assert.equal(socks.datagramHeader(hex('0000 00')), -Drop.SocksTruncated);
  });

  it('RFC 1928 §6: replies of both families', () => {
    const address = (text: string) => parseAddress(text) as NonNullable<ReturnType<typeof parseAddress>>;
    assert.deepEqual(socks.putReply(5, address('10.0.0.1'), 80), hex('05 05 00 01 0a000001 0050'));
    assert.deepEqual(socks.putDatagramHeader(address('2001:db8::1'), 65_535), hex('0000 00 04 20010db8000000000000000000000001 ffff'));
    assert.deepEqual([...socks.putChoice(255), ...socks.putVerdict(true), ...socks.putVerdict(false)], [5, 255, 1, 0, 1, 1]);
  });

  it('random octets never make a length past their end, nor a getter fail', () => {
    const prng = new Prng(1_928);
    for (let i = 0; i < 20_000; i++) {
      const octets = Uint8Array.from({ length: prng.below(40) }, () => prng.below(256));
      octets.set([5, 1, 0, [1, 3, 4][prng.below(3)] as number].slice(0, Math.min(octets.length, prng.below(6))));
      const length = socks.requestLength(octets);
      assert.ok(length <= octets.length && (length >= 0 || length === MALFORMED));
      if (length > 0) assert.ok(socks.where(octets).host.length > 0);
      assert.ok(socks.greetingLength(octets) <= octets.length);
      const named = socks.credentialsLength(octets);
      assert.ok(named <= octets.length);
      if (named > 0) assert.ok(socks.credentials(octets).user.length > 0);
    }
  });
});
