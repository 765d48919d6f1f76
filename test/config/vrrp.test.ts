import assert from 'node:assert/strict';
import { memoryLink } from '#src/hyper/memory-link.js';
import { createStack } from '#src/index.js';

const vrrp = [
  { interface: 'lan', id: 1, addresses: ['10.0.0.254'], priority: 255 },
  { interface: 'lan', id: 1, addresses: ['fe80::254', '2001:db8::254'], interval: 0.5 },
];
const interfaces = () => ({ lan: { device: memoryLink()[0], addresses: ['10.0.0.254/24'] } });

describe('the sections vrrp and nat64', () => {
  it('virtual routers come and go with the configuration', async () => {
    const given = interfaces();
    const stack = createStack({ interfaces: given, vrrp });
    assert.deepEqual(
      stack.vrrp.show().map(({ dev, id, family, priority, mac }) => `${dev} ${id} ${family} ${priority} ${mac}`),
      ['lan 1 4 255 00:00:5e:00:01:01', 'lan 1 6 100 00:00:5e:00:02:01'],
    );
    stack.reload({ interfaces: given, vrrp: [vrrp[1] as (typeof vrrp)[0]] });
    assert.deepEqual(
      stack.vrrp.show().map(({ family }) => family),
      [6],
    );
    assert.equal(stack.addr.show('lan')[0]?.address, '10.0.0.254', 'the owner keeps its address');
    await stack.close();
  });

  const refused: readonly (readonly [object, RegExp])[] = [
    [{ interface: 'lam', id: 1, addresses: ['10.0.0.1'] }, /vrrp\[0\]\.interface 'lam' is no interface; did you mean 'lan'/],
    [{ interface: 'lan', id: 0, addresses: ['10.0.0.1'] }, /vrrp\[0\]\.id is to be at least 1/],
    [{ interface: 'lan', id: 1, addresses: ['10.0.0.1', 'fe80::1'] }, /vrrp\[0\]\.addresses are of two families/],
    [{ interface: 'lan', id: 1, addresses: ['2001:db8::1'] }, /vrrp\[0\]\.addresses\[0\] '2001:db8::1' is to be link-local/],
    [{ interface: 'lan', id: 1, addresses: ['224.0.0.1'] }, /vrrp\[0\]\.addresses\[0\] '224\.0\.0\.1' is no address of a router/],
  ];
  for (const [spec, message] of refused)
    it(`refuses ${JSON.stringify(spec)}`, () => {
      assert.throws(() => createStack({ interfaces: interfaces(), vrrp: [spec as never] }), { message });
    });
  it('refuses a VRID that is there twice', () => {
    const two = [vrrp[0], vrrp[0]] as never;
    assert.throws(() => createStack({ interfaces: interfaces(), vrrp: two }), { message: /vrrp\[1\]\.id 1 is there twice on lan/ });
  });

  it('a translator is an interface: its prefixes are routed to it', async () => {
    const stack = createStack({
      interfaces: { xlat: { nat64: { pool: ['192.0.2.64/30'], maps: [{ v6: '2001:db8::/124', v4: '198.51.100.0/28' }] } } },
    });
    const routes = stack.route.show().filter(({ dev }) => dev === 'xlat');
    assert.deepEqual(routes.map(({ to }) => to).sort(), ['192.0.2.64/30', '198.51.100.0/28', '64:ff9b::/96']);
    await stack.close();
  });

  const translators: readonly (readonly [object, RegExp])[] = [
    [{}, /interfaces\.x\.nat64 needs a 'pool' or 'maps'/],
    [{ pool: ['10.0.0.0/8'] }, /interfaces\.x\.nat64\.pool has 16777216 addresses, and 65536 are enough/],
    [{ pool: ['2001:db8::/96'] }, /interfaces\.x\.nat64\.pool\[0\] '2001:db8::\/96' is no IPv4 prefix/],
    [
      { pool: ['192.0.2.1'], prefix: '64:ff9b::/95' },
      /interfaces\.x\.nat64\.prefix '64:ff9b::\/95' is no IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits/,
    ],
    [{ maps: [{ v6: '2001:db8::/124', v4: '192.0.2.0/24' }] }, /interfaces\.x\.nat64\.maps\[0\] maps .* which have not equally many addresses/],
    [{ pool: ['192.0.2.1'], filtering: 'none' }, /interfaces\.x\.nat64\.filtering "none" is unknown/],
  ];
  for (const [nat64, message] of translators)
    it(`refuses ${JSON.stringify(nat64)}`, () => {
      assert.throws(() => createStack({ interfaces: { x: { nat64: nat64 as never } } }), { message });
    });

  it('a forwarder with DNS64 names its prefix', () => {
    const dns = { forwarder: { interfaces: ['lan'], dns64: '2001:db8::/33' } };
    assert.throws(() => createStack({ interfaces: interfaces(), dns }), { message: /dns\.forwarder\.dns64 '2001:db8::\/33' is no IPv6 prefix/ });
  });
});
