import assert from 'node:assert/strict';
import { Prng } from '#src/base/prng.js';
import { millis } from '#src/base/time.js';
import type { Interface } from '#src/net/interface.js';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import { FourPorts, PORTS } from '../../support/four-ports.js';
import { address, prefix } from '../../support/stacks.js';
import { concat, hex, ipv4, udp } from '../../support/wire.js';
import { ipv6 } from '../../support/wire6.js';

/** Frames of every kind a router meets, most of them such as it forwards. */
class Frames {
  private readonly prng: Prng;

  constructor(seed: number) {
    this.prng = new Prng(seed);
  }

  below(n: number): number {
    return this.prng.below(n);
  }

  one<T>(...of: readonly T[]): T {
    return of[this.prng.below(of.length)] as T;
  }

  /** `usual` but once in so often. */
  rarely<T>(usual: T, ...others: readonly T[]): T {
    return this.prng.below(40) === 0 ? this.one(...others) : usual;
  }

  next(port: number): Uint8Array {
    const six = this.below(3) === 0;
    const packet = six ? this.six(port) : this.four(port);
    const bytes = concat(packet, new Uint8Array(this.rarely(0, 1, 6, 30))); // padding
    const cut = this.below(40) === 0 ? bytes.subarray(0, this.below(bytes.length)) : bytes;
    if (port === 3) return cut;
    const to = this.rarely(`02000000000${port + 1}`, 'ffffffffffff', '01005e000001', '020000000077');
    const from = this.rarely(`02000000009${port}`, '030000000090');
    return concat(hex(to + from + this.rarely(six ? '86dd' : '0800', '8100 0000 0800', '0806', '1234', six ? '0800' : '86dd')), cut);
  }

  private four(port: number): Uint8Array {
    const dst = this.one(
      '20.9.9.9',
      '20.8.8.8',
      '20.1.2.3',
      '20.2.3.4',
      '20.3.0.1',
      '20.4.0.1',
      '20.4.7.7',
      '20.5.0.1',
      '10.0.1.2',
      '10.0.2.2',
      '10.0.2.77',
      '30.0.0.1',
    );
    const odd = this.one(
      '10.0.0.1',
      '10.0.1.255',
      '255.255.255.255',
      '224.0.0.5',
      '127.0.0.1',
      '169.254.1.1',
      '0.0.0.0',
      '250.1.1.1',
      `10.0.${port}.255`,
    );
    const src = this.rarely(
      `10.0.${port}.2`,
      '0.0.0.0',
      '127.0.0.1',
      '169.254.1.1',
      `10.0.${port}.1`,
      `10.0.${port}.255`,
      '239.1.1.1',
      '255.255.255.255',
      '20.9.9.9',
    );
    const fields = {
      src,
      dst: this.rarely(dst, odd),
      ttl: this.rarely(64, 0, 1, 2, 255),
      tos: this.below(256),
      id: this.below(65_536),
      protocol: this.rarely(17, 6, 1, 50),
      fragment: this.rarely(0x4000, 0, 0x2000, 0x0010),
      payload: udp(this.below(65_536), 9, new Uint8Array(this.rarely(18, 0, 570, 1_300, 1_472))),
    };
    const bent = this.rarely(
      {},
      { options: '94040000' },
      { options: '01010101' },
      { checksum: this.below(65_536) },
      { version: 5 },
      { ihl: 4 },
      { length: this.below(100) },
    );
    return ipv4({ ...fields, ...bent });
  }

  private six(port: number): Uint8Array {
    const dst = this.one('2001:db8::9', '2001:db8:1::9', '2001:db8:2::9', '2001:db8:3::9', 'fd00:1::2', 'fd00:2::3', 'fd00:2::77', '2002::1');
    const odd = this.one('fd00:1::1', 'fd00:1::', '::', '::1', '::ffff:20.9.9.9', 'fe80::9', 'ff02::1', 'ff0e::5', '::20.9.9.9');
    const payload = this.rarely(udp(1, 9, new Uint8Array(this.rarely(10, 0, 1_260, 1_452))), new Uint8Array(0));
    const src = this.rarely(`fd00:${port}::2`, '::', '::1', 'fe80::9', `fd00:${port}::1`, 'ff02::1', '::ffff:1.2.3.4');
    const fields = { src, dst: this.rarely(dst, odd), hops: this.rarely(64, 0, 1, 2), tclass: this.below(256), flow: this.below(1 << 20), payload };
    return ipv6({ ...fields, next: this.rarely(17, 0, 43, 44, 60, 50, 59, 6), ...this.rarely({}, { version: 4 }, { length: this.below(200) }) });
  }
}

