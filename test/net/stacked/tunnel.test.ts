import assert from 'node:assert/strict';
import type { TunnelConfig } from '#src/config/tunnels.js';
import { makeTunnel } from '#src/config/tunnels.js';
import type { Interface } from '#src/net/interface.js';
import { MAIN_TABLE } from '#src/net/ip/route.js';
import { address, prefix } from '../../support/stacks.js';
import { Bench, checksum, concat, hex, icmp, ipv4, toHex, udp } from '../../support/wire.js';
import { Bench6, ipv6 } from '../../support/wire6.js';

/** A stack at 10.0.0.1 whose tunnel leads to the test at 10.0.0.9; inside it is 10.8.0.1, the far end 10.8.0.9 and all of 172.16/12. */
class Tunnelled extends Bench {
  readonly tunnel: Interface;

  constructor(config: TunnelConfig, sysctl: Readonly<Record<string, unknown>> = {}) {
    super(['10.0.0.1/24'], {
      sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.disable_ipv6': 0, 'net.ipv6.conf.all.forwarding': 1, ...sysctl },
    });
    this.introduce();
    this.tunnel = this.stack.stacking.tunnel('tun0', makeTunnel(this.stack.stacking.tunnels.ground, config));
    this.stack.addAddress(this.tunnel, prefix('10.8.0.1/24'));
    this.route('172.16.0.0/12');
    this.route('fd77::/16');
    this.frames();
    this.stack.ctx.counters.drops.fill(0);
  }

  route(to: string, index = this.tunnel.index): void {
    const { address: at, length } = prefix(to);
    const rest = { gateway: null, source: null, metric: 0, mtu: 0, table: MAIN_TABLE, vrf: 0, protocol: 'static', type: 'unicast' } as const;
    this.stack.ip.routes.add({ family: at.isV4 ? 4 : 6, prefix: at, length, index, ...rest });
  }

  /** Outer packets to the far end. */
  outer(): Uint8Array[] {
    return this.packets().filter((p) => toHex(p.subarray(16, 20)) === '0a000009');
  }
}

const ends = { local: '10.0.0.1', remote: '10.0.0.9' } as const;
const echo = (): Uint8Array => icmp(8, 0, 0x10001, new Uint8Array(16));
const inner = (fields: object = {}): Uint8Array => ipv4({ src: '10.8.0.9', dst: '10.8.0.1', protocol: 1, payload: echo(), ...fields });
const to77 = (payload: Uint8Array, fields: object = {}): Uint8Array => ipv6({ src: 'fd66::9', dst: 'fd77::1', next: 17, payload, ...fields });
/** A GRE header with these flags, the key and so on in `rest`. */
const gre = (flags: string, type: string, rest = ''): Uint8Array => hex(`${flags} ${type} ${rest}`);

