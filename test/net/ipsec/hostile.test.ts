import assert from 'node:assert/strict';
import { Checksum } from '#src/base/packet.js';
import { Prng } from '#src/base/prng.js';
import { seconds } from '#src/base/time.js';
import { nodeCrypto } from '#src/hyper/node-crypto.js';
import { selectorOf } from '#src/net/ipsec/selector.js';
import { once } from '../../support/crypto-batch.js';
import { bound, dropsOf, keysOf, type LinkOptions, ProtectedNet, receive, SPI_B, wiretap } from '../../support/ipsec.js';
import { prefix } from '../../support/stacks.js';
import { checksum, concat, ipv4, udp } from '../../support/wire.js';

/** A bench whose wire can be listened to and written on. */
class Wire extends ProtectedNet {
  readonly frames: Uint8Array[];

  constructor(options: LinkOptions = {}) {
    super({ sysctl: { 'net.ipv6.conf.all.disable_ipv6': 1 }, ...options });
    assert.deepEqual(this.echo('neighbours are known'), new TextEncoder().encode('neighbours are known'));
    this.frames = wiretap(this.a.stack);
    this.b.stack.ctx.counters.drops.fill(0);
  }

  /** The ESP or AH frames A has sent since the last look. */
  taken(): Uint8Array[] {
    return this.frames.splice(0);
  }

  /** One ESP frame of a datagram from A to B, kept from B: the wire is cut meanwhile. */
  sealed(text = 'secret'): Uint8Array {
    this.send(text);
    this.run();
    return this.taken()[0] as Uint8Array;
  }

  send(text: string): void {
    const socket = bound(this.a.stack, 6_000);
    const data = new TextEncoder().encode(text);
    socket.sendTo(data, 0, data.length, prefix(this.inner[1]).address, 7);
    socket.close();
  }

  /** ESP that A's keys make of any next header and payload; `spoil` may change the clear text with its trailer. */
  byHand(next: number, payload: Uint8Array, spoil: (clear: Uint8Array) => void = () => {}): Uint8Array {
    const pad = -(payload.length + 2) & 3;
    const clear = concat(
      payload,
      Uint8Array.from({ length: pad }, (_, i) => i + 1),
      Uint8Array.of(pad, next),
    );
    spoil(clear);
    const header = new Uint8Array(16);
    const view = new DataView(header.buffer);
    const sequence = t32(this.a.outbound.next());
    view.setUint32(0, SPI_B);
    view.setUint32(4, sequence);
    view.setUint32(12, sequence);
    const keys = keysOf('aes128gcm16', 1);
    const nonce = concat(keys.slice(16), header.slice(8));
    const sealed = once(nodeCrypto(), { cipher: 'aes-128-gcm', key: keys.slice(0, 16), tagLength: 16 }, 'seal', {
      nonce,
      aad: header.slice(0, 8),
      data: clear,
    });
    return concat(header, sealed as Uint8Array);
  }

  /** A frame onto the wire, as A's device would send it. */
  inject(frame: Uint8Array): void {
    const { ctx } = this.a.stack;
    const packet = ctx.pool.from(ctx.big);
    assert.ok(packet !== null);
    packet.bytes.set(frame, packet.head);
    packet.tail = packet.head + frame.length;
    packet.checksum = Checksum.Verified;
    this.a.host.eth0.transmit(packet);
    this.run();
    this.taken();
  }

  /** What B has dropped since the last look. */
  dropped(expected: Readonly<Record<string, number>>): void {
    assert.deepEqual(dropsOf(this.b.stack), expected);
    this.b.stack.ctx.counters.drops.fill(0);
  }

  /** An IPv4 frame from A's station to B's with the given payload. */
  clear(protocol: number, payload: Uint8Array, src = '192.0.2.1', dst = '192.0.2.2', tos = 0): void {
    const link = this.template.slice(0, 14);
    this.inject(concat(link, ipv4({ src, dst, protocol, payload, tos })));
  }

