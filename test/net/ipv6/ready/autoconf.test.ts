import assert from 'node:assert/strict';
import { GLOBAL, LL, type Nut, Parts, PREFIX, type Role, TN1, TR1 } from '../../../support/ready.js';
import { concat, hex } from '../../../support/wire.js';
import { octets6, prefixOption, sourceLink, targetLink } from '../../../support/wire6.js';

const GROUP = 'ff02::1:ff00:1';
const OTHER_LL = 'fe80::ff:fe00:2';
const DAD = { 'net.ipv6.conf.all.dad_transmits': 1 };
const FOREVER = 0xffffffff;

describe('IPv6 Ready Logo: RFC 4862, addresses', () => {
  const list = new Parts(import.meta.url, DAD);
  after(() => list.end());

  /** Reboots, and stops when the probe for `target` is out. */
  const probed = (t: Nut, target = LL): void => {
    for (let i = 0; i < 40; i++) {
      if (t.lines().includes(`dad ${target}`)) return;
      t.wait(0.1);
    }
    assert.fail(`no probe for ${target}`);
  };
  const reboot = (t: Nut): void => {
    t.cable(false);
    const { addresses } = t.eth0;
    for (const a of [...addresses]) t.stack.addresses.remove(t.eth0, a.address);
    t.seen();
    t.cable(true);
    probed(t);
  };
  /** Asks whether the address is in use: answered by an advertisement, or not. */
  const has = (t: Nut, address: string, used: boolean): void => {
    t.wait(6);
    t.seen();
    t.ns(address, [], { src: '::', dst: `ff02::1:ff00:${address.endsWith('2') ? 2 : 1}` });
    assert.deepEqual(
      t.lines().map((l) => l.split(' ').slice(0, 4).join(' ')),
      used ? [`na ${address} > ff02::1`] : [],
    );
  };
  const part = (id: string, during: (t: Nut, role: Role) => void, kept: boolean): void =>
    list.part(id, (t, role) => {
      reboot(t);
      during(t, role);
      has(t, LL, kept);
    });
  const dadNs =
    (target = LL, options: Uint8Array[] = []) =>
    (t: Nut): void =>
      t.ns(target, options, { src: '::', dst: GROUP });

  part('3.1.1', () => {}, true);
  part('3.1.2.A', dadNs(OTHER_LL), true);
  part('3.1.2.B', dadNs(), false);
  part('3.1.2.C', (t) => t.na(OTHER_LL, 0x20, [targetLink(TN1.mac)], { src: OTHER_LL, dst: 'ff02::1' }), true);
  part('3.1.2.D', (t) => t.na(LL, 0x20, [targetLink(TN1.mac)], { src: LL, dst: 'ff02::1' }), false);

  const ns =
    (code: number, rest: number, body: Uint8Array, dst = GROUP) =>
    (t: Nut): void =>
      t.icmp(135, code, rest, body, { src: '::', dst, hops: 255 });
  part('3.1.3.A', ns(0, 0, octets6(LL).subarray(0, 8)), true);
  part('3.1.3.B', (t) => t.ns(LL, [], { src: '::', dst: GROUP, hops: 254 }), true);
  part('3.1.3.C', ns(0, 0, octets6(LL), LL), true);
  part('3.1.3.D', ns(0, 0, octets6(LL), 'ff02::1'), true);
  part('3.1.3.E', ns(1, 0, octets6(LL)), true);
  part('3.1.3.F', (t) => t.spoilt(() => dadNs()(t)), true);
  part('3.1.3.G', dadNs(GROUP), true);
  part('3.1.3.H', dadNs(LL, [sourceLink(TN1.mac)]), true);
  part('3.1.3.I', ns(0, 0xffffffff, octets6(LL)), false);
  part('3.1.3.J', dadNs(LL, [targetLink(TN1.mac)]), false);

  const na =
    (code: number, rest: number, body: Uint8Array, hops = 255) =>
    (t: Nut): void =>
      t.icmp(136, code, rest, body, { src: TN1.ll, dst: 'ff02::1', hops });
  const full = concat(octets6(LL), targetLink(TN1.mac));
  part('3.1.4.A', na(0, 0x20000000, octets6(LL).subarray(0, 8)), true);
  part('3.1.4.B', na(0, 0x20000000, full, 254), true);
  part('3.1.4.C', na(1, 0x20000000, full), true);
  part('3.1.4.D', (t) => t.spoilt(() => na(0, 0x20000000, full)(t)), true);
  part('3.1.4.E', na(0, 0x60000000, full), true);
  part('3.1.4.F', na(0, 0x20000000, concat(octets6(GROUP), targetLink(TN1.mac))), true);
  part('3.1.4.G', na(0, 0x20000000, concat(octets6(LL), hex(`0200${TN1.mac}`))), true);
  part('3.1.4.H', na(0, 0x3fffffff, full), false);
  part('3.1.4.I', na(0, 0x20000000, concat(octets6(LL), sourceLink(TN1.mac))), false);

  part(
    '3.1.5.A',
    (t) => {
      t.ns(LL, [sourceLink(TN1.mac)], { src: TN1.ll, dst: GROUP });
      t.sends();
    },
    true,
  );
  part(
    '3.1.5.B',
    (t) => {
      t.ns(LL, [sourceLink(TN1.mac)], { src: TN1.ll, dst: LL });
      t.sends();
    },
    true,
  );

  const prefix = (text: string, flags = 0xc0, valid = 2_592_000, preferred = 604_800, length = 64): Uint8Array =>
    prefixOption(text, length, flags, valid, preferred);
  const host = (id: string, body: (t: Nut) => void): void =>
    list.part(id, (t) => {
      reboot(t);
      t.wait(3);
      t.seen();
      body(t);
    });
  const advertise = (t: Nut, ...options: Uint8Array[]): void => t.advertise(TR1, { options });
  const iid = 'ff:fe00:1';
  for (const [id, text] of [
    ['3.2.1.A', PREFIX],
    ['3.2.1.B', '8000::'],
    ['3.2.1.C', 'fec0::'],
  ] as const)
    host(id, (t) => {
      advertise(t, prefix(text));
      probed(t, `${text}${iid}`);
      has(t, `${text}${iid}`, true);
    });
  host('3.2.2', (t) => {
    advertise(t, prefix(PREFIX, 0xc0, 40, 40));
    has(t, GLOBAL, true);
    t.wait(40);
    has(t, GLOBAL, false);
  });
  host('3.2.3', (t) => {
    const second = '2001:db8:105::';
    advertise(t, prefix(PREFIX, 0xc0, 30, 30));
    advertise(t, prefix(second, 0xc0, 600, 600));
    has(t, GLOBAL, true);
    has(t, `${second}${iid}`, true);
    t.wait(20);
    has(t, GLOBAL, false);
    has(t, `${second}${iid}`, true);
  });

  host('3.2.4.A', (t) => {
    advertise(t, prefix(PREFIX, 0xc0, 40, 40), prefix('2001:db8:105::'));
    has(t, GLOBAL, true);
    has(t, `2001:db8:105::${iid}`, true);
    t.wait(30);
    has(t, GLOBAL, false);
    has(t, `2001:db8:105::${iid}`, true);
  });
  const none = (id: string, option: Uint8Array, fields: { hops?: number } = {}): void =>
    host(id, (t) => {
      t.advertise(TR1, { options: [option], ...fields });
      t.wait(5);
      assert.deepEqual(
        t.lines().filter((l) => l.startsWith('dad')),
        [],
      );
      has(t, GLOBAL, false);
      assert.deepEqual(t.addresses(), [`${LL}/64 preferred`]);
    });
  none('3.2.4.B', prefix(PREFIX, 0x80));
  none('3.2.4.C', prefix('fe80::'));
  none('3.2.4.D', prefix(PREFIX, 0xc0, 20, 30));
  none('3.2.4.E', prefix(PREFIX, 0xc0, 600, 600, 129));
  none('3.2.4.F', prefix(PREFIX, 0xc0, 600, 600, 0));
  none('3.2.4.G', prefix(PREFIX, 0xc0, 600, 600, 120));
  none('3.2.4.H', prefix(PREFIX, 0xc0, 0, 0));
  none('3.2.4.I', prefix(PREFIX), { hops: 254 });
  host('3.2.4.J', (t) => {
    advertise(t, prefix(PREFIX, 0xc0, FOREVER, FOREVER));
    has(t, GLOBAL, true);
    t.wait(100_000);
    has(t, GLOBAL, true);
  });

  /** First advertised, then told again after `wait`; the address goes after `end` seconds from then. */
  const lifetime = (id: string, first: number, wait: number, second: number, end: number): void =>
    host(id, (t) => {
      advertise(t, prefix(PREFIX, 0xc0, first, Math.min(first, 10)));
      t.wait(wait);
      has(t, GLOBAL, true);
      advertise(t, prefix(PREFIX, 0xc0, second, Math.min(second, 10)));
      t.wait(end - 15);
      has(t, GLOBAL, true);
      t.wait(20);
      has(t, GLOBAL, false);
    });
  lifetime('3.2.5.A', 60, 10, 120, 120);
  lifetime('3.2.5.B', 21_600, 10, 10_800, 10_800);
  lifetime('3.2.5.C', 60, 10, 20, 60 - 16);
  lifetime('3.2.5.D', 10_800, 10, 10, 7_200);
});
