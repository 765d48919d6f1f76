import assert from 'node:assert/strict';
import { millis } from '#src/base/time.js';
import { both, established } from '../../support/tcp-states.js';

describe('TCP: what a connection waits for (tcp_info)', () => {
  both('busy_time counts while something is to be sent or in flight, rwnd_limited while the window is shut', (family) => {
    const t = established({ family, snd: { wnd: 2_000 } });
    const times = (): [number, number] => {
      const info = t.socket.info();
      return [(info?.busy_time ?? 0) / 1_000, (info?.rwnd_limited ?? 0) / 1_000];
    };
    t.after(millis(50));
    assert.deepEqual(times(), [0, 0]);
    t.write(1_000);
    t.after(millis(10));
    assert.deepEqual(times(), [10, 0]);
    t.rx({ ack: 1_001, wnd: 0 });
    t.after(millis(100));
    assert.deepEqual(times(), [10, 0], 'nothing to send');
    t.write(1_000);
    t.after(millis(30));
    assert.deepEqual(times(), [40, 30]);
    t.rx({ ack: 1_001, wnd: 2_000 });
    t.after(millis(5));
    t.rx({ ack: 2_001, wnd: 2_000 });
    t.after(millis(70));
    assert.deepEqual(times(), [45, 30]);
    t.sent.length = 0;
    t.end();
  });

  both('sndbuf_limited: all that the buffer holds is in flight, and the path would bear more', (family) => {
    const t = established({ family, options: { SO_SNDBUF: 2_304 } });
    t.write(10_000);
    t.after(millis(20));
    const info = t.socket.info();
    assert.deepEqual([info?.busy_time, info?.sndbuf_limited], [20_000, 20_000]);
    t.sent.length = 0;
    t.end();
  });
});
