import assert from 'node:assert/strict';
import { both, established, ms } from '../../support/tcp-states.js';

describe('TCP: timers', () => {
  both('RFC 6298 §5: RTO doubles, then the connection ends with ETIMEDOUT after about 924.6 s', (family) => {
    const t = established({ family, sysctl: { 'net.ipv4.tcp_early_retrans': 0 } });
    const start = t.clock.now;
    t.write(100);
    t.tx({ data: 100, flags: 'PA' });
    let gap = 0;
    let last = start;
    while (t.state !== 'CLOSED' && t.clock.now - start < 3e9) {
      t.clock.step();
      for (const s of t.sent.splice(0)) {
        if (s.flags.includes('R')) continue;
        assert.ok(s.time - last >= gap || s.time - last >= 120e6 - 1, 'never sooner than the last time');
        gap = s.time - last;
        last = s.time;
      }
    }
    assert.equal(t.socket.takeError(), 110);
    assert.ok(t.clock.now - start > 900e6 && t.clock.now - start < 1_100e6, `${t.clock.now - start}`);
    t.end();
  });

  both('TCP_USER_TIMEOUT ends it earlier (RFC 5482)', (family) => {
    const t = established({ family, options: { TCP_USER_TIMEOUT: 3_000 } });
    t.write(100);
    t.after(ms(2_990));
    assert.equal(t.state, 'ESTABLISHED');
    t.after(ms(20));
    assert.equal(t.state, 'CLOSED');
    assert.equal(t.socket.takeError(), 110);
    t.end();
  });

  both('RFC 9293 §3.8.3: after R1 the next hop is doubted, and an ICMP soft error is what the end reports', (family) => {
    const t = established({ family, options: { TCP_USER_TIMEOUT: 20_000 } });
    t.write(100);
    t.icmp({ seq: 1, errno: 113, hard: false });
    assert.equal(t.state, 'ESTABLISHED', 'MUST-56: a soft error ends nothing');
    t.after(ms(40_000));
    assert.ok(t.ip.suspected.length > 0);
    assert.equal(t.socket.takeError(), 113);
    t.end();
  });

  both('MUST-24 to MUST-29, SHLD-8: keep-alive is off until asked for, probes an idle connection and gives up', (family) => {
    const off = established({ family });
    off.after(ms(8_000_000));
    off.quiet();
    off.end();
    const t = established({ family, options: { SO_KEEPALIVE: 1, TCP_KEEPIDLE: 60, TCP_KEEPINTVL: 10, TCP_KEEPCNT: 3 } });
    t.after(ms(59_900));
    t.quiet();
    t.after(ms(200));
    t.tx({ seq: 0, ack: 1 });
    t.rx({});
    t.after(ms(59_000));
    t.quiet();
    t.after(ms(1_100));
    for (let i = 0; i < 3; i++) {
      t.tx({ seq: 0, ack: 1 });
      t.quiet();
      t.after(ms(10_000));
    }
    t.tx({ flags: 'RA' });
    assert.equal(t.socket.takeError(), 110);
    t.end();
  });

  both('a keep-alive of the peer is answered', (family) => {
    const t = established({ family });
    t.rx({ seq: 0 });
    t.tx({ ack: 1 });
    t.rx({ seq: 0, data: new Uint8Array(1) });
    t.quiet();
    t.after(ms(600));
    t.rx({ seq: 0, data: new Uint8Array(1) });
    t.tx({ ack: 1 });
    t.end();
  });

  both('RFC 6298 §2: RTO follows the round trip, and is never below it plus 200 ms', (family) => {
    const t = established({ family, sysctl: { 'anystack.tcp_quick_acks': 0 } });
    let seq = 1;
    for (let i = 0; i < 30; i++) {
      t.write(100);
      t.after(ms(80));
      seq += 100;
      t.rx({ ack: seq });
    }
    const info = t.socket.info();
    assert.ok(info !== null && Math.abs(info.rtt - 80_000) < 5_000, `${info?.rtt}`);
    assert.ok(info.rto >= info.rtt + 199_000 && info.rto < 320_000, `${info.rto}`);
    t.sent.length = 0;
    t.end();
  });

  both('RFC 6298 §3: what was sent again is not measured', (family) => {
    const t = established({ family, sysctl: { 'net.ipv4.tcp_early_retrans': 0 } });
    const before = t.tcb.rtt.srtt;
    t.write(100);
    t.after(ms(5_000));
    t.rx({ ack: 101 });
    assert.equal(t.tcb.rtt.srtt, before);
    t.sent.length = 0;
    t.end();
  });
});
