import assert from 'node:assert/strict';
import { Drop } from '#src/base/drops.js';
import { Prng } from '#src/base/prng.js';
import * as dhcp from '#src/wire/dhcp.js';
import { mutated, octets } from '../support/octets.js';

const { Option } = dhcp;
const base: Omit<dhcp.DhcpMessage, 'options'> = {
  op: 1,
  xid: 0x3903f326,
  secs: 7,
  flags: dhcp.BROADCAST,
  ciaddr: 1,
  yiaddr: -2,
  siaddr: 3,
  giaddr: 4,
  chaddr: octets('020000000001'),
};
const type = [Option.MessageType, Uint8Array.of(1)] as const;
const message = (...options: (readonly [number, Uint8Array])[]): dhcp.DhcpMessage => ({ ...base, options: new Map([type, ...options]) });

function good(bytes: Uint8Array): dhcp.DhcpMessage {
  const read = dhcp.parse(bytes, 0, bytes.length);
  assert.ok(typeof read === 'object', `${read as number}`);
  return read;
}

describe('DHCP messages', () => {
  it('RFC 2131 §2: what is written is read again', () => {
    const sent = message([Option.HostName, octets('6162')], [Option.ParameterList, octets('0103060f')]);
    const bytes = dhcp.write(sent, 1_472);
    assert.equal(bytes.length, dhcp.BOOTP_LEN);
    assert.deepEqual(good(bytes), sent);
    assert.equal(dhcp.format(bytes, 0, bytes.length), 'dhcp discover 3903f326');
  });

  it('RFC 3396: an option longer than 255 octets goes in parts and comes back whole', () => {
    const long = Uint8Array.from({ length: 700 }, (_, i) => i);
    assert.deepEqual(good(dhcp.write(message([Option.ClasslessRoutes, long]), 1_472)).options.get(Option.ClasslessRoutes), long);
  });

  it('RFC 2131 §4.1: options overflow into file and sname, and are read from there', () => {
    for (let length = 200; length < 500; length++) {
      const long = Uint8Array.from({ length }, (_, i) => i);
      const bytes = dhcp.write(message([Option.HostName, octets('6162')], [Option.SearchList, long]), dhcp.MESSAGE_MIN);
      assert.ok(bytes.length <= dhcp.MESSAGE_MIN);
      const { options } = good(bytes);
      assert.deepEqual(options.get(Option.HostName), octets('6162'));
      // 304 octets of options, 127 of file, 63 of sname, less what the others and the parts' headers take.
      assert.deepEqual(options.get(Option.SearchList), length <= 479 ? long : undefined);
    }
  });

  it('wrong cookie, hardware, operation, overload; no type; options past the end', () => {
    const whole = dhcp.write(message(), 548);
    const broken = (at: number, ...values: number[]): number | dhcp.DhcpMessage => {
      const bytes = whole.slice();
      bytes.set(values, at);
      return dhcp.parse(bytes, 0, bytes.length);
    };
    assert.equal(broken(236, 0), Drop.DhcpMalformed);
    assert.equal(broken(0, 3), Drop.DhcpMalformed);
    assert.equal(broken(1, 6), Drop.DhcpMalformed);
    assert.equal(broken(2, 16), Drop.DhcpMalformed);
    assert.equal(broken(240, 255), Drop.DhcpMalformed);
    assert.equal(broken(243, 52, 1, 4, 255), Drop.DhcpMalformed);
    assert.equal(broken(243, 12, 200), Drop.DhcpTruncated);
    assert.equal(dhcp.parse(whole, 0, 239), Drop.DhcpTruncated);
  });

  it('100,000 mutations: parse answers a message or a reason, and what it reads can be written', () => {
    const seeds = [
      dhcp.write(message([Option.ClasslessRoutes, new Uint8Array(300)], [Option.SearchList, octets('0161c000')]), 1_472),
      dhcp.write(message([Option.SearchList, new Uint8Array(400)]), dhcp.MESSAGE_MIN),
    ];
    const prng = new Prng(67);
    let parsed = 0;
    for (let n = 0; n < 100_000; n++) {
      const bytes = mutated(seeds[n & 1] as Uint8Array, prng);
      const read = dhcp.parse(bytes, 0, bytes.length);
      if (typeof read === 'number') {
        assert.ok(read === Drop.DhcpTruncated || read === Drop.DhcpMalformed);
        continue;
      }
      parsed++;
      if (n % 20 === 0) dhcp.write(read, 576);
    }
    assert.ok(parsed > 5_000, `${parsed}`);
  });
});
