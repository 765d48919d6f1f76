/** Programs that know nothing of us, over the proxies and forwards of a stack in this process: curl, OpenSSH, netcat. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { AnyStack } from '#src/index.js';
import { ended } from '../support/command.js';
import { freePort } from '../support/host-sockets.js';
import { pair } from '../support/pair.js';
import { needs } from '../support/requirements.js';
import { repeatingShell } from '../support/ssh2.js';

describe('curl, ssh and nc by proxies and forwards', () => {
  let one: AnyStack;
  let two: AnyStack;
  let socks: number;
  let http: number;
  let forward: number;

  const run = async (command: string, ...args: string[]): Promise<string> => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'] } });
    const { code, out, err } = await ended(child);
    assert.equal(code, 0, err);
    return out;
  };
  const curl = (...args: string[]): Promise<string> => run('curl', '--silent', '--show-error', '--max-time', '20', ...args);

  before(async () => {
    [socks, http, forward] = await Promise.all([freePort(), freePort(), freePort()]);
    [one, two] = await pair(
      {
        proxy: { socks5: { listen: `host:127.0.0.1:${socks}`, users: { ann: 'secret' } }, http: `host:127.0.0.1:${http}` },
        forwards: [{ from: `host:127.0.0.1:${forward}`, to: 'stack:plant.example:80' }],
        dns: { hosts: { 'plant.example': ['10.0.0.2'] } },
      },
      { services: { http: true } },
    );
    const shell = repeatingShell();
    two.net.createServer((socket) => shell.injectSocket(socket)).listen(22);
  });
  after(async () => {
    await two.close();
    await one.close();
  });

  it('curl --socks5-hostname: the name is looked up by the stack', async function () {
    needs(this, 'tools:curl');
    const page = await curl('--socks5-hostname', `ann:secret@127.0.0.1:${socks}`, 'http://plant.example/status.json');
    assert.equal((JSON.parse(page) as { name: string }).name, 'two');
    assert.equal((await curl('--socks5-hostname', `ann:secret@127.0.0.1:${socks}`, 'http://10.0.0.2/bulk?bytes=3000000')).length, 3_000_000);
  });

  it('curl -x: a request for a URI, and a tunnel', async function () {
    needs(this, 'tools:curl');
    for (const more of [[], ['--proxytunnel']])
      assert.match(await curl('-x', `http://127.0.0.1:${http}`, ...more, 'http://plant.example/'), /<title>anystack/);
    assert.equal(await curl('-x', `http://127.0.0.1:${http}`, '-o', '/dev/null', '-w', '%{http_code}', 'http://no.such.name/'), '502');
  });

  it('curl by a forward', async function () {
    needs(this, 'tools:curl');
    assert.match(await curl(`http://127.0.0.1:${forward}/`), /<title>anystack/);
  });

  it('ssh -o ProxyCommand, and nc by CONNECT', async function () {
    needs(this, 'peer:ssh', 'tools:nc');
    const proxy = `nc -X connect -x 127.0.0.1:${http}`;
    const options = ['BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', `ProxyCommand=${proxy} %h %p`];
    const said = await run('ssh', '-F', 'none', ...options.flatMap((option) => ['-o', option]), 'ann@plant.example', 'uptime');
    assert.equal(said, 'ran uptime');
  });
});
