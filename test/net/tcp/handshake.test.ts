import assert from 'node:assert/strict';
import { TcpBench } from '../../support/tcp-bench.js';
import { both, established, ms } from '../../support/tcp-states.js';

describe('TCP: opening', () => {
  both('RFC 9293 §3.5 figure 6: active open', (family) => {
    const t = established({ family });
    assert.equal(t.socket.readiness() & 4, 4);
    t.dropped();
    t.end();
  });

  both('RFC 9293 §3.5 figure 6: passive open, then data both ways', (family) => {
    const t = new TcpBench({ family });
    t.listen();
    t.rx({ seq: 0, flags: 'S', mss: 1_000, sackOk: true, wscale: 7 });
    t.syn({ flags: 'SA', ack: 1, mss: family === 4 ? 1_460 : 1_440, sackOk: true, wscale: 7 });
    t.quiet();
    assert.equal(t.socket.accept(), null);
    t.rx({ seq: 1, ack: 1 });
    t.quiet();
    t.accepted();
    assert.equal(t.state, 'ESTABLISHED');
    t.rx({ seq: 1, ack: 1, flags: 'PA', data: 'hello' });
    t.tx({ seq: 1, ack: 6 });
    assert.equal(Buffer.from(t.read()).toString(), 'hello');
    t.write('world');
    t.tx({ seq: 1, ack: 6, flags: 'PA', data: 'world' });
    t.rx({ seq: 6, ack: 6 });
    t.quiet();
    t.dropped();
    t.end();
  });

  both('RFC 9293 §3.5 figure 7, MUST-10: both open at once', (family) => {
    const t = new TcpBench({ family });
    t.app(() => t.socket.connect(t.remote, t.remotePort));
    t.localPort = t.socket.localPort;
    t.syn({ flags: 'S' });
    t.rx({ seq: 0, flags: 'S', mss: 1_000 });
    t.tx({ seq: 0, ack: 1, flags: 'SA' });
    assert.equal(t.state, 'SYN-RECEIVED');
    t.rx({ seq: 1, ack: 1 });
    assert.equal(t.state, 'ESTABLISHED');
    t.quiet();
    t.end();
  });

  both('RFC 6298 §2.1: a SYN is sent again after 1, 2, 4 … s, and the attempt ends with ETIMEDOUT', (family) => {
    const t = new TcpBench({ family });
    t.app(() => t.socket.connect(t.remote, t.remotePort));
    t.syn({ flags: 'S' });
    for (let i = 0; i < 7; i++) {
      t.after(ms(1_000 * 2 ** i - 1));
      t.quiet();
      t.after(ms(1));
      t.tx({ flags: 'S', seq: 0 });
    }
    t.after(ms(120_000));
    t.quiet();
    assert.equal(t.state, 'CLOSED');
    assert.equal(t.socket.takeError(), 110);
    t.end();
  });
});
