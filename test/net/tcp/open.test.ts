import assert from 'node:assert/strict';
import { v4 } from '#src/base/address.js';
import { TcpBench } from '../../support/tcp-bench.js';
import { both, established, ms } from '../../support/tcp-states.js';

describe('TCP: the user interface (RFC 9293 §3.9.1) and IP below it (§3.9.2)', () => {
  both('MUST-41, MUST-42: listening and connecting from one port do not disturb each other', (family) => {
    const t = new TcpBench({ family });
    const listener = t.tcp.openSocket(family);
    listener.setOption('SO_REUSEADDR', 1);
    assert.equal(listener.bind(null, 8_080), 0);
    assert.equal(listener.listen(1), 0);
    t.socket.setOption('SO_REUSEADDR', 1);
    assert.equal(t.socket.bind(t.local, 8_081), 0);
    t.app(() => t.socket.connect(t.remote, 4_000));
    t.localPort = 8_081;
    t.syn({ flags: 'S' });
    const second = t.tcp.openSocket(family);
    assert.equal(second.bind(null, 8_082), 0);
    assert.equal(second.listen(1), 0);
    t.rx({ seq: 0, flags: 'SA', ack: 1, mss: 1_000 });
    t.tx({ seq: 1, ack: 1 });
    assert.equal(t.state, 'ESTABLISHED');
    t.end();
  });

  both('MUST-43, MUST-44, MUST-45: the local address is the given one, or the one IP chooses, and stays', (family) => {
    const given = new TcpBench({ family });
    assert.equal(given.socket.bind(given.local, 5_555), 0);
    given.app(() => given.socket.connect(given.remote, 80));
    assert.equal(given.sent[0]?.fromPort, 5_555);
    given.sent.length = 0;
    given.end();
    const t = established({ family });
    assert.ok(t.socket.localAddress.equals(t.local));
    t.end();
  });

  it('MUST-46: no connection to a group or a broadcast', () => {
    const t = new TcpBench();
    assert.equal(t.socket.connect(v4(0xe0000001 | 0), 80), -101);
    assert.equal(t.socket.connect(v4(-1), 80), -101);
    t.end();
  });

  it('MUST-57, MUST-63: segments to or from groups, broadcasts and nobody are dropped in silence', () => {
    for (const bad of [v4(0xe0000001 | 0), v4(-1)]) {
      const t = new TcpBench();
      t.listen();
      t.remote.copy(bad);
      try {
        t.rx({ seq: 0, flags: 'S', mss: 1_000 });
      } finally {
        t.remote.setV4(0x0a000002);
      }
      t.quiet();
      t.dropped('TcpBadAddress');
      t.end();
    }
  });

  both('SHLD-25, MUST-47, SHLD-9: soft errors and long silence are there to be seen, and go away with progress', (family) => {
    const t = established({ family });
    let told = 0;
    t.write(100);
    t.socket.onReady = () => told++;
    t.icmp({ seq: 1, errno: 113 });
    assert.equal(told, 1);
    assert.equal(t.socket.softError, 113);
    t.rx({ ack: 101 });
    assert.equal(t.socket.softError, 0);
    t.write(100);
    t.after(ms(10_000));
    assert.equal(t.socket.softError, 110);
    t.rx({ ack: 201 });
    assert.equal(t.socket.softError, 0);
    t.sent.length = 0;
    t.end();
  });

  both('MUST-48, SHLD-21, SHLD-22, MUST-49: DSCP and TTL are the application’s, at any time', (family) => {
    const t = established({ family, options: { IP_TOS: 0x28 } });
    const ttls: number[] = [];
    const { sink } = t.ip;
    t.ip.sink = (packet) => {
      ttls.push(packet.ttl);
      sink(packet);
    };
    t.write(10);
    assert.equal(t.sent.shift()?.trafficClass, 0x28);
    t.app(() => t.socket.setOption('IP_TOS', 0xb8));
    t.app(() => t.socket.setOption('IP_TTL', 7));
    t.rx({ ack: 11 });
    t.write(10);
    assert.equal(t.sent.shift()?.trafficClass, 0xb8);
    assert.equal(ttls.at(-1), 7);
    t.end();
  });

  both('MAY-15, MAY-16: MSG_MORE holds a short segment back for what follows, for a while', (family) => {
    const t = established({ family });
    t.app(() => t.socket.write(Buffer.from('head'), 0, 4, true));
    t.quiet();
    t.app(() => t.socket.write(Buffer.from('body')));
    t.tx({ flags: 'PA', data: 'headbody' });
    t.rx({ ack: 9 });
    t.app(() => t.socket.write(Buffer.from('head'), 0, 4, true));
    t.quiet();
    t.after(ms(1_100));
    t.tx({ data: 'head' });
    t.end();
  });

  both('MUST-3: a wrong checksum is dropped', (family) => {
    const t = established({ family });
    const { input } = t.tcp;
    t.tcp.input = (packet) => {
      packet.bytes[packet.tail - 1] = ((packet.bytes[packet.tail - 1] as number) + 1) & 0xff;
      input.call(t.tcp, packet);
    };
    t.rx({ data: 'x' });
    t.quiet();
    t.dropped('TcpBadChecksum');
    t.end();
  });

  both('MUST-8, SHLD-1: ISNs follow the clock and differ from flow to flow, RFC 6528 §3', (family) => {
    const t = new TcpBench({ family });
    const { secrets } = t.tcp;
    const at = (now: number, port: number): number => secrets.isn(t.local, t.remote, port, 80, now);
    assert.equal((at(4_000_000, 1) - at(0, 1)) | 0, 1_000_000);
    assert.notEqual(at(0, 1), at(0, 2));
    t.end();
  });

  both('MUST-69: what follows the end of options is zero', (family) => {
    const t = new TcpBench({ family, sysctl: { 'anystack.tcp_syn_layout': 'bsd', 'net.ipv4.tcp_timestamps': 0 } });
    let options = new Uint8Array(0);
    const { sink } = t.ip;
    t.ip.sink = (packet) => {
      options = packet.bytes.slice(packet.head + 20, packet.tail);
      sink(packet);
    };
    t.app(() => t.socket.connect(t.remote, 80));
    const end = options.indexOf(0, 8);
    assert.ok(end > 0 && options.length % 4 === 0);
    assert.ok(options.subarray(end).every((x) => x === 0));
    t.sent.length = 0;
    t.end();
  });

  both('SHLD-2: a RST may carry data', (family) => {
    const t = established({ family });
    t.rx({ flags: 'R', data: 'because' });
    assert.equal(t.state, 'CLOSED');
    assert.equal(t.socket.takeError(), 104);
    t.end();
  });

  both('MUST-55: a source quench changes nothing (RFC 6633)', (family) => {
    const t = established({ family });
    t.write(3_000);
    const { cwnd } = t.tcb.snd;
    t.icmp({ seq: 1, kind: 'source-quench', errno: 0 });
    assert.equal(t.tcb.snd.cwnd, cwnd);
    assert.equal(t.socket.softError, 0);
    t.sent.length = 0;
    t.end();
  });
});
