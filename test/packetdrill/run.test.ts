import assert from 'node:assert/strict';
import { runScript } from '#src/packetdrill/run-script.js';

/** A connection by LISTEN, some data both ways, an end. Each line is altered below. */
const SERVER = `
0    socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0   setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
+0   bind(3, ..., ...) = 0
+0   listen(3, 1) = 0
+.1  < S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop,nop,wscale 7>
+0   > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK,nop,wscale 7>
+.1  < . 1:1(0) ack 1 win 257
+0   accept(3, ..., ...) = 4
+0   < P. 1:501(500) ack 1 win 257
+0   > . 1:1(0) ack 501
+0   read(4, ..., 1000) = 500
+.01 write(4, ..., 1500) = 1500
+0   > P. 1:1501(1500) ack 501
+.05 < . 501:501(0) ack 1501 win 257
+0   close(4) = 0
+0   > F. 1501:1501(0) ack 501
`;
const V6 = (script: string): string => `--ip_version=ipv6\n${script.replace('mss 1460', 'mss 1440')}`;

const passes = (script: string): void => assert.deepEqual(runScript(script, { strict: true }), { result: 'pass', reason: '' });
const fails = (script: string, why: RegExp): void => {
  const { result, reason } = runScript(script, { strict: true });
  assert.equal(result, 'fail', `it should fail with ${why}`);
  assert.match(reason, why);
};
const skips = (script: string, why: RegExp): void => {
  const { result, reason } = runScript(script);
  assert.equal(result, 'skip', reason);
  assert.match(reason, why);
};
const altered = (from: string | RegExp, to: string, script = SERVER): string => {
  const other = script.replace(from, to);
  assert.notEqual(other, script);
  return other;
};

for (const [family, script] of [
  ['IPv4', SERVER],
  ['IPv6', V6(SERVER)],
] as const) {
  describe(`packetdrill: scripts over ${family}`, () => {
    it('passes what the stack does', () => passes(script));

    it('negative control: a script altered in one field fails', () => {
      fails(altered(/mss 14\d0/, 'mss 1400', script), /options: expected <mss 1400/);
      fails(altered('> S. 0:0(0) ack 1', '> S. 0:0(0) ack 2', script), /acknowledgement: expected 2, got 1/);
      fails(altered('wscale 7>\n+.1 ', 'wscale 8>\n+.1 ', script), /options/);
      fails(altered('> S. 0', '> SE. 0', script), /flags: expected SE\., got S\./);
      fails(altered('> . 1:1(0) ack 501', '> . 1:1(0) ack 502', script), /acknowledgement: expected 502, got 501/);
      fails(altered('+0   > . 1:1(0) ack 501\n', '', script), /expected P\.|nobody asked for/);
      fails(altered('> P. 1:1501(1500)', '> P. 2:1502(1500)', script), /sequence number: expected 2, got 1/);
      fails(altered('> P. 1:1501(1500)', '> P. 1:1401(1400)', script), /payload: expected 1400/);
      fails(altered('> P. 1:1501(1500) ack 501', '> P. 1:1501(1500) ack 501 win 7', script), /window: expected 7/);
      fails(altered('+0   > P.', '+.1  > P.', script), /expected at 0\.31.*came at 0\.21/);
      fails(altered('= 500', '= 501', script), /read: expected 501, got 500/);
      fails(altered('accept(3, ..., ...) = 4', 'accept(3, ..., ...) = -1 EAGAIN (x)', script), /accept: expected -1 EAGAIN/);
      fails(`${script}+0 > . 1:1(0) ack 9\n`, /none came|flags/);
    });

    it('a packet left over fails a strict script only', () => {
      const short = script.replace(/\+0 {3}> F\. .*\n/, '');
      assert.equal(runScript(short).result, 'pass');
      assert.match(runScript(short, { strict: true }).reason, /nobody asked for: F/);
    });
  });
}

describe('packetdrill: time', () => {
  const CLIENT = `
0    socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+.1...0.2 connect(3, ..., ...) = 0
+0   > S 0:0(0) <...>
+.1  < S. 0:0(0) ack 1 win 32768 <mss 1000>
+0   > . 1:1(0) ack 1
+0...0.5 read(3, ..., 100) = 3
+.5  < P. 1:4(3) ack 1 win 1000
+0~+.05 > . 1:1(0) ack 4
`;
  it('blocking calls end when they can', () => passes(CLIENT));
  it('and not before, nor after', () => {
    fails(altered('+.1...0.2', '+.1...0.3', CLIENT), /connect: expected to end at 0\.3.*it ended at 0\.2/);
    fails(altered('+0...0.5', '+0...0.1', CLIENT), /read: expected to end/);
    fails(altered('+.5  < P. 1:4(3) ack 1 win 1000\n+0~+.05 > . 1:1(0) ack 4\n', '', CLIENT), /read: expected to end.*it still blocks/);
  });
  it('a call that blocks without the script saying so fails', () => {
    fails(altered('+0...0.5 read', '+0 read', CLIENT), /read: it blocks/);
  });
  it('a packet at any time', () => passes(altered('+0   > . 1:1(0) ack 1', '*    > . 1:1(0) ack 1', CLIENT)));
});

describe('packetdrill: what is missing', () => {
  it('is said, and the script skipped', () => {
    skips('0 `reboot now`', /command reboot/);
    skips('0 `sysctl -q net.ipv4.no_such=1`', /sysctl net\.ipv4\.no_such/);
    skips('0 sctp_bindx(3, ..., 1, 2) = 0', /system call sctp_bindx/);
    skips('0 socket(..., SOCK_SEQPACKET, IPPROTO_SCTP) = 3', /socket of type 5/);
    skips('--udp_encapsulation=tcp\n0 close(3) = 0', /option --udp_encapsulation=tcp/);
    skips('0 < sctp: DATA[flgs=BE]', /protocol sctp/);
  });

  it('a script that cannot be read fails with its line', () => {
    assert.deepEqual(runScript('0 nonsense'), { result: 'fail', reason: "line 1: cannot be read: '(' expected, but here is the end of the script" });
  });
});

describe('packetdrill: normalized comparison', () => {
  it('leaves out windows, their scale and the order and padding of options, nothing else', () => {
    const script = SERVER.replace('<mss 1460,nop,nop,sackOK,nop,wscale 7>', '<sackOK,wscale 6,mss 1460,eol>').replace(
      '> . 1:1(0) ack 501',
      '> . 1:1(0) ack 501 win 9',
    );
    assert.equal(runScript(script, { normalize: true }).result, 'pass');
    assert.equal(runScript(script).result, 'fail');
    assert.match(runScript(script.replace('mss 1460', 'mss 1400'), { normalize: true }).reason, /options/);
    assert.match(runScript(script.replace('wscale 6,', ''), { normalize: true }).reason, /options/);
  });
});
