import assert from 'node:assert/strict';
import { address } from '../../support/stacks.js';
import { Bench, concat, hex } from '../../support/wire.js';

/** A bare segment from 10.0.0.9, its checksum right. */
function segment(port: number, flags: number): Uint8Array {
  const header = concat(
    Uint8Array.of(0x10 + (port >> 8), port & 255),
    hex('0050 00000001 00000000'),
    Uint8Array.of(0x50, flags),
    hex('ffff 0000 0000'),
  );
  const pseudo = concat(hex('0a000009 0a000001 0006 0014'), header);
  let sum = 0;
  for (let i = 0; i < pseudo.length; i += 2) sum += ((pseudo[i] as number) << 8) | (pseudo[i + 1] as number);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  header.set([(~sum >> 8) & 255, ~sum & 255], 16);
  return header;
}
const FIN = 1;
const SYN = 2;

describe('TCP: bounds and nonsense, on a wire', () => {
  let t: Bench;
  afterEach(() => t.end());
  const listen = (sysctl: Record<string, unknown> = {}): { close(): void } => {
    t = new Bench(['10.0.0.1/24'], { sysctl });
    t.introduce();
    const listener = t.stack.tcp.openSocket(4);
    listener.bind(null, 80);
    listener.listen(16);
    return listener;
  };

  it('SYN and FIN in one segment mean nothing to a listener', () => {
    const listener = listen();
    t.ip({ protocol: 6, payload: segment(1, SYN | FIN) });
    t.dropped({ TcpBadFlags: 1 });
    t.quiet();
    listener.close();
  });

  it('past the limit on connections a SYN is dropped, and connect says so', () => {
    const listener = listen({ 'anystack.tcp_connections_max': 16, 'net.ipv4.tcp_syncookies': 0 });
    const sockets = Array.from({ length: 16 }, () => t.stack.tcp.openSocket(4));
    for (const socket of sockets) assert(socket.connect(address('10.0.0.9'), 7) <= 0);
    t.run();
    t.frames();
    const late = t.stack.tcp.openSocket(4);
    assert(late.connect(address('10.0.0.9'), 7) < 0);
    t.ip({ protocol: 6, payload: segment(2, SYN) });
    assert((t.stack.ctx.counters.dropped()['TcpConnectionsMax'] ?? 0) >= 1, JSON.stringify(t.stack.ctx.counters.dropped()));
    for (const socket of [...sockets, late]) socket.close();
    listener.close();
  });
});
