import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import type { AnyStack } from '#src/index.js';
import type { Status } from '#src/observe/status.js';
import { pair } from '../support/pair.js';

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

describe('status page', () => {
  let one: AnyStack;
  let two: AnyStack;
  before(async () => {
    [one, two] = await pair({ services: { http: { capture: true }, echo: true } });
  });
  after(async () => {
    await two.close();
    await one.close();
    assert.deepEqual(one.nstat().held, { packets: 0, slots: 0, chunks: 0 });
  });

  const ask = (path: string, method = 'GET', body?: Buffer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const request = two.http.request(`http://10.0.0.1${path}`, { method, agent: new two.http.Agent() }, (response: IncomingMessage) => {
        const chunks: Buffer[] = [];
        response.on('data', (octets: Buffer) => chunks.push(octets));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body: Buffer.concat(chunks).toString('latin1') }),
        );
      });
      request.on('error', reject);
      request.end(body);
    });

  it('/ is one page without anything from elsewhere', async () => {
    const { status, type, body } = await ask('/');
    assert.equal(status, 200);
    assert.match(type, /^text\/html/);
    assert.match(body, /<title>anystack<\/title>/);
    assert.doesNotMatch(body, /https?:\/\/|(src|href)="(?!\/uplot\.(js|css)")/);
    assert.match(body, /name="viewport" content="width=device-width/);
  });

  it('the library of its graphs is served from here', async () => {
    const { type, body } = await ask('/uplot.js');
    assert.match(type, /^text\/javascript/);
    assert.match(body, /var uPlot=/);
    assert.match((await ask('/uplot.css')).body, /\.uplot/);
  });

  it('/capture.pcapng gives what passes but itself, and ends', async () => {
    const download = ask('/capture.pcapng?seconds=1&filter=icmp%20or%20tcp');
    await two.ping('10.0.0.1', { count: 12, interval: 50 }).done;
    const { status, type, body } = await download;
    assert.deepEqual([status, type], [200, 'application/x-pcapng']);
    const octets = Buffer.from(body, 'latin1');
    assert.equal(octets.readUInt32LE(0), 0x0a0d0d0a);
    let packets = 0;
    for (let at = 0; at < octets.length; at += octets.readUInt32LE(at + 4)) if (octets.readUInt32LE(at) === 6) packets++;
    assert.ok(packets >= 6, `${packets} packets`);
    assert.ok(octets.length < 4_000, `${octets.length} octets`);
    for (const [query, why] of [
      ['seconds=0', 'seconds'],
      ['seconds=x', 'seconds'],
      ['filter=nonsense', 'nonsense'],
      [`filter=${'('.repeat(5_000)}`, 'letters'],
    ] as const) {
      const refused = await ask(`/capture.pcapng?${query}`);
      assert.equal(refused.status, 400);
      assert.ok(refused.body.includes(why), refused.body);
    }
  });

  it('captures are off unless allowed', async () => {
    one.services.stop('http');
    one.services.start('http');
    assert.equal((await ask('/capture.pcapng')).status, 403);
    one.services.stop('http');
    one.services.start('http', { capture: true });
  });

  it('/status.json shows interfaces, routes, sockets with tcp_info, drops', async () => {
    const { body } = await ask('/status.json');
    const status = JSON.parse(body) as Status;
    assert.equal(status.name, 'one');
    assert.deepEqual(
      status.links.map((l) => l.name),
      ['lo', 'eth0'],
    );
    assert.ok(status.routes.some((r) => r.to === '10.0.0.0/24' && r.dev === 'eth0'));
    assert.ok(status.neighbors.some((n) => n.to === '10.0.0.2'));
    const own = status.sockets.find((s) => s.state === 'ESTABLISHED');
    assert.equal(own?.localPort, 80);
    assert.equal(own?.info?.snd_mss, 1_448);
    assert.ok(status.sockets.some((s) => s.kind === 'udp' && s.localPort === 7));
  });

  it('/metrics is what Prometheus reads', async () => {
    const { type, body } = await ask('/metrics');
    assert.match(type, /^text\/plain; version=0.0.4/);
    for (const line of body.trimEnd().split('\n')) assert.match(line, /^(# (HELP|TYPE) anystack_\w+ .+|anystack_\w+(\{[^}]*\})? -?[\d.e+-]+)$/);
    assert.match(body, /^anystack_link_up\{dev="eth0"\} 1$/m);
    assert.match(body, /^anystack_counter_total\{name="TcpPassiveOpens"\} [1-9]/m);
  });

  it('/bulk gives and takes octets', async () => {
    assert.equal((await ask('/bulk?bytes=1000001')).body.length, 1_000_001);
    assert.equal((await ask('/bulk?bytes=0')).body, '');
    for (const method of ['PUT', 'POST'])
      assert.equal((JSON.parse((await ask('/bulk', method, Buffer.alloc(700_000))).body) as { bytes: number }).bytes, 700_000);
  });

  it('changes nothing, whatever is asked', async () => {
    const before = one.sysctl.list().map(({ value }) => value);
    for (const [path, method, status] of [
      ['/nowhere', 'GET', 404],
      ['/', 'POST', 405],
      ['/status.json', 'PUT', 405],
      ['/', 'DELETE', 405],
      ['/bulk?bytes=-1', 'GET', 400],
      ['/bulk?bytes=x', 'GET', 400],
      ['/bulk?bytes=1e99', 'GET', 400],
      ['//[', 'GET', 404],
    ] as const) {
      assert.equal((await ask(path, method)).status, status, `${method} ${path}`);
    }
    assert.deepEqual(
      one.sysctl.list().map(({ value }) => value),
      before,
    );
  });
});
