import assert from 'node:assert/strict';
import { GLOBAL, LL, type Nut, Parts, type Station, TN1, TN2, TN3, TR1, TR2 } from '../../../support/ready.js';
import { address } from '../../../support/stacks.js';
import { ipv6, mtuOption, type Seen } from '../../../support/wire6.js';

describe('IPv6 Ready Logo: RFC 8201, path MTU', () => {
  const list = new Parts(import.meta.url);
  after(() => list.end());
  const part = (id: string, body: (t: Nut) => void): void =>
    list.part(id, (t) => {
      t.setup();
      t.reachable(TN1, TN1.global);
      t.reachable(TN1);
      t.answer(TR1, TR1.ll);
      t.reachable(TR1, TR1.global);
      body(t);
    });
  /** An echo of so many octets with its header; the lengths of the packets that answer it. */
  const echo = (t: Nut, from: Station, src: string, octets: number): number[] => {
    t.ask(from, src, src.startsWith('fe80') ? LL : GLOBAL, octets - 48);
    return t.seen().map((p) => p.payload.length + 40);
  };
  const whole = (t: Nut, from: Station, src: string, octets: number): void => assert.deepEqual(echo(t, from, src, octets), [octets]);
  /** In fragments of at most `mtu`, together the datagram. */
  const pieces = (t: Nut, from: Station, src: string, octets: number, mtu: number): void => {
    const lengths = echo(t, from, src, octets);
    assert.ok(lengths.length > 1 && Math.max(...lengths) <= mtu && Math.max(...lengths) > mtu - 8, `${lengths} of ${mtu}`);
    assert.equal(
      lengths.reduce((a, b) => a + b - 48, 40),
      octets,
    );
  };
  /** Packet too big of TR1's about the echo reply to `dst`. */
  const tooBig = (t: Nut, dst: string, mtu: number, code = 0, src = TR1.global): void => {
    const about = ipv6({ src: dst.startsWith('fe80') ? LL : GLOBAL, dst, next: 58, payload: new Uint8Array(1_184).fill(129, 0, 1) });
    t.icmp(2, code, mtu, about, { src, dst: dst.startsWith('fe80') ? LL : GLOBAL }, TR1.mac);
    t.sends();
  };

  part('4.1.1.A', (t) => whole(t, TN1, TN1.ll, 104));
  part('4.1.1.B', (t) => whole(t, TN1, TN1.ll, 1_280));
  part('4.1.1.C', (t) => whole(t, TN1, TN1.ll, 1_500));
  part('4.1.2', (t) => {
    const two = TN2.global;
    const three = TN3.global;
    for (const [from, src] of [
      [TN1, TN1.global],
      [TN2, two],
      [TN3, three],
    ] as const)
      whole(t, from, src, 1_500);
    tooBig(t, two, 1_400);
    whole(t, TN1, TN1.global, 1_500);
    pieces(t, TN2, two, 1_500, 1_400);
    whole(t, TN3, three, 1_500);
    tooBig(t, three, 1_280);
    whole(t, TN1, TN1.global, 1_500);
    pieces(t, TN2, two, 1_500, 1_400);
    pieces(t, TN3, three, 1_500, 1_280);
  });
  part('4.1.3', (t) => {
    whole(t, TN2, TN2.global, 1_440);
    tooBig(t, TN2.global, 1_280, 0xff);
    pieces(t, TN2, TN2.global, 1_440, 1_280);
  });
  part('4.1.4', (t) => {
    whole(t, TR1, TR1.ll, 1_500);
    tooBig(t, TR1.ll, 1_280, 0, TR1.ll);
    pieces(t, TR1, TR1.ll, 1_500, 1_280);
  });
  part('4.1.5', (t) => {
    whole(t, TN2, TN2.global, 1_440);
    tooBig(t, TN2.global, 1_400);
    pieces(t, TN2, TN2.global, 1_500, 1_400);
    tooBig(t, TN2.global, 1_280);
    pieces(t, TN2, TN2.global, 1_440, 1_280);
  });
  for (const [id, mtu] of [
    ['4.1.6.A', 56],
    ['4.1.6.B', 1_279],
  ] as const)
    part(id, (t) => {
      whole(t, TN2, TN2.global, 1_280);
      tooBig(t, TN2.global, mtu);
      whole(t, TN2, TN2.global, 1_280); // RFC 8021: no atomic fragment either
    });
  for (const [id, mtu] of [
    ['4.1.7.A', 1_500],
    ['4.1.7.B', 0x1fffffff],
  ] as const)
    part(id, (t) => {
      whole(t, TN2, TN2.global, 1_500);
      tooBig(t, TN2.global, 1_304);
      pieces(t, TN2, TN2.global, 1_500, 1_304);
      tooBig(t, TN2.global, mtu);
      pieces(t, TN2, TN2.global, 1_500, 1_304);
    });
  part('4.1.8', (t) => {
    whole(t, TN2, TN2.global, 1_500);
    t.advertise(TR1, { lifetime: 20, options: [mtuOption(1_280)] });
    pieces(t, TN2, TN2.global, 1_500, 1_280);
  });
  part('4.1.9', (t) => {
    whole(t, TN2, TN2.global, 1_440);
    tooBig(t, TN2.global, 1_304);
    for (let i = 0; i < 10; i++) {
      t.answer(TR1, TR1.ll);
      pieces(t, TN2, TN2.global, 1_440, 1_304);
      t.wait(30);
      t.seen();
    }
  });

  const GROUP = 'ff1e::1:2';
  const multicast = (id: string, mtus: readonly (readonly [Station, number, number])[]): void =>
    part(id, (t) => {
      const socket = t.stack.raw.openSocket(6, 58);
      const send = (octets: number): Seen[] => {
        const message = new Uint8Array(octets - 40);
        message[0] = 128;
        assert.equal(socket.sendTo(message, 0, message.length, address(GROUP), t.eth0.index), message.length);
        return t.seen();
      };
      assert.deepEqual(
        send(1_500).map((p) => p.payload.length),
        [1_460],
      );
      for (const [router, mtu, holds] of mtus) {
        const about = ipv6({ src: GLOBAL, dst: GROUP, next: 58, payload: new Uint8Array(1_184).fill(128, 0, 1) });
        t.icmp(2, 0, mtu, about, { src: router.ll, dst: GLOBAL }, router.mac);
        const lengths = send(1_500).map((p) => p.payload.length + 40);
        assert.ok(lengths.length === 2 && Math.max(...lengths) <= holds && Math.max(...lengths) > holds - 8, `${lengths} of ${holds}`);
      }
      socket.close();
    });
  multicast('4.1.10', [
    [TR1, 1_450, 1_450],
    [TR1, 1_400, 1_400],
    [TR1, 1_300, 1_300],
    [TR1, 1_350, 1_300],
  ]);
  multicast('4.1.11', [
    [TR1, 1_480, 1_480],
    [TR1, 1_440, 1_440],
    [TR2, 1_360, 1_360],
    [TR2, 1_400, 1_360],
  ]);
});