  private get template(): Uint8Array {
    return concat(this.b.host.eth0.mac, this.a.host.eth0.mac, new Uint8Array([8, 0]));
  }
}

const t32 = (n: number): number => n >>> 0;

/** The frame with octet `at` changed, the outer IP checksum kept right. */
function changed(frame: Uint8Array, at: number, by = 1): Uint8Array {
  const copy = frame.slice();
  copy[at] = (copy[at] as number) ^ by;
  copy[24] = copy[25] = 0;
  const sum = checksum(copy.slice(14, 34));
  copy[24] = sum >> 8;
  copy[25] = sum & 255;
  return copy;
}

const IP = 14;
const ESP = IP + 20;

describe('IPsec against hostile packets (the auditable events of RFC 4301)', () => {
  for (const crypto of ['aes128gcm16', 'aes128-sha256'] as const) {
    it(`${crypto}: a replayed packet, before and after others (RFC 4303 §3.4.3)`, () => {
      const t = new Wire({ suite: crypto });
      const frame = t.sealed();
      t.dropped({ UdpNoPort: 1 });
      t.inject(frame);
      t.dropped({ IpsecReplay: 1 });
      for (let i = 0; i < 100; i++) t.send('more');
      t.run();
      t.taken();
      t.b.stack.ctx.counters.drops.fill(0);
      t.inject(frame);
      t.dropped({ IpsecReplay: 1 });
      assert.equal(t.b.inbound.replayed, 2);
      t.end();
    });

    it(`${crypto}: forged octets anywhere, and the window does not move (RFC 4303 §3.4.4)`, () => {
      const t = new Wire({ suite: crypto });
      const frame = t.sealed();
      t.dropped({ UdpNoPort: 1 });
      const { top } = t.b.inbound.replay;
      const { packets } = t.b.inbound;
      // A far sequence number, so that only the ICV can refuse it.
      const far = changed(frame, ESP + 5, 0x10);
      const prng = new Prng(5);
      for (let i = 0; i < 60; i++) t.inject(changed(far, ESP + 8 + prng.below(frame.length - ESP - 8), 1 + prng.below(255)));
      t.dropped({ IpsecBadIcv: 60 });
      assert.equal(t.b.inbound.replay.top, top);
      assert.equal(t.b.inbound.packets, packets);
      assert.equal(t.b.inbound.badIcv, 60);
      assert.deepEqual(t.echo('still'), new TextEncoder().encode('still'));
      t.end();
    });

    it(`${crypto}: cut short at every length`, () => {
      const t = new Wire({ suite: crypto });
      const frame = t.sealed();
      t.b.stack.ctx.counters.drops.fill(0);
      for (let n = 0; n < frame.length - ESP; n++) {
        const cut = frame.slice(0, ESP + n);
        cut[16] = (20 + n) >> 8;
        cut[17] = (20 + n) & 255;
        t.inject(changed(cut, 18, 0));
      }
      const drops = dropsOf(t.b.stack);
      assert.deepEqual(
        Object.keys(drops)
          .sort()
          .filter((name) => !['EspTruncated', 'IpsecBadIcv', 'IpsecReplay'].includes(name)),
        [],
      );
      t.end();
    });
  }

  it('an SPI nobody has, SPI 0, the other protocol, and ESP in UDP where none was agreed', () => {
    const t = new Wire();
    const frame = t.sealed();
    t.b.stack.ctx.counters.drops.fill(0);
    t.inject(changed(frame, ESP));
    t.dropped({ IpsecUnknownSpi: 1 });
    t.clear(50, new Uint8Array(40));
    t.dropped({ EspTruncated: 1 });
    const ah = new Uint8Array(40);
    new DataView(ah.buffer).setUint32(4, SPI_B);
    ah[1] = 4;
    t.clear(51, ah);
    t.dropped({ IpsecWrongProtocol: 1 });
    t.clear(51, new Uint8Array(8));
    t.dropped({ AhTruncated: 1 });
    t.end();
  });

  it('clear packets where the policy asks for protection; others pass (RFC 4301 §5.2)', () => {
    const t = new Wire();
    t.b.stack.ipsec.unmatched = 'bypass';
    t.clear(17, udp(5_000, 7), '10.1.0.1', '10.2.0.1');
    t.dropped({ IpsecClear: 1 });
    t.clear(17, udp(5_000, 7));
    t.dropped({ UdpNoPort: 1 });
    t.end();
  });

  it('discard policies both ways, and discard of what no policy matches', () => {
    const t = new Wire();
    t.b.stack.ipsec.addPolicy({ name: 'no', action: 'discard', selectors: [selectorOf(prefix('192.0.2.2'), prefix('192.0.2.1'), 17)], priority: 1 });
    t.clear(17, udp(5_000, 7));
    t.dropped({ IpsecDiscard: 1 });
    const socket = bound(t.b.stack, 5_001);
    socket.sendTo(new Uint8Array(4), 0, 4, prefix('192.0.2.1').address, 9);
    t.run();
    t.dropped({ IpsecDiscard: 1 });
    socket.close();
    t.b.stack.ipsec.unmatched = 'discard';
    t.clear(1, new Uint8Array([8, 0, 0xf7, 0xff, 0, 0, 0, 0]));
    t.dropped({ IpsecDiscard: 1 });
    t.end();
  });

  it('what comes out of the SA is not what its selectors allow', () => {
    // A may send anything into the SA; B's side of it is for port 7 only.
    const t = new ProtectedNet({ sa: { selectors: null } });
    const narrow = t.b.stack.ipsec;
    narrow.removeSa(t.b.inbound);
    narrow.addSa({
      direction: 'in',
      spi: SPI_B,
      mode: 'tunnel',
      source: prefix('192.0.2.1').address,
      destination: prefix('192.0.2.2').address,
      suite: t.a.outbound.suite,
      keys: Uint8Array.from({ length: 20 }, (_, i) => i + 1),
      selectors: [selectorOf(prefix('10.2.0.0/24'), prefix('10.1.0.0/24'), 17, [7, 7])],
    });
    const socket = bound(t.a.stack, 5_000);
    socket.sendTo(new Uint8Array(4), 0, 4, prefix('10.2.0.1').address, 8);
    socket.sendTo(new Uint8Array(4), 0, 4, prefix('10.2.0.1').address, 7);
    t.run();
    assert.deepEqual(dropsOf(t.b.stack), { IpsecSelector: 1, UdpNoPort: 1 });
    socket.close();
    t.end();
  });

  it('sequence numbers end before an IV comes twice (RFC 4303 §3.3.3)', () => {
    const t = new Wire();
    t.a.outbound.sequence = 2 ** 32 - 3;
    const asked: string[] = [];
    t.a.outbound.events = { rekey: () => asked.push('rekey'), expired: () => asked.push('expired') };
    const sequences: number[] = [];
    for (let i = 0; i < 5; i++) {
      t.send('x');
      t.run();
    }
    for (const frame of t.taken()) sequences.push(new DataView(frame.buffer).getUint32(ESP + 4));
    assert.deepEqual(sequences, [2 ** 32 - 2, 2 ** 32 - 1]);
    assert.deepEqual(asked, ['rekey', 'expired']);
    assert.deepEqual(dropsOf(t.a.stack), { IpsecNoSa: 3 });
    t.end();
  });

  it('a burst past the last number: the rest is dropped in the same poll', () => {
    const t = new Wire();
    t.a.outbound.sequence = 2 ** 32 - 3;
    for (let i = 0; i < 5; i++) t.send('x');
    t.run();
    assert.equal(t.taken().length, 2);
    assert.deepEqual(dropsOf(t.a.stack), { IpsecSequenceEnd: 3 });
    t.end();
  });

  it('lifetimes in packets, octets and seconds of boot time; suspend counts', () => {
    for (const [lifetime, ends] of [
      [{ softPackets: 3, hardPackets: 5 }, (t: Wire) => t.send('x')],
      [{ softOctets: 90, hardOctets: 150 }, (t: Wire) => t.send('x')],
      [{ softSeconds: 1_000, hardSeconds: 2_000 }, (t: Wire) => t.a.host.host.suspend(seconds(700))],
    ] as const) {
      const t = new Wire();
      t.a.stack.ipsec.removeSa(t.a.outbound);
      const told: string[] = [];
      const events = { rekey: () => told.push('rekey'), expired: () => told.push('expired') };
      const options = {
        direction: 'out',
        spi: SPI_B,
        mode: 'tunnel',
        source: prefix('192.0.2.1').address,
        destination: prefix('192.0.2.2').address,
      } as const;
      t.a.stack.ipsec.addSa({ ...options, suite: t.a.outbound.suite, keys: new Uint8Array(20), lifetime }, t.a.policy, events);
      for (let i = 0; i < 8 && told.length < 2; i++) {
        ends(t);
        t.net.run(seconds(61));
      }
      assert.deepEqual(told, ['rekey', 'expired'], JSON.stringify(lifetime));
      t.end();
    }
  });

  it('an SA whose hard bound was met in this batch sends no more', () => {
    const t = new Wire({ sa: { lifetime: { hardPackets: 4 } } });
    for (let i = 0; i < 6; i++) t.send('x');
    t.run();
    // The first two were the echo before.
    assert.ok((dropsOf(t.a.stack)['IpsecExpired'] ?? 0) >= 2);
    t.end();
  });

  it('no SA: one is asked for, once a second at most', () => {
    const t = new Wire();
    let asked = 0;
    t.a.stack.ipsec.onAcquire = () => asked++;
    t.a.stack.ipsec.removeSa(t.a.outbound);
    for (let i = 0; i < 5; i++) t.send('x');
    t.run();
    assert.equal(asked, 1);
    assert.deepEqual(dropsOf(t.a.stack), { IpsecNoSa: 5 });
    t.net.run(seconds(2));
    t.send('x');
    assert.equal(asked, 2);
    t.end();
  });

  it('a wrong next header, a dummy, broken padding, congestion that the inner sender does not know', () => {
    const t = new Wire();
    const seal = (next: number, payload: Uint8Array, tos = 0, spoil: (clear: Uint8Array) => void = () => {}): void =>
      t.clear(50, t.byHand(next, payload, spoil), '192.0.2.1', '192.0.2.2', tos);
    seal(6, new Uint8Array(40));
    t.dropped({ IpsecBadNext: 1 });
    seal(4, Uint8Array.of(0x60, ...new Uint8Array(39)));
    t.dropped({ IpsecBadNext: 1 });
    assert.ok(t.a.stack.ipsec.outbound.dummy(t.a.outbound, 700));
    t.run();
    t.dropped({ IpsecDummy: 1 });
    assert.equal(t.taken().length, 1);
    seal(4, new Uint8Array(20), 0, (bytes) => (bytes[bytes.length - 3] = 9));
    t.dropped({ EspBadPadding: 1 });
    seal(4, new Uint8Array(7));
    t.dropped({ IpTruncated: 1 });
    seal(4, ipv4({ src: '10.1.0.1', dst: '10.2.0.1', payload: udp(1, 7) }), 3);
    t.dropped({ IpsecEcn: 1 });
    t.end();
  });

  it('AhHeadersTooLong: an ICV of another length than the SA has', () => {
    const t = new Wire({ protocol: 'ah', suite: 'sha256' });
    const ah = new Uint8Array(44);
    ah[1] = 1; // 12 octets: no ICV at all
    new DataView(ah.buffer).setUint32(4, SPI_B);
    new DataView(ah.buffer).setUint32(8, 1_000);
    t.clear(51, ah);
    t.dropped({ AhHeadersTooLong: 1 });
    t.end();
  });

  it('IpsecQueueFull: more packets out of one crypto call than the next one holds', () => {
    const t = new Wire();
    const { ctx, ip, ipsec } = t.a.stack;
    const inner = ipv4({ src: '10.1.0.1', dst: '10.2.0.1', payload: udp(1, 7) });
    let once_ = true;
    ip.hooks.output = (packet) => {
      for (let i = 0; once_ && packet.protocol === 50 && i < 70; i++) {
        const more = ctx.packet();
        assert.ok(more !== null);
        more.bytes.set(inner, more.head);
        more.tail = more.head + inner.length;
        more.network = more.head;
        more.transport = more.head + 20;
        more.family = 4;
        ipsec.outbound.protect(more, t.a.outbound);
      }
      once_ &&= packet.protocol !== 50;
      return true;
    };
    t.send('x');
    t.run();
    assert.deepEqual(dropsOf(t.a.stack), { IpsecQueueFull: 6 });
    ip.hooks.output = null;
    t.end();
  });

  it('100,000 mutated ESP and AH packets: a counted reason each, nothing answered, nothing held', function () {
    this.timeout(60_000);
    for (const [protocol, suite] of [
      ['esp', 'aes128gcm16'],
      ['ah', 'sha256'],
    ] as const) {
      const t = new Wire({ protocol, suite, mode: 'tunnel' });
      const frame = t.sealed();
      const answered = wiretap(t.b.stack);
      const prng = new Prng(99);
      const { ctx } = t.b.stack;
      const before = t.b.inbound.packets;
      ctx.counters.drops.fill(0);
      for (let i = 0; i < 50_000; i++) {
        const copy = frame.slice(IP, frame.length - prng.below(3) * prng.below(frame.length - IP - 20));
        for (let n = prng.below(4); n >= 0; n--) copy[20 + prng.below(copy.length - 20)] = prng.below(256);
        copy[2] = copy.length >> 8;
        copy[3] = copy.length & 255;
        copy[10] = copy[11] = 0;
        const sum = checksum(copy.slice(0, 20));
        copy[10] = sum >> 8;
        copy[11] = sum & 255;
        const packet = ctx.pool.from(ctx.slab);
        assert.ok(packet !== null);
        packet.bytes.set(copy, packet.head);
        packet.tail = packet.head + copy.length;
        packet.link = packet.head;
        packet.inIndex = t.b.host.eth0.index;
        (t.b.stack.demux.ipv4 as NonNullable<typeof t.b.stack.demux.ipv4>).input(t.b.host.eth0, packet);
        if (i % 50 === 0) t.b.stack.ipsec.inbound.run();
      }
      t.b.stack.ipsec.inbound.run();
      const total = Object.values(dropsOf(t.b.stack)).reduce((n, x) => n + x, 0);
      assert.equal(total + t.b.inbound.packets - before, 50_000 + (t.b.inbound.packets - before));
      assert.equal(t.b.inbound.packets, before);
      assert.equal(answered.length, 0);
      t.end();
    }
  });
});

describe('fragments through IPsec', () => {
  it('RFC 4301 §7: a clear fragment never completes what came out of an SA', () => {
    const t = new Wire();
    const server = bound(t.b.stack, 7);
    // Of one datagram the first half comes protected, the second clear, for an address pair no policy covers in clear.
    t.b.stack.ipsec.removePolicy(t.b.policy);
    const whole = udp(5_000, 7, new Uint8Array(40).fill(1));
    const first = ipv4({ src: '10.1.0.1', dst: '10.2.0.1', id: 77, fragment: 0x2000, payload: whole.slice(0, 24) });
    t.clear(50, t.byHand(4, first));
    const rest = ipv4({ src: '10.1.0.1', dst: '10.2.0.1', id: 77, fragment: 3, payload: whole.slice(24) });
    t.inject(concat(t.b.host.eth0.mac, t.a.host.eth0.mac, new Uint8Array([8, 0]), rest));
    assert.equal(receive(server), null);
    server.close();
    t.net.run(seconds(40));
    t.end();
  });
});
