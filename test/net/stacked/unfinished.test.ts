import assert from 'node:assert/strict';
import { Checksum, type Packet } from '#src/base/packet.js';
import { GreTunnel } from '#src/net/stacked/gre.js';
import { Protocol } from '#src/wire/protocol.js';
import { address } from '../../support/stacks.js';
import { TwoWires } from '../../support/two-wires.js';
import { checksum, concat, ipv4, udp } from '../../support/wire.js';

describe('what the host on the other end of a TAP leaves unfinished', () => {
  let t: TwoWires;
  beforeEach(() => {
    t = new TwoWires(['192.0.2.1/24'], ['10.1.0.1/24']);
    const { stack } = t;
    const options = { local: address('192.0.2.1'), remote: address('192.0.2.2'), ttl: 0, tos: -1, mtu: 0, vrf: 0 };
    stack.stacking.tunnel('gre', new GreTunnel(stack.stacking.tunnels.ground, options, { key: -1, checksum: true, sequence: false }));
  });
  afterEach(() => t.end());

  /** GRE with an inner datagram, handed up as IP does, `start` octets on being still to be summed. */
  function give(inner: Uint8Array, gre: readonly number[], start: number, offset: number): void {
    const { stack, a } = t;
    const packet = stack.ctx.packet() as Packet;
    const bytes = concat(Uint8Array.from(gre), inner);
    packet.bytes.set(bytes, packet.head);
    packet.tail = packet.head + bytes.length;
    packet.transport = packet.head;
    packet.network = packet.head - 20;
    packet.family = 4;
    packet.protocol = Protocol.Gre;
    packet.source.copy(address('192.0.2.2'));
    packet.destination.copy(address('192.0.2.1'));
    packet.inIndex = a.index;
    packet.checksum = Checksum.Partial;
    packet.csumStart = packet.head + start;
    packet.csumOffset = offset;
    stack.ip.transports[Protocol.Gre]?.input(packet);
    stack.interfaces.named('b')?.flush();
    t.run();
  }
  const inner = ipv4({ src: '10.9.0.1', dst: '10.1.0.9', ttl: 9, payload: udp(1, 2, 'x') });

  it("GRE's own checksum (RFC 2784 §2.3)", () => {
    give(inner, [0x80, 0, 8, 0, 0, 0, 0, 0], 0, 4);
    assert.equal(t.one('b')[8], 8);
    assert.deepEqual(t.dropped(), {});
  });

  it('that of the packet within: it is finished when it leaves', () => {
    const start = 8 + 20;
    const pseudo = 0x0a09 + 0x0001 + 0x0a01 + 0x0009 + 17 + 9;
    const message = Uint8Array.from(inner);
    message.set([pseudo >> 8, pseudo & 255], 26);
    const whole = concat(Uint8Array.of(0x80, 0, 8, 0, 0, 0, 0, 0), message);
    const sum = checksum(whole);
    give(message, [0x80, 0, 8, 0, sum >> 8, sum & 255, 0, 0], start, 6);
    const out = t.one('b');
    assert.equal(checksum(concat(out.subarray(12, 20), Uint8Array.of(0, 17, 0, 9), out.subarray(20))), 0);
  });
});
