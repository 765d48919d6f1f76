import assert from 'node:assert/strict';
import type { Address } from '#src/base/address.js';
import { createStack } from '#src/index.js';
import type { InterfaceAddress } from '#src/net/interface.js';
import { defaultPolicies, POLICIES_MAX } from '#src/net/ipv6/source-selection.js';
import { address, prefix } from '../../support/stacks.js';
import { Bench6, prefixOption, ROUTER_LL } from '../../support/wire6.js';

describe('address selection', () => {
  let t: Bench6;
  afterEach(() => t.end());
  const source = (
    addresses: readonly string[],
    destination: string,
    prepare: (find: (text: string) => InterfaceAddress) => void = () => {},
  ): string => {
    t = new Bench6({ 'net.ipv6.conf.all.addr_gen_mode': 1 }, addresses);
    prepare((text) => t.eth0.addresses.find((a) => a.address.equals(address(text))) as InterfaceAddress);
    return t.stack.v6.selection.select(t.eth0, address(destination))?.address.toString() ?? 'none';
  };

  // RFC 6724 §10.1, its examples among others.
  const rules: [string, string[], string, string][] = [
    ['rule 1: the destination itself', ['2001:db8::1/64', '2001:db8::2/64'], '2001:db8::2', '2001:db8::2'],
    ['rule 2: the smallest sufficient scope', ['fe80::1/64', '2001:db8:3::1/64'], '2001:db8:1::1', '2001:db8:3::1'],
    ['rule 2: link-local for link-local groups', ['2001:db8:3::1/64', 'fe80::1/64'], 'ff02::1', 'fe80::1'],
    ['rule 2: link-local for link-local hosts', ['2001:db8:3::1/64', 'fe80::1/64'], 'fe80::9', 'fe80::1'],
    [
      'rule 6: 6to4 for 6to4',
      ['2001:db8:1::1/64', '2002:c633:6401::d5e3:7953:13eb:22e8/64'],
      '2002:c633:6401::1',
      '2002:c633:6401:0:d5e3:7953:13eb:22e8',
    ],
    ['rule 6: unique local for unique local', ['2001:db8:1::1/64', 'fd12::1/64'], 'fd99::1', 'fd12::1'],
    ['rule 6: global for global', ['fd12::1/64', '2001:db8:1::1/64'], '2001:db8:9::1', '2001:db8:1::1'],
    ['rule 8: the longest match', ['2001:db8:1::1/64', '2001:db8:3::1/64'], '2001:db8:2::1', '2001:db8:3::1'],
    ['nothing fits', [], '2001:db8:1::1', 'none'],
  ];
  for (const [what, addresses, destination, expected] of rules) {
    it(`RFC 6724 §5 ${what}`, () => assert.equal(source(addresses, destination), expected));
  }

  it('RFC 6724 §5 rule 3: deprecated addresses last, tentative ones never', () => {
    const list = ['2001:db8:1::1/64', '2001:db8:2::1/64', '2001:db8:3::1/64'];
    assert.equal(
      source(list, '2001:db8:1::9', (find) => {
        find('2001:db8:1::1').state = 'tentative';
        find('2001:db8:2::1').state = 'deprecated';
      }),
      '2001:db8:3::1',
    );
  });

  it('RFC 6724 §5 rule 5.5: an address of the prefix that the next hop advertises', () => {
    t = new Bench6({}, []);
    t.ra({ options: [prefixOption('2001:db8:1::', 64, 0xc0, 3_600, 1_800)] });
    t.ra({ src: 'fe80::6', flags: 0x18, options: [prefixOption('2001:db8:f::', 64, 0xc0, 3_600, 1_800)] });
    const to = (text: string): string => t.stack.v6.selection.select(t.eth0, address(text))?.address.toString() ?? 'none';
    assert.equal(to('2001:db8:f:1::1'), '2001:db8:1::ff:fe00:1'); // though the other matches longer
    t.ra({ lifetime: 0 });
    assert.equal(to('2001:db8:f:1::1'), '2001:db8:f::ff:fe00:1');
    assert.equal(
      t.stack.v6.routers.list().some((r) => r.address.equals(address(ROUTER_LL))),
      false,
    );
  });

  it('RFC 6724 §4: a router without a global address on the link lends one of another', () => {
    t = new Bench6({}, []);
    t.stack.addAddress(t.stack.ip.loopback, prefix('2001:db8::1/128'));
    assert.equal(t.stack.v6.selection.select(t.eth0, address('2001:db8:9::1'))?.address.toString(), '2001:db8::1');
    assert.equal(t.stack.v6.selection.select(t.eth0, address('fe80::9'))?.address.toString(), Bench6.LL);
  });

  it('RFC 6724 §2.1: the table can be set, within its bound', () => {
    t = new Bench6({}, ['2001:db8:1::1/64', 'fd12::1/64']);
    const { selection } = t.stack.v6;
    selection.setPolicies([...defaultPolicies, { prefix: prefix('2001:db8:9::/48'), precedence: 1, label: 13 }]);
    assert.equal(selection.select(t.eth0, address('2001:db8:9::1'))?.address.toString(), 'fd12::1');
    assert.throws(() => selection.setPolicies(new Array(POLICIES_MAX + 1).fill(defaultPolicies[0])), /65 policies/);
  });

  // RFC 6724 §10.2.
  const orders: [string, [string, string | null][], string[]][] = [
    [
      'rule 1: unreachable last',
      [
        ['2001:db8:1::1', null],
        ['198.51.100.121', '198.51.100.117'],
      ],
      ['198.51.100.121', '2001:db8:1::1'],
    ],
    [
      'rule 2: matching scope',
      [
        ['198.51.100.121', '169.254.13.78'],
        ['2001:db8:1::1', '2001:db8:1::2'],
      ],
      ['2001:db8:1::1', '198.51.100.121'],
    ],
    [
      'rule 2: matching scope of IPv4',
      [
        ['2001:db8:1::1', 'fe80::1'],
        ['198.51.100.121', '198.51.100.117'],
      ],
      ['198.51.100.121', '2001:db8:1::1'],
    ],
    [
      'rule 6: precedence',
      [
        ['10.1.2.3', '10.1.2.4'],
        ['2001:db8:1::1', '2001:db8:1::2'],
      ],
      ['2001:db8:1::1', '10.1.2.3'],
    ],
    [
      'rule 8: smaller scope',
      [
        ['2001:db8:1::1', '2001:db8:1::2'],
        ['fe80::1', 'fe80::2'],
      ],
      ['fe80::1', '2001:db8:1::1'],
    ],
    [
      'rule 9: longest match',
      [
        ['2001:db8:3ffe::1', '2001:db8:1::2'],
        ['2001:db8:1::1', '2001:db8:1::2'],
      ],
      ['2001:db8:1::1', '2001:db8:3ffe::1'],
    ],
    [
      'rule 10: as given',
      [
        ['10.1.2.3', '10.1.2.4'],
        ['10.1.2.5', '10.1.2.4'],
      ],
      ['10.1.2.3', '10.1.2.5'],
    ],
  ];
  for (const [what, rows, expected] of orders) {
    it(`RFC 6724 §6 ${what}`, () => {
      t = new Bench6();
      const template = t.eth0.addresses[0] as InterfaceAddress;
      const sources = new Map(
        rows.map(([d, s]) => [
          address(d).toString(),
          s === null ? null : { ...template, address: address(s), length: address(s).isV4 ? 24 : 64, state: 'preferred' as const },
        ]),
      );
      const sorted = t.stack.v6.selection.sortDestinations(
        rows.map(([d]) => address(d)),
        (d: Address) => sources.get(d.toString()) ?? null,
      );
      assert.deepEqual(sorted.map(String), expected);
    });
  }
});

describe('address selection in the configuration', () => {
  it('the table is what it says, follows a reload, and is the RFC its own again; a row that is none is refused', async () => {
    const stack = createStack({ addressSelection: [{ prefix: 'fd00::/8', precedence: 60, label: 9 }] });
    const { selection } = stack.core.v6;
    const row = (): string => `${selection.policyOf(address('fd00::1'))?.precedence} ${selection.policyOf(address('2001:db8::1'))?.precedence}`;
    assert.equal(row(), '60 undefined');
    stack.reload({ addressSelection: [{ prefix: '::/0', precedence: 7, label: 1 }] });
    assert.equal(row(), '7 7');
    stack.reload({});
    assert.equal(row(), '3 40');
    assert.throws(() => stack.reload({ addressSelection: [{ prefix: 'fd00', precedence: 1, label: 1 }] }), /addressSelection\[0\]\.prefix/);
    await stack.close();
  });
});
