import assert from 'node:assert/strict';
import type { IcmpBody, PacketAction, SyscallAction, TcpBody } from '#src/packetdrill/ast.js';
import { tokens } from '#src/packetdrill/lexer.js';
import { parseScript } from '#src/packetdrill/parse-script.js';
import { ScriptError } from '#src/packetdrill/script-error.js';

const only = (event: string) => {
  const { events } = parseScript(`0 ${event}`);
  assert.equal(events.length, 1);
  return (events[0] as (typeof events)[number]).action;
};
const packet = (text: string): PacketAction => only(text) as PacketAction;
const segment = (text: string): TcpBody => packet(text).body as TcpBody;
const call = (text: string): SyscallAction => only(text) as SyscallAction;
const time = (text: string) => {
  const { kind, from, to } = (parseScript(`${text} > . 1:1(0) ack 1`).events[0] as { time: { kind: string; from: number; to: number } }).time;
  return [kind, from, to];
};

describe('packetdrill: the language', () => {
  it('scanner: the longest match wins', () => {
    const texts = (source: string): string[] =>
      tokens(source)
        .slice(0, -1)
        .map((t) => `${t.kind}:${t.text}`);
    assert.deepEqual(texts('1:1001(1000)'), ['integer:1', 'mark::', 'integer:1001', 'mark:(', 'integer:1000', 'mark:)']);
    assert.deepEqual(texts('2001:db8::1 ::ffff:192.0.2.1 192.0.2.1'), ['ipv6:2001:db8::1', 'ipv6:::ffff:192.0.2.1', 'ipv4:192.0.2.1']);
    assert.deepEqual(texts('1.00...6.00'), ['float:1.00', 'mark:...', 'float:6.00']);
    assert.deepEqual(texts('+.01...0.011'), ['mark:+', 'float:.01', 'mark:...', 'float:0.011']);
    assert.deepEqual(texts('0x1f 12ab -1 exp-FO'), ['hex:0x1f', 'word:12ab', 'integer:-1', 'word:exp-FO']);
    assert.deepEqual(texts('a // b\n/* c\n */ "d\\"" `e f` %{ g }%'), ['word:a', 'string:d\\"', 'command:e f', 'code: g ']);
  });

  it('knows the line of each token, behind comments and commands too', () => {
    assert.deepEqual(
      tokens('a\n/* \n */ b `\n` c').map((t) => t.line),
      [1, 3, 3, 4, 4],
    );
  });

  it('all forms of time', () => {
    assert.deepEqual(time('1'), ['absolute', 1e6, 1e6]);
    assert.deepEqual(time('+.25'), ['relative', 250_000, 250_000]);
    assert.deepEqual(time('*'), ['any', 0, 0]);
    assert.deepEqual(time('1~2.5'), ['absolute', 1e6, 2.5e6]);
    assert.deepEqual(time('+0.1~+0.2'), ['relative', 100_000, 200_000]);
    assert.equal(call('...0.5 accept(3, ..., ...) = 4').end, 500_000);
    assert.throws(() => parseScript('2~1 > . 1:1(0)'), /backwards/);
  });

  it('flags, also those of AccECN', () => {
    const flags = (text: string) => segment(`> ${text} 1:1(0)`).flags;
    assert.equal(flags('S'), 2);
    assert.equal(flags('P.'), 24);
    assert.equal(flags('.'), 16);
    assert.equal(flags('-'), 0);
    assert.equal(flags('SEWA'), 2 + 64 + 128 + 256);
    assert.equal(flags('FU.'), 1 + 32 + 16);
    assert.deepEqual([flags('.5'), segment('> .5 1:1(0)').ace], [16 + 256 + 64, true]);
    assert.throws(() => segment('> X 1:1(0)'), ScriptError);
  });

  it('a segment with everything', () => {
    const s = segment('> P. 1:1461(1460) ack 7 win 100 urg 5 <mss 1460,nop,nop,sackOK,TS val 1 ecr 2,sack 5:7 9:11,wscale 7,eol,FO 0a0b,gen-253 01>');
    assert.deepEqual([s.seq, s.octets, s.ack, s.window, s.urgent], [1, 1460, 7, 100, 5]);
    assert.deepEqual(
      s.options?.map((o) => o.kind),
      ['mss', 'nop', 'nop', 'sackOK', 'TS', 'sack', 'wscale', 'eol', 'other', 'other'],
    );
    assert.equal(segment('> . 1:1(0) ack 1 <...>').options, null);
    assert.deepEqual(segment('> . 1:1(0) ack 1').options, []);
    assert.throws(() => segment('< . 1:1461(1400) ack 1'), /1400 octets/);
  });

  it('IP fields in each bracket', () => {
    const ip = (text: string) => packet(`> ${text} . 1:1(0) ack 1`).ip;
    assert.deepEqual([ip('[ect0]').classMask, ip('[ect0]').classValue], [3, 2]);
    assert.deepEqual([ip('(tos 0x10, ttl 3)').classValue, ip('(tos 0x10, ttl 3)').ttl], [0x10, 3]);
    assert.equal(ip('{flowlabel 0x12}').flowLabel, 0x12);
    assert.deepEqual([ip('(dscp af41, ecn ce)').classMask, ip('(dscp af41, ecn ce)').classValue], [255, (34 << 2) | 3]);
    assert.equal(ip('[ect01]').anyEct, true);
  });

  it('UDP, ICMP in both orders, encapsulation, and protocols we only read over', () => {
    assert.deepEqual(packet('> udp 5>7 (1000)').body, { kind: 'udp', octets: 1000 });
    const icmp = packet('< icmp unreachable frag_needed mtu 1200 [1:1461(1460)]').body as IcmpBody;
    assert.deepEqual(icmp, {
      kind: 'icmp',
      type: 'unreachable',
      code: 'frag_needed',
      mtu: 1200,
      id: 0,
      quoted: { protocol: 'tcp', seq: 1, octets: 1460 },
    });
    assert.deepEqual(packet('< [1:1461(1460)] icmp unreachable frag_needed mtu 1200').body, icmp);
    assert.equal(packet('> ipv4 192.0.2.1 > 192.0.2.2: ipv6 2001:db8::1 > 2001:db8::2: . 1:1(0) ack 1').outer.length, 2);
    assert.deepEqual(packet('> sctp: DATA[flgs=BE, len=20]; SACK[gaps=[1:2]]').body, { kind: 'other', protocol: 'sctp' });
  });

  it('system calls with every kind of argument', () => {
    const c = call('setsockopt(3, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = -1 EAGAIN (Resource temporarily unavailable)');
    assert.deepEqual([c.name, c.args.length, c.errno, c.result], ['setsockopt', 5, 'EAGAIN', { kind: 'number', value: -1 }]);
    assert.equal(call('poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLIN}], 1, 0) = 1').args[0]?.kind, 'list');
    assert.equal(call('recvmsg(3, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0}, 0) = 5').args[1]?.kind, 'struct');
    assert.equal(call('bind(3, {sa_family = AF_INET, sin_port = htons(8080), sin_addr = inet_addr("192.0.2.1")}, ...) = 0').args.length, 3);
    assert.deepEqual(call('write(3, "ab" "c"..., 5) = 5').args[1], { kind: 'string', text: 'abc', open: true });
    assert.equal(call('fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)').result.kind, 'number');
  });

  it('options, initial and final commands, definitions and #ifdef', () => {
    const source =
      '--ip_version=ipv6\n--mtu=1280\n--define=N=7\n`init`\n0 `one`\n#ifdef BSD\n+0 `two`\n#else\n+0 `three`\n#endif\n+0 close(N) = 0\n`end`';
    const script = parseScript(source);
    assert.deepEqual(
      script.options.map((o) => `${o.name}=${o.value}`),
      ['ip_version=ipv6', 'mtu=1280', 'define=N=7'],
    );
    assert.deepEqual([script.init, script.cleanup], [['init'], ['end']]);
    assert.deepEqual(
      script.events.map(({ action }) => (action.kind === 'command' ? action.text : action.kind === 'syscall' ? action.args : '')),
      ['one', 'three', [{ kind: 'number', value: 7 }]],
    );
    const named = parseScript(source, new Map([['BSD', '']])).events[1];
    assert.equal(named?.action.kind === 'command' && named.action.text, 'two');
  });

  it('an error names its line', () => {
    assert.throws(
      () => parseScript('0 close(3) = 0\n\n+0 > . 1:2(0)'),
      (e) => e instanceof ScriptError && e.line === 3,
    );
    assert.throws(() => parseScript('0 `x'), /does not end/);
    assert.throws(() => parseScript('0 close(3)'), /'=' expected/);
    assert.throws(() => parseScript('#ifdef A\n0 close(3) = 0'), /without #endif/);
  });
});