describe('tunnels: IP in IPv4 (RFC 2003, RFC 4213)', () => {
  let t: Tunnelled;
  beforeEach(() => {
    t = new Tunnelled({ type: 'ip', ...ends });
  });
  afterEach(() => t.end());
  /** The traffic class of what is delivered, by the ICMP error that quotes it; −1 when nothing is. */
  const decapsulated = (tos: number, outer: number): number => {
    t.ip({ protocol: 4, tos: outer, payload: ipv4({ src: '10.8.0.9', dst: '10.8.0.1', tos, payload: udp(9, 9) }) });
    const [answer] = t.outer();
    return answer === undefined ? -1 : (answer[20 + 20 + 8 + 1] as number); // the ICMP error quotes what was delivered
  };

  it('RFC 2003 §3: what comes out is a packet like others, what goes in has the tunnel’s addresses, protocol 4 and a TTL of its own', () => {
    t.ip({ protocol: 4, payload: inner() });
    const [answer] = t.outer();
    assert.ok(answer !== undefined);
    assert.equal(toHex(answer.subarray(8, 10)), '4004');
    assert.equal(toHex(answer.subarray(12, 20)), '0a0000010a000009');
    assert.equal(toHex(answer.subarray(32, 40)), '0a0800010a080009');
    assert.equal(answer[40], 0, 'an echo reply inside');
    assert.equal(t.tunnel.rxPackets, 1);
    assert.equal(t.tunnel.txPackets, 1);
    t.dropped({});
  });

  it('carries IPv6 as protocol 41 (RFC 4213 §3.5), forwarded with one hop less', () => {
    t.stack.addAddress(t.eth0, prefix('fd66::1/64'));
    t.ether(0x86dd, to77(udp(9, 9)), t.mac);
    const [out] = t.outer();
    assert.ok(out !== undefined);
    assert.equal(out[9], 41);
    assert.equal(out[20 + 7], 63);
  });

  it('RFC 6040 §4.2: the outer mark comes inside; where the inner sender knows no ECN, the packet dies', () => {
    for (const [tos, outer, result] of [
      [0, 0, 0],
      [2, 0, 2],
      [2, 1, 1],
      [2, 3, 3],
      [1, 3, 3],
      [1, 2, 1],
      [3, 0, 3],
      [0, 1, 0],
    ] as const) {
      assert.equal(decapsulated(0xb8 | tos, outer), 0xb8 | result, `${tos} in ${outer}`);
      t.dropped({ UdpNoPort: 1 });
    }
    assert.equal(decapsulated(0, 3), -1);
    t.dropped({ TunnelEcn: 1 });
  });

  it('RFC 6040 §4.1, RFC 2983: the inner class is the outer one, unless another is set, which leaves ECN', () => {
    t.ip({ protocol: 4, payload: inner({ tos: 0xba }) });
    assert.equal(t.outer()[0]?.[1], 0xba);
    t.end();
    t = new Tunnelled({ type: 'ip', ...ends, tos: 0x28, ttl: 7 });
    t.ip({ protocol: 4, payload: inner({ tos: 0xba }) });
    const [out] = t.outer();
    assert.equal(out?.[1], 0x2a);
    assert.equal(out?.[8], 7);
  });

  it('what comes from elsewhere, or for no tunnel, is dropped (RFC 4213 §4)', () => {
    t.ip({ src: '10.0.0.8', protocol: 4, payload: inner() });
    t.ip({ protocol: 41, payload: inner() });
    t.ip({ protocol: 4, payload: inner().subarray(0, 12) });
    assert.deepEqual(t.outer(), []);
    t.dropped({ TunnelUnknown: 1, IpBadVersion: 1, IpTruncated: 1 });
    t.tunnel.up = false;
    t.ip({ protocol: 4, payload: inner() });
    t.dropped({ DeviceDown: 1 });
    t.tunnel.up = true;
    t.stack.removeInterface(t.tunnel);
    t.frames();
    t.ip({ protocol: 4, payload: inner() });
    t.dropped({ IpUnknownProtocol: 1 });
    assert.equal(t.packets()[0]?.[21], 2, 'protocol unreachable: nobody takes it any more');
  });

  it('RFC 2003 §3.1: DF is the inner one’s; too long with DF draws fragmentation needed, without it the outer packet is cut', () => {
    const big = (fragment: number): void => t.ip({ src: '10.0.0.9', dst: '172.16.0.1', fragment, payload: udp(9, 9, new Uint8Array(1_460)) });
    big(0x4000);
    const [error] = t.packets();
    assert.deepEqual([error?.[20], error?.[21], ((error?.[26] as number) << 8) | (error?.[27] as number)], [3, 4, 1_480]);
    t.dropped({ IpTooBig: 1 });
    big(0);
    const cut = t.outer();
    assert.deepEqual(
      cut.map((p) => [p[9], (p[6] as number) >> 5, (((p[6] as number) & 31) << 8) | (p[7] as number)]),
      [
        [4, 0, 0],
        [4, 0, 0],
      ],
      'inner fragments, each a packet of its own: the interface’s MTU says so',
    );
    t.tunnel.mtu = 1_500; // as if the path had shrunk since
    big(0);
    assert.deepEqual(
      t.outer().map((p) => (p[6] as number) >> 5),
      [1, 0],
      'outer fragments',
    );
    big(0x4000);
    const [late] = t.packets();
    assert.deepEqual([late?.[20], late?.[21]], [3, 4]);
    t.dropped({ IpTooBig: 1 });
  });

  it('RFC 2003 §5.1: a too-big error about an outer packet lowers what fits', () => {
    t.ip({ protocol: 4, payload: inner({ payload: icmp(8, 0, 0x10001, new Uint8Array(1_200)) }) });
    const [out] = t.outer();
    t.ip({ src: '10.0.0.5', protocol: 1, payload: icmp(3, 4, 1_000, (out as Uint8Array).subarray(0, 28)) });
    t.ip({ dst: '172.16.0.1', fragment: 0x4000, payload: udp(9, 9, new Uint8Array(1_100)) });
    const [error] = t.packets();
    assert.deepEqual([error?.[20], error?.[21], ((error?.[26] as number) << 8) | (error?.[27] as number)], [3, 4, 980]);
    t.dropped({ IpTooBig: 1 });
  });

  it('a tunnel routed into itself is a loop; one without a way says so', () => {
    t.route('10.0.0.9/32');
    t.ip({ dst: '172.16.0.1', payload: udp(9, 9) });
    t.dropped({ IpLoop: 1 });
    t.end();
    t = new Tunnelled({ type: 'ip', local: '10.0.0.1', remote: '192.0.2.9' });
    t.ip({ dst: '172.16.0.1', payload: udp(9, 9) });
    t.dropped({ IpNoRoute: 1 });
  });

  it('encapsulation is bounded on both roads', () => {
    t.end();
    t = new Tunnelled({ type: 'ip', ...ends }, { 'anystack.depth_max': 2 });
    const second = t.stack.stacking.tunnel(
      'tun1',
      makeTunnel(t.stack.stacking.tunnels.ground, { type: 'ip', local: '10.8.0.1', remote: '10.8.0.9' }),
    );
    t.stack.addAddress(second, prefix('10.9.0.1/24'));
    const third = t.stack.stacking.tunnel('tun2', makeTunnel(t.stack.stacking.tunnels.ground, { type: 'ip', local: '10.9.0.1', remote: '10.9.0.9' }));
    t.stack.addAddress(third, prefix('10.10.0.1/24'));
    const two = ipv4({
      src: '10.8.0.9',
      dst: '10.8.0.1',
      protocol: 4,
      payload: ipv4({ src: '10.9.0.9', dst: '10.9.0.1', protocol: 1, payload: echo() }),
    });
    t.ip({ protocol: 4, payload: two });
    assert.equal(t.outer()[0]?.[40 + 9], 1, 'an answer in two tunnels');
    const three = ipv4({
      src: '10.9.0.9',
      dst: '10.9.0.1',
      protocol: 4,
      payload: ipv4({ src: '10.10.0.9', dst: '10.10.0.1', protocol: 1, payload: echo() }),
    });
    t.ip({ protocol: 4, payload: ipv4({ src: '10.8.0.9', dst: '10.8.0.1', protocol: 4, payload: three }) });
    t.dropped({ IpLoop: 1 });
    const socket = t.stack.udp.openSocket(4);
    socket.sendTo(new Uint8Array(9), 0, 9, address('10.10.0.9'), 9);
    t.run();
    t.dropped({ IpLoop: 1 });
    socket.close();
  });

  it('a second tunnel of the same ends is refused, and of two families', () => {
    const add = (config: TunnelConfig): Interface => t.stack.stacking.tunnel('x', makeTunnel(t.stack.stacking.tunnels.ground, config));
    assert.throws(() => add({ type: 'ip', ...ends }), { code: 'EEXIST' });
    assert.throws(() => add({ type: 'gre', local: '10.0.0.1', remote: 'fd00::1' }), { code: 'EINVAL' });
  });
});

