import assert from 'node:assert/strict';
import { seconds } from '#src/base/time.js';
import { TrackState } from '#src/net/filter/connection.js';
import { accept, chain } from '../../support/site.js';
import { address } from '../../support/stacks.js';
import { TwoWires } from '../../support/two-wires.js';
import { checksum, icmp, ipv4, udp } from '../../support/wire.js';

const INSIDE = '10.0.0.2';
const OUTSIDE = '198.51.100.9';

describe('a gateway and what is sent to hurt it', () => {
  let t: TwoWires;
  beforeEach(() => {
    t = new TwoWires(['10.0.0.1/24'], ['203.0.113.1/24']);
    t.route('198.51.100.0/24', t.b);
    t.stack.filter.set([
      chain(
        'forward',
        [
          [{ state: [TrackState.Established, TrackState.Related] }, accept],
          [{ inIndex: t.a.index, state: [TrackState.New] }, accept],
        ],
        'drop',
      ),
      chain('postrouting', [[{ outIndex: t.b.index }, { kind: 'snat', address: address('203.0.113.1') }]]),
    ]);
  });
  afterEach(() => t.end());
  const open = (): Uint8Array => {
    t.put('a', ipv4({ src: INSIDE, dst: OUTSIDE, payload: udp(4_000, 53, 'question') }));
    return t.one('b');
  };

  it('RFC 5508 REQ-4: an error about a flow passes, its quote turned back; forged ones do not', () => {
    const sent = open();
    const error = (quote: Uint8Array): void =>
      t.put('b', ipv4({ src: '198.51.100.1', dst: '203.0.113.1', protocol: 1, payload: icmp(3, 1, 0, quote) }));
    error(sent);
    const told = t.one('a');
    assert.deepEqual([...told.subarray(40, 44)], [10, 0, 0, 2]);
    assert.equal(checksum(told.subarray(20)), 0);
    const other = Uint8Array.from(sent);
    other[23] = (other[23] as number) ^ 1; // another port
    error(other);
    const elsewhere = Uint8Array.from(sent);
    elsewhere[19] = (elsewhere[19] as number) ^ 1; // another server
    error(elsewhere);
    error(sent.subarray(0, 24)); // cut off before the ports
    t.quiet();
    // For no flow they are the gateway's own business, and none of its sockets has sent that.
    assert.deepEqual(t.dropped(), { IcmpTruncated: 1 });
  });

  it('an answer that nobody asked for, to a port that another flow has, goes nowhere', () => {
    open();
    t.put('b', ipv4({ src: '198.51.100.77', dst: '203.0.113.1', payload: udp(53, 4_000, 'poison') }));
    assert.equal(t.take('a').length, 0);
    assert.deepEqual(t.dropped(), { UdpNoPort: 1 });
    t.take('b');
    t.put('b', ipv4({ src: OUTSIDE, dst: '203.0.113.1', payload: udp(53, 4_000, 'answer') }));
    assert.equal(t.take('a').length, 1);
  });

  it('first fragments without end: memory is bounded, the oldest go, and in the end all', () => {
    t.stack.ctx.sysctl.set('net.ipv4.ipfrag_high_thresh', 262_144);
    for (let id = 0; id < 400; id++)
      t.put('a', ipv4({ src: INSIDE, dst: OUTSIDE, id, fragment: 0x2000, payload: udp(4_000, 53, new Uint8Array(1_000)) }));
    const { reassembly4, ctx } = t.stack;
    assert(reassembly4.size <= 128 && ctx.pool.held <= 128, `${reassembly4.size}`);
    assert((t.dropped()['FragmentMemory'] ?? 0) >= 270);
    t.put('a', ipv4({ src: INSIDE, dst: OUTSIDE, payload: udp(4_000, 53, 'whole') }));
    assert.equal(t.take('b').length, 1, 'whole ones pass meanwhile');
    t.run(seconds(40));
    t.take('a');
    assert.deepEqual([reassembly4.size, ctx.pool.held], [0, 0]);
  });

  it('overlapping fragments end their datagram, whichever comes first (RFC 5722)', () => {
    const piece = (fragment: number, octets: number): void =>
      t.put('a', ipv4({ src: INSIDE, dst: OUTSIDE, id: 9, fragment, payload: new Uint8Array(octets) }));
    piece(0x2000 | 2, 64);
    piece(0x2000, 24);
    piece(0x2000 | 1, 24);
    t.quiet();
    assert.deepEqual(t.dropped(), { FragmentOverlap: 3 });
  });

  it('a packet that goes round ends by its hops, and its sender hears of it once', () => {
    t.route('10.7.0.0/16', t.b);
    let packet: Uint8Array | undefined = ipv4({ src: '10.0.0.9', dst: '10.7.0.1', ttl: 9, payload: udp(1, 2) });
    t.stack.filter.set([]);
    let rounds = 0;
    for (; packet !== undefined && rounds < 20; rounds++) {
      t.put('a', packet);
      packet = t.take('b')[0];
    }
    assert.equal(rounds, 9);
    assert.equal(t.one('a')[20], 11);
    assert.deepEqual(t.dropped(), { IpTtlExceeded: 1 });
  });
});
