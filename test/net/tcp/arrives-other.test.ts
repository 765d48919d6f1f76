import assert from 'node:assert/strict';
import { TcpBench } from '../../support/tcp-bench.js';
import { both, established, inState, ms } from '../../support/tcp-states.js';

describe('TCP: SEGMENT ARRIVES, CLOSED, LISTEN, SYN-SENT, TIME-WAIT', () => {
  both('CLOSED, RFC 9293 §3.10.7.1: RST with the ACK as sequence number, or acknowledging the segment; none for a RST', (family) => {
    const t = new TcpBench({ family });
    t.rx({ seq: 5, ack: 77, data: 'x' });
    t.tx({ seq: 77, flags: 'R' });
    t.dropped('TcpNoPort');
    t.rx({ seq: 5, flags: 'S' });
    t.tx({ seq: 0, ack: 6, flags: 'RA' });
    t.dropped('TcpNoPort');
    t.rx({ seq: 5, flags: 'R' });
    t.quiet();
    t.dropped('TcpRstNoConnection');
    t.end();
  });

  both('LISTEN, §3.10.7.2: a RST is ignored, an ACK is reset, anything without SYN is dropped', (family) => {
    const t = new TcpBench({ family });
    t.listen();
    t.rx({ seq: 5, flags: 'R' });
    t.quiet();
    t.dropped('TcpRstNoConnection');
    t.rx({ seq: 5, ack: 9 });
    t.tx({ seq: 9, flags: 'R' });
    t.dropped('TcpListenNoSyn');
    t.rx({ seq: 5, flags: 'F' });
    t.quiet();
    t.dropped('TcpListenNoSyn');
    t.end();
  });

  const synSent = (family: 4 | 6): TcpBench => {
    const t = new TcpBench({ family });
    t.socket.onReady = () => {};
    t.app(() => t.socket.connect(t.remote, t.remotePort));
    t.localPort = t.socket.localPort;
    t.syn({ flags: 'S' });
    return t;
  };

  both('SYN-SENT, §3.10.7.3 first: a bad ACK is reset, unless it is a RST', (family) => {
    const t = synSent(family);
    t.rx({ seq: 0, ack: 5, flags: 'SA' });
    t.tx({ seq: 5, flags: 'R' });
    t.rx({ seq: 0, ack: 0, flags: 'RA' });
    t.quiet();
    t.dropped('TcpBadAck', 'TcpBadAck');
    assert.equal(t.state, 'SYN-SENT');
    t.end();
  });

  both('SYN-SENT second: a RST with a good ACK refuses, one without is dropped', (family) => {
    const t = synSent(family);
    t.rx({ seq: 0, flags: 'R' });
    t.dropped('TcpRstOutOfWindow');
    assert.equal(t.state, 'SYN-SENT');
    t.rx({ seq: 0, ack: 1, flags: 'RA' });
    assert.equal(t.state, 'CLOSED');
    assert.equal(t.socket.takeError(), 111);
    t.quiet();
    t.end();
  });

  both('SYN-SENT fifth: neither SYN nor RST is dropped', (family) => {
    const t = synSent(family);
    t.rx({ seq: 0, ack: 1, data: 'x' });
    t.quiet();
    t.dropped('TcpNoAck');
    t.end();
  });

  both('SYN-SENT fourth: text with the SYN-ACK is delivered', (family) => {
    const t = synSent(family);
    t.rx({ seq: 0, ack: 1, flags: 'SA', data: new Uint8Array([1, 2, 3]) });
    t.tx({ seq: 1, ack: 4 });
    assert.deepEqual([...t.read()], [1, 2, 3]);
    t.end();
  });

  both('TIME-WAIT: a FIN again draws the ACK and begins 2 MSL anew', (family) => {
    const t = inState('TIME-WAIT', { family });
    t.after(ms(50_000));
    t.rx({ seq: t.peer.seq - 1, flags: 'FA' });
    t.tx({ seq: t.nxt, ack: t.peer.seq });
    t.after(ms(50_000));
    assert.equal(t.tcp.timeWaits.count, 1);
    t.after(ms(10_100));
    assert.equal(t.tcp.timeWaits.count, 0);
    t.quiet();
    t.end();
  });

  both('RFC 1337: a RST does not end TIME-WAIT, unless asked to', (family) => {
    const t = inState('TIME-WAIT', { family });
    t.rx({ flags: 'R' });
    assert.equal(t.tcp.timeWaits.count, 1);
    t.ctx.sysctl.set('net.ipv4.tcp_rfc1337', 0);
    t.rx({ flags: 'R' });
    assert.equal(t.tcp.timeWaits.count, 0);
    t.quiet();
    t.end();
  });
});

describe('TCP: SEGMENT ARRIVES, otherwise (RFC 9293 §3.10.7.4)', () => {
  describe('sixth: the URG bit', () => {
    both('MUST-30 to MUST-33: urgent data is announced, counted and read in its place', (family) => {
      const t = established({ family });
      let told = 0;
      t.socket.onReady = () => told++;
      t.rx({ flags: 'UPA', data: 'normal!', up: 7 });
      assert.ok(told > 0);
      assert.equal(t.socket.readiness() & 2, 2);
      assert.equal(t.socket.urgentOctets, 7);
      const into = new Uint8Array(3);
      t.app(() => t.socket.read(into));
      assert.equal(t.socket.urgentOctets, 4);
      t.read();
      assert.equal(t.socket.urgentOctets, -1);
      t.end();
    });

    both('MUST-62: what we send as urgent points behind its last octet', (family) => {
      const t = established({ family });
      t.app(() => t.socket.writeUrgent(Buffer.from('abc')));
      t.tx({ flags: 'PUA', seq: 1, data: 'abc', up: 3 });
      t.rx({ ack: 4 });
      t.write('d');
      t.tx({ flags: 'PA', data: 'd' });
      t.end();
    });
  });
});