describe('tunnels: GRE (RFC 2784, RFC 2890)', () => {
  let t: Tunnelled;
  afterEach(() => t.end());

  it('carries both families by their EtherType', () => {
    t = new Tunnelled({ type: 'gre', ...ends });
    t.ip({ protocol: 47, payload: concat(gre('0000', '0800'), inner()) });
    const [out] = t.outer();
    assert.equal(toHex((out as Uint8Array).subarray(20, 25)), '0000080045');
    t.dropped({});
    t.ip({ protocol: 47, payload: concat(gre('0000', '6558'), inner()) });
    t.ip({ protocol: 47, payload: gre('0001', '0800') });
    t.ip({ protocol: 47, payload: hex('0000') });
    t.dropped({ EthernetUnknownType: 1, GreBadFlags: 1, GreTruncated: 1 });
  });

  it('RFC 2890 §2.1: the key tells tunnels of the same ends apart', () => {
    t = new Tunnelled({ type: 'gre', ...ends, key: 7 });
    t.ip({ protocol: 47, payload: concat(gre('2000', '0800', '00000007'), inner()) });
    assert.equal(toHex((t.outer()[0] as Uint8Array).subarray(20, 28)), '2000080000000007');
    t.ip({ protocol: 47, payload: concat(gre('2000', '0800', '00000008'), inner()) });
    t.ip({ protocol: 47, payload: concat(gre('0000', '0800'), inner()) });
    t.dropped({ TunnelUnknown: 2 });
  });

  it('RFC 2784 §2.1: the checksum covers header and payload', () => {
    t = new Tunnelled({ type: 'gre', ...ends, checksum: true });
    const whole = concat(gre('8000', '0800', '00000000'), inner());
    const sum = checksum(whole);
    whole.set([sum >> 8, sum & 255], 4);
    t.ip({ protocol: 47, payload: whole });
    assert.equal(checksum((t.outer()[0] as Uint8Array).subarray(20)), 0);
    whole[30] = (whole[30] as number) ^ 1;
    t.ip({ protocol: 47, payload: whole });
    t.dropped({ GreBadChecksum: 1 });
    // Payload that lies in a send buffer is covered too.
    const socket = t.stack.udp.openSocket(4);
    socket.sendTo(new Uint8Array(700).fill(7), 0, 700, address('10.8.0.9'), 9);
    assert.equal(checksum((t.outer()[0] as Uint8Array).subarray(20)), 0);
    socket.close();
  });

  it('RFC 2890 §2.2: numbers count up from 0; what is not above the last is dropped, also round the corner', () => {
    t = new Tunnelled({ type: 'gre', ...ends, sequence: true });
    const send = (sequence: string): void => t.ip({ protocol: 47, payload: concat(gre('1000', '0800', sequence), inner()) });
    for (const n of ['fffffffe', '00000000', '00000001']) send(n);
    assert.deepEqual(
      t.outer().map((p) => toHex(p.subarray(24, 28))),
      ['00000000', '00000001', '00000002'],
    );
    send('00000001');
    send('ffffffff');
    t.ip({ protocol: 47, payload: concat(gre('0000', '0800'), inner()) });
    t.dropped({ GreSequence: 3 });
  });
});

