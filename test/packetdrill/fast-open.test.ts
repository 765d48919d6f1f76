import assert from 'node:assert/strict';
import { runScript } from '#src/packetdrill/run-script.js';

/** Asks for a cookie, then sends data with the SYN. */
const LINUX = `
0    socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0...0.1 sendto(3, ..., 100, MSG_FASTOPEN, ..., ...) = 100
+0   > S 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7,FO,nop,nop>
+.1  < S. 0:0(0) ack 1 win 32768 <mss 1000,sackOK,FO 0102030405060708,nop,nop>
+0   > P. 1:101(100) ack 1
+.1  < R. 1:1(0) ack 101 win 0
+.1  socket(..., SOCK_STREAM, IPPROTO_TCP) = 4
+0...0.1 sendto(4, ..., 100, MSG_FASTOPEN, ..., ...) = 100
+0   > S 0:100(100) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7,FO 0102030405060708,nop,nop>
+.1  < S. 0:0(0) ack 101 win 32768 <mss 1000>
+0   > . 101:101(0) ack 1
`;
/** As BSD says it: the option first, and sendto that takes the data before the handshake. */
const BSD = LINUX.replaceAll(
  /\.\.\.0\.1 sendto\((.), \.\.\., 100, MSG_FASTOPEN/g,
  '   setsockopt($1, IPPROTO_TCP, TCP_FASTOPEN, [1], 4) = 0\n+0   sendto($1, ..., 100, 0',
);

describe('packetdrill: TCP Fast Open', () => {
  const normalize = true;
  it('sendto with MSG_FASTOPEN connects and writes', () => assert.deepEqual(runScript(LINUX, { normalize }), { result: 'pass', reason: '' }));
  it('sendto after TCP_FASTOPEN does, as on BSD', () => assert.deepEqual(runScript(BSD, { normalize }), { result: 'pass', reason: '' }));
  it('a blocking sendto lasts as long as the handshake', () => {
    assert.match(
      runScript(LINUX.replace('+0...0.1 sendto(4', '+0...0.2 sendto(4'), { normalize }).reason,
      /sendto: expected to end at 0\.5.*it ended at 0\.4/,
    );
  });
  it('negative control: another cookie, other octets', () => {
    assert.match(
      runScript(LINUX.replace(/0708,nop,nop>\n\+\.1 {2}< S\. 0:0\(0\) ack 101/, '0709,nop,nop>\n+.1  < S. 0:0(0) ack 101'), { normalize }).reason,
      /options/,
    );
    assert.match(runScript(LINUX.replace('0:100(100)', '0:99(99)'), { normalize }).reason, /payload: expected 99, got 100/);
  });
  it('packets of an earlier connection are passed over unless the run is strict', () => {
    const script = LINUX.replace('+.1  < R. 1:1(0) ack 101 win 0\n', '').replace('+.1  socket', '+.9  socket');
    assert.equal(runScript(script, { normalize }).result, 'pass');
    assert.match(runScript(script, { normalize, strict: true }).reason, /nobody asked for|earlier connection/);
  });
});