describe('the fast path does what the long road does', () => {
  /** What happens to a router between two batches; `n` decides. */
  const happenings: readonly ((router: FourPorts, n: number) => void)[] = [
    (r, n) => r.route(`20.${n % 9}.0.0/16`, 1 + (n % 3), n % 3 === 2 ? null : `10.0.${1 + (n % 3)}.3`, { metric: n & 1 }),
    (r, n) => void r.stack.ip.routes.delete({ family: 4, prefix: address(`20.${n % 9}.0.0`), length: 16, table: MAIN_TABLE, vrf: 0 }),
    (r, n) => r.route(`2001:db8:${n % 9}::/48`, 1, 'fd00:1::3'),
    (r, n) => (r.ifaces[n % PORTS] as Interface).neighbors?.suspect([...(r.ifaces[n % PORTS]?.neighbors?.entries() ?? [])][0] as never),
    (r, n) => void r.ifaces[1]?.neighbors?.setPermanent(address('10.0.1.2'), 0x0200, n),
    (r, n) => void r.ifaces[n % 3]?.neighbors?.remove(address(`10.0.${n % 3}.3`)),
    (r, n) => {
      const iface = r.ifaces[n % PORTS] as Interface;
      iface.up = n % 5 !== 0;
      r.stack.ip.routes.invalidate();
    },
    (r) => void r.stack.addresses.remove(r.ifaces[2] as Interface, address('10.0.2.1')),
    (r, n) =>
      void (
        r.ifaces[2]?.addresses.some((a) => a.address.w3 === (0x0a000200 | 1)) ||
        r.stack.addAddress(r.ifaces[2] as Interface, prefix(`10.0.2.1/${24 + (n % 4)}`))
      ),
    (r, n) => r.stack.ctx.sysctl.set('net.ipv4.conf.all.rp_filter', n % 3),
    (r, n) => r.stack.ctx.sysctl.set('net.ipv4.conf.all.bc_forwarding', n & 1),
    (r, n) => r.stack.ctx.sysctl.set('anystack.txqueuelen', n % 4 === 0 ? 3 : 1_000),
    (r, n) => r.stack.ctx.sysctl.set('net.ipv6.conf.all.forwarding', n % 4 === 0 ? 0 : 1),
    (r, n) => {
      (r.ifaces[1] as Interface).mtu = n & 1 ? 900 : 1_500;
      r.stack.ip.routes.invalidate();
    },
    (r, n) => (r.ifaces[2] as Interface).shape(n % 4 === 0 ? { bits: 1_000_000_000 } : null),
    (r, n) => r.stack.ip.routes.setRules(n % 6 === 0 ? [{ priority: 1, from: prefix('10.0.0.0/24'), action: { type: 'prohibit' } }] : []),
    (r) => r.run(millis(900)),
  ];

  for (const seed of [1, 2, 3]) {
    it(`on random packets through a router whose state changes at random, seed ${seed}`, () => {
      const [fast, slow] = [new FourPorts(1), new FourPorts(0)];
      const frames = new Frames(seed);
      let sent = 0;
      for (let round = 0; round < 40; round++) {
        for (let n = frames.below(60); n >= 0; n--) {
          const port = frames.below(PORTS);
          const frame = frames.next(port);
          for (const router of [fast, slow]) router.put(port, frame);
          sent++;
        }
        for (const router of [fast, slow]) router.run();
        assert.deepEqual(fast.seen(), slow.seen(), `round ${round}`);
        if (frames.below(2) === 0) {
          const n = frames.below(1_000);
          const happens = frames.one(...happenings);
          for (const router of [fast, slow]) happens(router, n);
        }
      }
      assert(fast.long < slow.long * 0.75, `${fast.long} of ${sent} packets went the long road`);
      for (const router of [fast, slow]) router.end();
    });
  }

  it('anystack.fast_path: plain packets pass without the long road, and with 0 by it', () => {
    const router = new FourPorts(1);
    const pass = (): number => {
      const before = router.long;
      router.put(0, concat(hex('020000000001 020000000090 0800'), ipv4({ src: '10.0.0.2', dst: '20.9.9.9', payload: udp(1, 2) })));
      router.run();
      assert.equal(router.take(1).length, 1);
      return router.long - before;
    };
    assert.equal(pass(), 0);
    router.stack.ctx.observer.verdict = () => {};
    assert.equal(pass(), 1, 'somebody looks');
    router.stack.ctx.observer.verdict = null;
    assert.equal(pass(), 0);
    router.stack.ctx.sysctl.set('anystack.fast_path', 0);
    assert.equal(pass(), 1);
    router.end();
  });
});
