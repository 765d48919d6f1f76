import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Config } from '#src/config/config.js';
import { CapturedFrame } from '#src/wire/pcap.js';
import { openCapture } from '#src/wire/pcapng.js';
import { Bench, type Ended, ended } from '../support/command.js';
import { sleep, until } from '../support/until.js';

describe('command', function () {
  this.timeout(60_000);
  let bench: Bench;
  let stack: ChildProcess;
  let file: string;
  const events: Record<string, unknown>[] = [];
  const config: Config = {
    interfaces: { eth0: { device: { type: 'udp' }, addresses: ['10.0.0.1/24'] } },
    services: { echo: true, chargen: true, discard: true, http: true },
  };
  before(async () => {
    bench = new Bench();
    file = bench.file('a.json', config);
    stack = await bench.up(file, events);
  });
  after(() => bench.close());

  const run = (...words: string[]): Promise<Ended> => bench.run(words);
  async function good(...words: string[]): Promise<string> {
    const { code, out, err } = await run(...words);
    assert.equal(code, 0, `${words.join(' ')}: ${out}${err}`);
    return out;
  }
  const json = async (...words: string[]): Promise<never> => JSON.parse(await good(...words, '--json')) as never;

  it('up says when it is ready, in one line of JSON, and its socket is its owner’s alone', () => {
    const [ready] = events;
    assert.equal(ready?.['event'], 'ready');
    assert.equal(ready?.['pid'], stack.pid);
    assert.equal(statSync(join(bench.folder, 'anystack')).mode & 0o777, 0o700);
    assert.equal(statSync(ready?.['control'] as string).mode & 0o777, 0o600);
  });

  it('up --detach returns when the stack serves, which then goes on by itself; what fails is said as without it', async () => {
    const detached = bench.file('d.json', { name: 'detached' });
    const { code, err } = await run('up', '--detach', detached);
    assert.equal(code, 0);
    assert.match(err, /^anystack detached: ready /);
    assert.equal(((await json('link', '--stack', 'detached')) as unknown[]).length, 1);
    const second = await run('up', '-d', detached);
    assert.equal(second.code, 1);
    assert.match(second.err, /^anystack: control EADDRINUSE .*a stack named 'detached' runs/);
    await good('down', '--stack', 'detached');
    assert.equal((await run('link', '--stack', 'detached')).code, 1);
  });

  it('a second stack of the name is refused; of another name it is not, and --stack tells them apart', async () => {
    const { code, err } = await run('up', file);
    assert.equal(code, 1);
    assert.match(err, /^anystack: control EADDRINUSE .*a stack named 'default' runs/);
    const other = await bench.up(bench.file('b.json', { name: 'other' }));
    assert.equal(((await json('link', '--stack', 'other')) as unknown[]).length, 1);
    assert.equal(((await json('link')) as unknown[]).length, 2);
    other.kill('SIGTERM');
    await ended(other);
    const gone = await run('link', '--stack', 'other');
    assert.match(gone.err, /^anystack: connect ENOENT .*no stack named 'other' runs; start one with: anystack up FILE\n$/);
    assert.equal(gone.code, 1);
  });

  it('addr, link, route, neigh speak iproute2’s grammar, in words and in JSON', async () => {
    await good('addr', 'add', '10.3.0.1/16', 'dev', 'eth0');
    assert.match(await good('addr'), /^2: eth0\n {4}inet 10\.0\.0\.1\/24\n(.*\n)* {4}inet 10\.3\.0\.1\/16$/m);
    await good('r', 'add', 'default', 'via', '10.3.0.254', 'metric', '7');
    assert.match(await good('route', 'show'), /^default via 10\.3\.0\.254 dev eth0 metric 7 proto static$/m);
    await good('route', 'replace', 'default', 'via', '10.3.0.253', 'metric', '7');
    assert.deepEqual(
      ((await json('route')) as { to: string; via?: string }[]).filter((r) => r.to === 'default').map((r) => r.via),
      ['10.3.0.253'],
    );
    await good('route', 'add', 'blackhole', '10.66.0.0/16');
    await good('route', 'del', '10.66.0.0/16');
    await good('route', 'del', 'default');
    await good('neigh', 'add', '10.0.0.9', 'lladdr', '02:00:00:00:00:09', 'dev', 'eth0');
    assert.match(await good('n'), /^10\.0\.0\.9 dev eth0 lladdr 02:00:00:00:00:09 PERMANENT$/m);
    await good('neigh', 'del', '10.0.0.9', 'dev', 'eth0');
    await good('link', 'set', 'eth0', 'mtu', '1400', 'promisc', 'on');
    assert.match(await good('link', 'show', 'eth0'), /^2: eth0: mtu 1400 state [A-Z-]+ promisc\n/);
    assert.equal(((await json('route', 'get', '127.0.0.1')) as { kind: string }).kind, 'local');
    await good('a', 'd', '10.3.0.1/16', 'dev', 'eth0');
  });

  it('what is asked wrongly is one sentence with what was probably meant', async () => {
    for (const [words, sentence] of [
      [['adr'], "unknown command 'adr'"],
      [['addr', 'ad', '10.0.0.1/24'], "addr add needs 'dev' and an interface"],
      [['addr', 'plus'], "addr: 'plus' is unknown; did you mean '"],
      [['addr', 'add', '10.0.0.1', 'dve', 'eth0'], "'dve' is unknown; did you mean 'dev'?"],
      [['addr', 'add', '10.9.0.1/24', 'dev', 'eht0'], "no such interface; did you mean 'eth0'?"],
      [['route', 'add', 'default'], "a route needs 'via' or 'dev'"],
      [['route', 'add', 'default', 'via', '9.9.9.9'], 'is on the link of no interface'],
      [['link', 'set', 'eth0', 'mtu', '99999'], 'is outside [68, '],
      [['sysctl', 'net.ipv4.ip_foward'], 'nearest is net.ipv4.ip_forward'],
      [['drops', 'UdpNoPrt'], "did you mean 'UdpNoPort'?"],
      [['ping', 'nowhere', '-c', '1'], 'not an address'],
      [['capture', '-w', join(bench.folder, 'x'), 'prt', '80'], "'prt' is unknown; did you mean 'port'?"],
    ] as const) {
      const { code, err } = await run(...words);
      assert.ok(code === 1 || code === 2, `${words.join(' ')}: ${code}`);
      assert.ok(err.includes(sentence), `${words.join(' ')}: ${err}`);
      assert.ok(!err.includes('    at '), 'no stack trace');
    }
  });

  it('ss, nstat and sysctl', async () => {
    assert.match(await good('ss', '-lt'), /^tcp\s+LISTEN\s+0\s+0\s+\*:80\s+\*:\*$/m);
    assert.ok(((await json('ss', '-u')) as { kind: string }[]).every((s) => s.kind === 'udp'));
    await good('ping', '127.0.0.1', '-c', '1');
    assert.match(await good('nstat', 'icmp'), /^IcmpInEchos\s+1$/m);
    assert.equal(await good('sysctl', 'net.ipv4.ip_default_ttl'), 'net.ipv4.ip_default_ttl = 64\n');
    assert.equal(await good('sysctl', '-w', 'net.ipv4.ip_default_ttl=65'), 'net.ipv4.ip_default_ttl = 65\n');
    assert.match(await good('sysctl', '-a'), /^net\.ipv4\.tcp_rmem = \d+ \d+ \d+$/m);
  });

  it('trace follows packets until it has had enough, and route get says which table and prefix decided', async () => {
    const child = bench.spawn(['trace', '-c', '1', 'icmp', 'and', 'dst', '127.0.0.1']);
    const whole = ended(child);
    await sleep(700); // no word says that it has begun
    await good('ping', '127.0.0.1', '-c', '1');
    const { code, out, err } = await whole;
    assert.equal(code, 0, err);
    assert.match(out, /^ +\d+\.\d{3} {2}#1 {2}output +dev lo local mtu \d+ {2}127\.0\.0\.1 > 127\.0\.0\.1 icmp \d+$/m);
    assert.match(err, /^1 packets followed\n$/);
    assert.match((await run('trace', 'prt', '80')).err, /'prt' is unknown; did you mean 'port'\?/);
    await good('route', 'add', '10.77.0.0/16', 'via', '10.0.0.9', 'metric', '5');
    assert.match(
      await good('route', 'get', '10.77.1.1'),
      /^10\.77\.1\.1 via 10\.0\.0\.9 .*\n {4}no rule matched, table 254: 10\.77\.0\.0\/16 metric 5 proto static$/m,
    );
    await good('route', 'del', '10.77.0.0/16');
    await good('rule', 'add', 'from', '10.3.0.0/16', 'dport', '80', 'prohibit');
    assert.equal(await good('rule'), '32765: from 10.3.0.0/16 dport 80 prohibit\n32766: all table 254\n');
    await good('rule', 'del', 'priority', '32765');
  });

  it('ping, traceroute and nc use the running stack', async () => {
    const out = await good('ping', '127.0.0.1', '-c', '3', '-i', '0.02');
    assert.match(out, /^64 bytes from 127\.0\.0\.1: icmp_seq=1 ttl=\d+ time=[\d.]+ ms$/m);
    assert.match(out, /^3 packets transmitted, 3 received, 0% packet loss$/m);
    assert.match(await good('traceroute', '127.0.0.1'), /^ 1 {2}127\.0\.0\.1( {2}[\d.]+ ms){3}$/m);
    assert.equal((await bench.run(['nc', '127.0.0.1', '7'], 'round and back')).out, 'round and back');
    const big = 'x'.repeat(2_000_000);
    assert.equal((await bench.run(['nc', '127.0.0.1', '7'], big)).out.length, big.length);
    const refused = await bench.run(['nc', '127.0.0.1', '4444'], 'x');
    assert.match(refused.err, /^anystack: connect ECONNREFUSED 127\.0\.0\.1:4444/);
    assert.equal(refused.code, 1);
    const listener = bench.spawn(['nc', '-l', '4445']);
    const heard = ended(listener);
    await until(() => listener.stderr !== null && listener.stdout !== null, 'it runs');
    await sleep(500);
    listener.stdin?.end('pong');
    assert.equal((await bench.run(['nc', '127.0.0.1', '4445'], 'ping')).out, 'pong');
    assert.equal((await heard).out, 'ping');
  });

  it('capture writes a file and a pipe', async () => {
    for (const to of [join(bench.folder, 'c.pcapng'), '-']) {
      const child = bench.spawn(['capture', '-i', 'lo', '-c', '4', '-w', to, 'icmp']);
      const chunks: Buffer[] = [];
      child.stdout?.on('data', (octets: Buffer) => chunks.push(octets));
      const done = ended(child);
      await sleep(600);
      await good('ping', '127.0.0.1', '-c', '3', '-i', '0.01');
      const { code, err } = await done;
      assert.equal(code, 0, err);
      assert.match(err, /^[4-9] frames captured, 0 lost\n$/);
      const bytes = to === '-' ? Buffer.concat(chunks) : readFileSync(to);
      const reader = openCapture(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
      const frame = new CapturedFrame();
      let frames = 0;
      while (reader?.next(frame)) frames++;
      assert.ok(frames >= 4 && reader?.problem === '');
    }
  });

  it('drops explains a reason without a running stack', async () => {
    const out = await good('drops', 'udpnoport');
    assert.match(out, /^UdpNoPort\n {2}cause: {2}.+\n {2}remedy: .+\n$/);
  });

  it('check finds what is wrong without applying it', async () => {
    assert.equal(await good('check', file), `${file}: right\n`);
    const cases: [string, Config | string, RegExp][] = [
      [
        'bad.json',
        { interfaces: { eth0: { device: { type: 'tapp' } } } },
        /bad\.json: interfaces\.eth0\.device\.type "tapp" is unknown; did you mean 'tap'\?\n$/,
      ],
      ['json.json', '{\n  "interfaces": {,}\n}', /json\.json: not JSON in line 2, column \d+: /],
    ];
    for (const [name, content, sentence] of cases) {
      const { code, err } = await run('check', bench.file(name, content));
      assert.equal(code, 2);
      assert.match(err, sentence);
    }
    assert.match((await run('check', join(bench.folder, 'none.json'))).err, /there is no such file/);
  });

  it('reload and SIGHUP apply the difference; a wrong file changes nothing', async () => {
    writeFileSync(
      file,
      JSON.stringify({ ...config, interfaces: { eth0: { ...config.interfaces?.['eth0'], addresses: ['10.0.0.1/24', '10.4.0.1/24'] } } }),
    );
    await good('reload');
    assert.ok(((await json('addr')) as { address: string }[]).some((a) => a.address === '10.4.0.1'));
    writeFileSync(file, '{ "interfaces": 7 }');
    const { code, err } = await run('reload');
    assert.equal(code, 1);
    assert.match(err, /interfaces is to be an object, not 7/);
    writeFileSync(file, JSON.stringify(config));
    stack.kill('SIGHUP');
    await until(() => events.some((e) => e['event'] === 'reloaded'), 'it says so');
    assert.ok(!((await json('addr')) as { address: string }[]).some((a) => a.address === '10.4.0.1'));
  });

  it('a socket left by a dead stack is cleared away', async () => {
    const dead = await bench.up(bench.file('dead.json', { name: 'dead' }));
    dead.kill('SIGKILL');
    await ended(dead);
    assert.ok(existsSync(join(bench.folder, 'anystack', 'dead.sock')));
    assert.match((await run('ss', '--stack', 'dead')).err, /no stack named 'dead' runs/);
    const again = ended(await bench.up(join(bench.folder, 'dead.json')));
    await good('down', '--stack', 'dead');
    assert.equal((await again).code, 0);
    assert.ok(!existsSync(join(bench.folder, 'anystack', 'dead.sock')));
  });

  it('a client that speaks nonsense, or another version, harms nobody', async () => {
    const path = events[0]?.['control'] as string;
    const say = (text: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect(path);
        let heard = '';
        socket.on('data', (octets) => {
          heard += String(octets);
          socket.end();
        });
        socket.on('close', () => resolve(heard));
        socket.on('error', () => resolve(heard));
        socket.write(text);
      });
    assert.equal(await say('GET / HTTP/1.1\r\n\r\n'), '');
    assert.equal(await say('null\n'), '');
    assert.match(await say('{"v":2,"id":1,"method":"ss"}\n'), /"code":"EPROTONOSUPPORT"/);
    assert.match(await say('{"v":1,"id":1,"method":"toString"}\n'), /no method 'toString'/);
    assert.match(await say('{"v":1,"id":1,"method":"addr.add"}\n'), /"error":/);
    assert.equal(await say('x'.repeat(5_000_000)), '');
    await good('ss');
  });

  it('SIGTERM ends it within a second, cleanly', async () => {
    const from = performance.now();
    stack.kill('SIGTERM');
    assert.equal((await ended(stack)).code, 0);
    assert.ok(performance.now() - from < 1_000);
    assert.ok(!existsSync(events[0]?.['control'] as string));
  });
});
