import assert from 'node:assert/strict';
import { millis, seconds } from '#src/base/time.js';
import type { TcpSocket } from '#src/net/socket/tcp-socket.js';
import { type LinkOptions, Simulation } from '#src/sim/index.js';

/** One sender that always has something to send. */
export interface Runner {
  readonly congestion: string;
  /** When it begins, ms. Default 0. */
  readonly start?: number;
}

/** What a runner came to, from `from` to `to` of the race. */
export interface Result {
  /** Bit/s that arrived. */
  readonly rate: number;
  /** Median of its smoothed round trip, ms. */
  readonly srtt: number;
}

/** Runs senders over one link for `span` seconds of virtual time; what the first `skip` seconds bring does not count. */
export function race(runners: readonly Runner[], link: LinkOptions, span: number, skip: number, seed = 1): Result[] {
  const sim = new Simulation({ seed });
  const [a, b] = [sim.stack('a'), sim.stack('b')];
  const to = sim.link(a, b, link).ends[1].v4;
  assert.ok(to !== null);
  sim.runSync(seconds(1));
  const data = new Uint8Array(16_384);
  const into = new Uint8Array(65_536);
  const got = runners.map(() => 0);
  const sockets: TcpSocket[] = [];
  const trips: number[][] = runners.map(() => []);
  runners.forEach((runner, i) => {
    const listener = b.core.tcp.openSocket(4);
    assert.equal(listener.bind(null, 5_000 + i) || listener.listen(1), 0);
    listener.onReady = () => {
      const socket = listener.accept();
      if (socket === null) return;
      socket.onReady = () => {
        for (let n = socket.read(into); n > 0; n = socket.read(into)) got[i] = (got[i] as number) + n;
      };
    };
    sim.clock.setTimeout(() => {
      const socket = a.core.tcp.openSocket(4);
      sockets[i] = socket;
      assert.equal(socket.setOption('TCP_CONGESTION', runner.congestion), 0);
      socket.onReady = () => {
        if (socket.state === 'ESTABLISHED') while (socket.write(data, 0, data.length) > 0);
      };
      socket.connect(to, 5_000 + i);
    }, runner.start ?? 0);
  });
  sim.runSync(seconds(skip));
  const before = [...got];
  for (let at = skip; at < span; at += 0.1) {
    sim.runSync(millis(100));
    sockets.forEach((socket, i) => {
      trips[i]?.push((socket.tcb?.rtt.srtt ?? 0) / 1_000);
    });
  }
  sim.close();
  return runners.map((_, i) => ({ rate: (((got[i] as number) - (before[i] as number)) * 8) / (span - skip), srtt: median(trips[i] as number[]) }));
}

function median(values: number[]): number {
  return values.sort((x, y) => x - y)[values.length >> 1] ?? 0;
}
