import assert from 'node:assert/strict';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import { address } from '../support/stacks.js';
import { Bench, checksum, type Ipv4Fields, toHex } from '../support/wire.js';

/** What a test looks at of a fragment. */
interface Piece {
  readonly options: string;
  readonly offset: number;
  readonly more: boolean;
  readonly octets: string;
}

describe('RFC 791 §3.2: a router cuts', () => {
  let t: Bench;
  beforeEach(() => {
    t = new Bench(['10.0.0.1/24'], { sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv4.conf.all.send_redirects': 0 } });
    t.introduce();
    t.eth0.neighbors?.setPermanent(address('10.0.0.8'), 0x0200, 8);
  });
  afterEach(() => t.end());

  const forward = (mtu: number, fields: Ipv4Fields): Piece[] => {
    const route = { family: 4, prefix: address('192.0.2.0'), length: 24, type: 'unicast', gateway: address('10.0.0.8'), protocol: 'static' } as const;
    t.stack.ip.routes.add({ ...route, index: t.eth0.index, source: null, metric: 0, mtu, table: MAIN_TABLE, vrf: 0 });
    t.ip({ ...fields, dst: '192.0.2.7' });
    return t.packets().map((p) => {
      const header = ((p[0] as number) & 15) * 4;
      assert.equal(checksum(p.subarray(0, header)), 0);
      assert(p.length <= mtu);
      const word = ((p[6] as number) << 8) | (p[7] as number);
      const [options, octets] = [toHex(p.subarray(20, header)), toHex(p.subarray(header))];
      return { options, offset: (word & 0x1fff) * 8, more: (word & 0x2000) !== 0, octets };
    });
  };
  const payload = Uint8Array.from({ length: 100 }, (_, i) => i);

  it('options with the copied bit are in all fragments, the others in the first only, padded with zeros to a word', () => {
    const pieces = forward(92, { options: '94040000 07070400000000 00', payload });
    assert.deepEqual(
      pieces.map(({ options, offset, more }) => ({ options, offset, more })),
      [
        { options: '940400000707040000000000', offset: 0, more: true },
        { options: '94040000', offset: 56, more: false },
      ],
    );
    assert.equal(pieces.map((p) => p.octets).join(''), toHex(payload));
  });

  it('a fragment may be cut again, and its last part keeps its MF', () => {
    const pieces = forward(68, { fragment: 0x2000 | 5, payload: payload.subarray(0, 80) });
    assert.deepEqual(
      pieces.map(({ offset, more }) => ({ offset, more })),
      [
        { offset: 40, more: true },
        { offset: 88, more: true },
      ],
    );
    assert.equal(pieces.map((p) => p.octets).join(''), toHex(payload.subarray(0, 80)));
  });

  it('68 octets pass whole wherever they can pass at all', () => {
    const pieces = forward(68, { payload: payload.subarray(0, 48) });
    assert.equal(pieces.length, 1);
    assert.equal(pieces[0]?.more, false);
  });
});