describe('tunnels: VXLAN (RFC 7348)', () => {
  let t: Tunnelled;
  afterEach(() => t.end());
  const vxlan = (rest: string, frame: Uint8Array): object => ({ protocol: 17, payload: udp(50_000, 4_789, concat(hex(rest), frame)) });

  it('is an Ethernet of its own: ARP, then IP, in UDP from a port that tells the flow', () => {
    t = new Tunnelled({ type: 'vxlan', ...ends, id: 0x123456 });
    assert.equal(t.tunnel.medium, 'ethernet');
    assert.equal(t.tunnel.mtu, 1_450);
    const who = hex(`ffffffffffff 020000000077 0806 0001 0800 06 04 0001 020000000077 0a080009 000000000000 0a080001`);
    t.ip(vxlan('08000000 12345600', who));
    const [answer] = t.outer();
    assert.ok(answer !== undefined);
    assert.equal(answer[9], 17);
    assert.ok((((answer[20] as number) << 8) | (answer[21] as number)) >= 49_152);
    assert.equal(toHex(answer.subarray(22, 24)), '12b5');
    assert.equal(toHex(answer.subarray(26, 28)), '0000', 'no checksum over IPv4 (§5)');
    assert.equal(toHex(answer.subarray(28, 42)), `0800000012345600020000000077`);
    const frame = concat(t.tunnel.mac, hex('020000000077 0800'), inner());
    t.ip(vxlan('08000000 12345600', frame));
    assert.equal(t.outer()[0]?.[20 + 8 + 8 + 14 + 20], 0, 'an echo reply');
    t.dropped({});
  });

  it('drops what is for another network, says no network, or comes from elsewhere', () => {
    t = new Tunnelled({ type: 'vxlan', ...ends, id: 5 });
    t.ip(vxlan('08000000 00000600', inner()));
    t.ip(vxlan('00000000 00000500', inner()));
    t.ip(vxlan('08000000', new Uint8Array(0)));
    t.ip({ src: '10.0.0.8', ...vxlan('08000000 00000500', inner()) });
    t.dropped({ TunnelUnknown: 2, VxlanBadFlags: 1, VxlanTruncated: 1 });
    t.quiet();
  });

  it('two networks share a port, which is free again when both are gone', () => {
    t = new Tunnelled({ type: 'vxlan', ...ends, id: 5 });
    const other = t.stack.stacking.tunnel('vx6', makeTunnel(t.stack.stacking.tunnels.ground, { type: 'vxlan', ...ends, id: 6 }));
    t.stack.removeInterface(other);
    t.stack.removeInterface(t.tunnel);
    const socket = t.stack.udp.openSocket(4);
    assert.equal(socket.bind(null, 4_789), 0);
    assert.throws(() => t.stack.stacking.tunnel('vx7', makeTunnel(t.stack.stacking.tunnels.ground, { type: 'vxlan', ...ends, id: 7 })), {
      code: 'EADDRINUSE',
    });
    socket.close();
  });
});

