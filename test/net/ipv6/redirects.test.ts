import assert from 'node:assert/strict';
import { Flow } from '#src/net/ip/path.js';
import { address } from '../../support/stacks.js';
import { hex } from '../../support/wire.js';
import { Bench6, octets6, PEER_MAC, ROUTER_LL, ROUTER_MAC, sourceLink, targetLink } from '../../support/wire6.js';

const SECOND_LL = 'fe80::6';
const SECOND_MAC = '020000000006';

describe('redirects', () => {
  let t: Bench6;
  afterEach(() => t.end());
  const nextHop = (to: string): string => {
    const flow = new Flow();
    flow.destination.copy(address(to));
    const hop = t.stack.ip.routes.lookup(flow);
    return hop === null ? 'none' : (hop.gateway?.toString() ?? 'on-link');
  };
  const redirect = (target: string, destination: string, options: Uint8Array[] = [], fields: { src?: string; hops?: number } = {}): void => {
    const data = Uint8Array.from([...octets6(target), ...octets6(destination), ...options.flatMap((o) => [...o])]);
    t.icmp(137, 0, 0, data, { src: ROUTER_LL, dst: Bench6.LL, hops: 255, ...fields });
  };
  const setup = (sysctl: Record<string, unknown> = {}): void => {
    t = new Bench6(sysctl, []);
    t.ra({ options: [sourceLink(ROUTER_MAC)] });
    t.dropped({});
  };

  it('RFC 4861 §8.3: a better router, and an on-link host, for a while', () => {
    setup();
    redirect(SECOND_LL, '2001:db8::1', [targetLink(SECOND_MAC)]);
    redirect('2001:db8::2', '2001:db8::2', [targetLink(PEER_MAC)]);
    assert.deepEqual([nextHop('2001:db8::1'), nextHop('2001:db8::2'), nextHop('2001:db8::3')], [SECOND_LL, 'on-link', ROUTER_LL]);
    assert.equal(t.eth0.neighbors?.find(address(SECOND_LL))?.isRouter, true);
    t.wait(601);
    assert.equal(nextHop('2001:db8::1'), ROUTER_LL);
  });

  const refused: [string, string, () => void][] = [
    ['hop limit 254', 'NdHopLimit', () => redirect(SECOND_LL, '2001:db8::1', [], { hops: 254 })],
    ['a source that is not link-local', 'NdBadAddress', () => redirect(SECOND_LL, '2001:db8::1', [], { src: 'fd00::9' })],
    ['a source that is not the router in use', 'NdNotFirstHop', () => redirect(SECOND_LL, '2001:db8::1', [], { src: SECOND_LL })],
    ['a group as destination', 'NdBadAddress', () => redirect(SECOND_LL, 'ff05::1')],
    ['a global target that is not the destination', 'NdBadAddress', () => redirect('fd00::5', '2001:db8::1')],
    ['an option of length 0', 'NdMalformed', () => redirect(SECOND_LL, '2001:db8::1', [hex('0200020000000006')])],
  ];
  for (const [what, drop, act] of refused) {
    it(`RFC 4861 §8.1: ${what} changes nothing`, () => {
      setup();
      act();
      t.dropped({ [drop]: 1 });
      assert.equal(t.stack.v6.redirects.size, 0);
    });
  }

  it('they are bounded, and a router or a cautious host believes none', () => {
    setup({ 'anystack.redirects_max': 4 });
    for (let i = 1; i < 20; i++) redirect(SECOND_LL, `2001:db8::${i}`);
    assert.equal(t.stack.v6.redirects.size, 4);
    assert.equal(nextHop('2001:db8::1'), ROUTER_LL);
    t.stack.ctx.sysctl.set('net.ipv6.conf.all.accept_redirects', 0);
    redirect(SECOND_LL, '2001:db8::1');
    t.dropped({ NdRefused: 1 });
  });

  it('RFC 4861 §7.2.5: what went through a router goes back when it is one no longer', () => {
    setup();
    redirect(SECOND_LL, '2001:db8::1', [targetLink(SECOND_MAC)]);
    t.na(SECOND_LL, 0x20, [targetLink(SECOND_MAC)], { src: SECOND_LL });
    assert.equal(nextHop('2001:db8::1'), ROUTER_LL);
  });
});
