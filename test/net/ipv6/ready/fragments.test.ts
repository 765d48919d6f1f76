import { fragmentHeader, GLOBAL, LL, type Nut, Parts, TN1 } from '../../../support/ready.js';
import { concat } from '../../../support/wire.js';

interface Piece {
  readonly from: number;
  readonly to: number;
  readonly id?: number;
  readonly src?: string;
  readonly dst?: string;
}

describe('IPv6 Ready Logo: RFC 8200, fragments', () => {
  const list = new Parts(import.meta.url);
  after(() => list.end());

  /** Sends pieces of one echo request of 80 octets of data. */
  const send = (t: Nut, src: string, dst: string, pieces: readonly Piece[], size = 80): void => {
    const whole = t.question(src, dst, size);
    for (const p of pieces) {
      const head = fragmentHeader(58, p.from, p.to < whole.length, p.id ?? 7);
      t.ip6({ src: p.src ?? src, dst: p.dst ?? dst, next: 44, payload: concat(head, whole.subarray(p.from, p.to)) }, t.mac, TN1.mac);
    }
  };
  const thirds: readonly [Piece, Piece, Piece] = [
    { from: 0, to: 32 },
    { from: 32, to: 64 },
    { from: 64, to: 88 },
  ];
  const REPLY = `reply ${TN1.global} via TN1`;
  const EXPIRED = `error 3/1 0 > ${TN1.global}`;
  const part = (id: string, pieces: (t: Nut) => void, ...answers: string[]): void =>
    list.part(id, (t) => {
      t.setup();
      t.reachable(TN1, TN1.global);
      t.reachable(TN1);
      pieces(t);
      t.sends(...answers);
      t.wait(61);
      t.seen();
    });
  const global = (t: Nut, pieces: readonly Piece[], size?: number): void => send(t, TN1.global, GLOBAL, pieces, size);

  part('1.3.1.A', (t) => global(t, thirds), REPLY);
  part('1.3.1.B', (t) => global(t, [...thirds].reverse()), REPLY);
  part('1.3.1.C', (t) => global(t, [thirds[0], { ...thirds[1], id: 8 }, { ...thirds[2], id: 9 }]));
  part('1.3.1.D', (t) => global(t, [thirds[0], { ...thirds[1], src: TN1.ll }, thirds[2]]));
  part('1.3.1.E', (t) => global(t, [thirds[0], { ...thirds[1], dst: LL }, thirds[2]]));
  part(
    '1.3.1.F',
    (t) =>
      global(
        t,
        [
          { from: 0, to: 504 },
          { from: 504, to: 1_008 },
          { from: 1_008, to: 1_460 },
        ],
        1_452,
      ),
    REPLY,
  );
  part(
    '1.3.2.A',
    (t) => {
      const whole = t.question(TN1.global, GLOBAL, 80);
      for (const { from, to } of thirds) {
        t.wait(20);
        t.ip6(
          { src: TN1.global, dst: GLOBAL, next: 44, payload: concat(fragmentHeader(58, from, to < 88, 3), whole.subarray(from, to)) },
          t.mac,
          TN1.mac,
        );
      }
    },
    REPLY,
  );
  part('1.3.2.B', (t) => {
    global(t, [thirds[0]]);
    t.sends();
    t.wait(59);
    t.sends();
    t.wait(2);
    t.sends(EXPIRED);
    t.wait(10);
    t.seen();
    global(t, [thirds[1], thirds[2]]);
  });
  const only = (t: Nut, src: string, dst: string, piece: Piece): void => {
    send(t, src, dst, [piece]);
    t.wait(59);
    t.sends();
    t.wait(2);
  };
  part('1.3.2.C', (t) => only(t, TN1.global, GLOBAL, thirds[0]), EXPIRED);
  part('1.3.2.D', (t) => only(t, TN1.ll, LL, thirds[0]), `error 3/1 0 > ${TN1.ll}`);
  part('1.3.2.E', (t) => only(t, TN1.global, GLOBAL, thirds[1]));
  part('1.3.3', (t) => send(t, TN1.ll, LL, [{ from: 0, to: 13 }]), `error 4/0 4 > ${TN1.ll}`);
  part('1.3.4', (t) => send(t, TN1.ll, LL, [{ from: 0, to: 88 }]), `reply ${TN1.ll} via TN1`);
  part('1.3.5', (t) => global(t, [thirds[0], { from: 24, to: 64 }, thirds[2]]));
});