describe('tunnels: the encapsulation limit (RFC 2473 §4.1.1)', () => {
  it('goes down by one from tunnel to tunnel; used up, the sender is told where', () => {
    const t = new Bench6({ 'net.ipv6.conf.all.forwarding': 1 });
    const tunnel = t.stack.stacking.tunnel('tun0', makeTunnel(t.stack.stacking.tunnels.ground, { type: 'ip', local: 'fd00::1', remote: 'fd00::9' }));
    const { address: at, length } = prefix('fd77::/16');
    const rest = { gateway: null, source: null, metric: 0, mtu: 0, table: MAIN_TABLE, vrf: 0, protocol: 'static', type: 'unicast' } as const;
    t.stack.ip.routes.add({ family: 6, prefix: at, length, index: tunnel.index, ...rest });
    t.meet();
    t.frames();
    t.stack.ctx.counters.drops.fill(0);
    const options = (limit: string): Uint8Array => hex(`1100 0401 ${limit} 010100`);
    const send = (limit: string): void =>
      t.ether(0x86dd, ipv6({ src: 'fd00::9', dst: 'fd77::1', next: 60, payload: concat(options(limit), udp(9, 9)) }), t.mac);
    send('03');
    const out = t.frames().find((f) => f[20] === 60 && f[12] === 0x86);
    assert.equal(toHex((out as Uint8Array).subarray(54, 62)), '2900040102010100');
    t.ether(0x86dd, ipv6({ src: 'fd00::9', dst: 'fd77::1', next: 17, payload: udp(9, 9) }), t.mac);
    const fresh = t.frames().find((f) => f[20] === 60 && f[12] === 0x86);
    assert.equal(toHex((fresh as Uint8Array).subarray(54, 62)), '2900040104010100');
    t.dropped({});
    send('00');
    const problem = t.frames().find((f) => f[54] === 4);
    assert.equal(toHex((problem as Uint8Array).subarray(54, 56)), '0400');
    assert.equal(toHex((problem as Uint8Array).subarray(58, 62)), '0000002c', 'the octet of the limit');
    t.dropped({ TunnelLimit: 1 });
    t.end();
  });
});
