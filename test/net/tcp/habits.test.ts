/** What a profile chooses among the things RFC 9293 leaves open. */
import assert from 'node:assert/strict';
import { runScript, type ScriptRun } from '#src/packetdrill/run-script.js';

const passes = (script: string, run: ScriptRun = {}): void =>
  assert.deepEqual(runScript(script, { strict: true, ...run }), { result: 'pass', reason: '' });

const LISTEN = '0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = 0\n';
const OPEN = `${LISTEN}+0 < S 0:0(0) win 10000 <mss 1000,sackOK>
+0 > S. 0:0(0) ack 1 <...>
+.01 < . 1:1(0) ack 1 win 10000
+0 accept(3, ..., ...) = 4
`;
const bsd = { profile: 'bsd' } as const;

describe('TCP: habits', () => {
  it('the window is half of the receive buffer, or all of it in whole segments', () => {
    passes(`${OPEN}+0 setsockopt(4, SOL_SOCKET, SO_RCVBUF, [20000], 4) = 0\n+0 getsockopt(4, SOL_SOCKET, SO_RCVBUF, [40000], [4]) = 0\n`);
    const answer = '> S. 0:0(0) ack 1 win 20000 <mss 1460,sackOK,eol,eol>';
    const open = OPEN.replace('0 socket', '0 `sysctl -w net.inet.tcp.recvspace=20000`\n+0 socket').replace('> S. 0:0(0) ack 1 <...>', answer);
    passes(`${open}+0 getsockopt(4, SOL_SOCKET, SO_RCVBUF, [20000], [4]) = 0\n`, bsd);
  });

  it('RFC 5961 §3.2, §4.2: a RST or SYN in the window draws a challenge, or resets', () => {
    passes(`${OPEN}+0 < R 2:2(0) win 100\n+0 > . 1:1(0) ack 1\n`);
    passes(`${OPEN}+0 \`sysctl -w net.inet.tcp.insecure_rst=1\`\n+0 < R 2:2(0) win 100\n+0 read(4, ..., 10) = -1 ECONNRESET (x)\n`);
    passes(`${OPEN}+0 \`sysctl -w net.inet.tcp.insecure_syn=1\`\n+0 < S 2:2(0) win 100\n+0 > R. 1:1(0) ack 1 win 0\n`);
  });

  it('SYN with FIN is dropped, or taken as a SYN (RFC 9293 §3.10.7.2 third)', () => {
    passes(`${LISTEN}+0 < SF 0:0(0) win 10000 <mss 1000>\n`);
    passes(`${LISTEN}+0 < SF 0:0(0) win 10000 <mss 1000>\n+0 > S. 0:0(0) ack 1 <...>\n`, bsd);
  });

  it('what a RST says to the application in CLOSE-WAIT', () => {
    const reset = `${OPEN}+0 < F. 1:1(0) ack 1 win 100\n+0 > . 1:1(0) ack 2\n+0 < R 2:2(0) win 100\n+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [WHAT], [4]) = 0\n`;
    passes(reset.replace('WHAT', 'EPIPE'));
    passes(reset.replace('WHAT', 'ECONNRESET'), bsd);
  });

  it('ACKs repeat the FIN while it is unacknowledged, or do not', () => {
    const closing = `${OPEN}+0 shutdown(4, SHUT_WR) = 0\n+0 > F. 1:1(0) ack 1\n+.01 < F. 1:1(0) ack 1 win 100\n`;
    passes(`${closing}+0 > . 2:2(0) ack 2\n`);
    passes(`${closing}+0 > F. 1:1(0) ack 2\n`, bsd);
  });

  it('the second segment is acknowledged at once when it fills one, or in any case', () => {
    const two = `${OPEN}+0 < P. 1:3(2) ack 1 win 100\n+0 < P. 3:5(2) ack 1 win 100\n`;
    passes(`${two}*  > . 1:1(0) ack 3\n*  > . 1:1(0) ack 5\n`);
    passes(`${two}+0 > . 1:1(0) ack 5\n`, bsd);
  });

  it('bursts end with PSH, or only what was written does', () => {
    const burst = `${OPEN}+0 write(4, ..., 8000) = 8000\n`;
    const strict = `--strict_segments\n${burst}`;
    passes(
      `${strict}+0 > . 1:1001(1000) ack 1\n+0 > P. 1001:2001(1000) ack 1\n+0 > . 2001:3001(1000) ack 1\n+0 > P. 3001:4001(1000) ack 1\n+0 > . 4001:5001(1000) ack 1\n+0 > P. 5001:6001(1000) ack 1\n+0 > . 6001:7001(1000) ack 1\n+0 > P. 7001:8001(1000) ack 1\n`,
    );
    passes(
      `${strict}${[0, 1, 2, 3, 4, 5, 6].map((n) => `+0 > . ${n}001:${n + 1}001(1000) ack 1\n`.replace(' 0001:', ' 1:')).join('')}+0 > P. 7001:8001(1000) ack 1\n`,
      bsd,
    );
  });

  it('RFC 2883 §4: the first octets that came twice are reported, and the block they lie in behind them', () => {
    const gap = `${OPEN}+0 < . 201:301(100) ack 1 win 100\n+0 > . 1:1(0) ack 1 <nop,nop,sack 201:301>\n+0 < . 401:501(100) ack 1 win 100\n+0 > . 1:1(0) ack 1 <nop,nop,sack 401:501 201:301>\n`;
    passes(`${gap}+0 < . 201:251(50) ack 1 win 100\n+0 > . 1:1(0) ack 1 <nop,nop,sack 201:251 201:301 401:501>\n`);
    passes(`${gap}+0 < . 151:251(100) ack 1 win 100\n+0 > . 1:1(0) ack 1 <nop,nop,sack 201:251 151:301 401:501>\n`);
    passes(`${gap}+0 < . 1:301(300) ack 1 win 100\n+0 > . 1:1(0) ack 301 <nop,nop,sack 201:301 401:501>\n`);
  });
});
