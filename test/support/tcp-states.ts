import assert from 'node:assert/strict';
import { type Micros, millis } from '#src/base/time.js';
import { type BenchOptions, TcpBench, type TestSegment } from './tcp-bench.js';

export interface EstablishedOptions extends BenchOptions {
  /** Numbers our next octet this, and gives the peer this window. Defaults 1 and 65,535. */
  snd?: { nxt?: number; wnd?: number };
  /** Numbers the peer's next octet this, and gives us this receive window. */
  rcv?: { nxt?: number; wnd?: number };
  mss?: number;
  wscale?: number;
  sack?: boolean;
  timestamps?: boolean;
  ecn?: boolean;
  /** Between SYN and SYN-ACK: the first round trip measured. Default 0. */
  rtt?: Micros;
  /** Set on the socket before it connects. */
  options?: Record<string, number | string>;
}

/** A connection opened by us, in ESTABLISHED, nothing in flight. */
export function established(o: EstablishedOptions = {}): TcpBench {
  const t = new TcpBench(o);
  t.sndBase = (o.snd?.nxt ?? 1) - 1;
  t.nxt = t.sndBase + 1;
  t.rcvBase = (o.rcv?.nxt ?? 1) - 1;
  if (o.rcv?.wnd !== undefined) {
    const buffer = Math.max(4_096, 2 * o.rcv.wnd);
    t.ctx.sysctl.set('net.ipv4.tcp_rmem', [4_096, buffer, buffer]);
    t.socket.setOption('TCP_WINDOW_CLAMP', o.rcv.wnd);
  }
  for (const [name, value] of Object.entries(o.options ?? {})) assert.equal(t.socket.setOption(name, value), 0, name);
  t.socket.onReady = () => {};
  assert.equal(t.socket.connect(t.remote, t.remotePort), -115);
  t.localPort = t.socket.localPort;
  t.clock.run(t.clock.now);
  t.syn({ flags: o.ecn === true ? 'SEW' : 'S' });
  if (o.rtt !== undefined) t.after(o.rtt);
  const wnd = o.snd?.wnd ?? 65_535;
  t.peer = { seq: t.rcvBase + 1, ack: t.sndBase + 1, wnd, ts: 1_000, timestamps: o.timestamps === true };
  const options: TestSegment = { mss: o.mss ?? 1_000, ts: o.timestamps === true ? [1_000, 'echo'] : null };
  if (o.wscale !== undefined) options.wscale = o.wscale;
  if (o.sack !== false) options.sackOk = true;
  t.rx({ seq: t.rcvBase, flags: o.ecn === true ? 'SAE' : 'SA', wnd, ...options });
  t.tx({ seq: t.sndBase + 1, ack: t.rcvBase + 1 });
  t.quiet();
  assert.equal(t.state, 'ESTABLISHED');
  return t;
}

/** The same test for IPv4 and IPv6. */
export function both(title: string, test: (family: 4 | 6) => void): void {
  for (const family of [4, 6] as const) it(`${title} (IPv${family})`, () => test(family));
}

export const ms = millis;

/** States a connection can be brought to. */
export const synchronized = ['ESTABLISHED', 'FIN-WAIT-1', 'FIN-WAIT-2', 'CLOSE-WAIT', 'CLOSING', 'LAST-ACK'] as const;

/** A connection in the given state. Our next octet is `t.nxt`, the peer's `t.peer.seq`; nothing is pending. */
export function inState(state: string, o: EstablishedOptions = {}): TcpBench {
  if (state === 'SYN-RECEIVED') return crossing(o);
  const t = established(o);
  const fin = (): void => {
    t.app(() => t.socket.shutdown('write'));
    t.tx({ flags: 'FA', seq: t.nxt });
    t.nxt++;
  };
  const peerFin = (): void => {
    t.rx({ flags: 'FA' });
    t.peer.seq++;
    t.tx({ ack: t.peer.seq });
  };
  switch (state) {
    case 'FIN-WAIT-1':
      fin();
      break;
    case 'FIN-WAIT-2':
    case 'TIME-WAIT':
      fin();
      t.peer.ack = t.nxt;
      t.rx({});
      if (state === 'TIME-WAIT') peerFin();
      break;
    case 'CLOSE-WAIT':
      peerFin();
      break;
    case 'CLOSING':
      fin();
      peerFin();
      break;
    case 'LAST-ACK':
      peerFin();
      fin();
      break;
  }
  t.quiet();
  assert.equal(t.state, state);
  return t;
}

/** SYN-RECEIVED by way of crossing SYNs. */
function crossing(o: EstablishedOptions): TcpBench {
  const t = new TcpBench(o);
  t.socket.onReady = () => {};
  t.app(() => t.socket.connect(t.remote, t.remotePort));
  t.localPort = t.socket.localPort;
  t.syn({ flags: 'S' });
  t.rx({ seq: 0, flags: 'S', mss: 1_000, sackOk: true });
  t.tx({ seq: 0, ack: 1, flags: 'SA' });
  t.quiet();
  return t;
}
