import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { makeNetns, type Netns } from '../support/netns.js';
import { needs } from '../support/requirements.js';

const main = resolve('dist/cli/main.js');

/** Programs that know nothing of us, with Node's own modules and a framework. */
const program = `
import express from 'express';
import http from 'node:http';
import net from 'node:net';
const app = express();
app.get('/', (request, response) => response.send('express sees ' + request.socket.remoteAddress));
app.get('/fetch', async (_request, response) => response.send(await (await fetch('http://10.62.0.1:8000/kernel.txt')).text()));
app.get('/get', (_request, response) => http.get('http://10.62.0.1:8000/kernel.txt', (answer) => answer.pipe(response)));
app.get('/name', (_request, response) => net.connect(80, 'no.such.name').on('error', (error) => response.send(error.code)));
app.listen(80, () => console.log('listening'));
`;

describe('anystack run: an unmodified program over a stack', function () {
  this.timeout(60_000);
  let ns: Netns;
  let app: ChildProcess | undefined;
  // Below the project, so that the program finds its packages.
  const folder = mkdtempSync(resolve('build', 'run-'));
  const curl = (path: string): Promise<string> => ns.exec('curl', '-s', '--max-time', '10', `http://10.62.0.2${path}`);

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:curl', 'tools:python3', 'package:express');
    ns = makeNetns('run');
    writeFileSync(join(folder, 'app.mjs'), program);
    writeFileSync(join(folder, 'kernel.txt'), 'a server of the kernel');
    const config = { interfaces: { eth0: { device: { type: 'tap', name: 'tap0', hostAddress: '10.62.0.1/24' }, addresses: ['10.62.0.2/24'] } } };
    writeFileSync(join(folder, 'stack.json'), JSON.stringify(config));
    app = ns.start(process.execPath, main, 'run', join(folder, 'stack.json'), '--', process.execPath, join(folder, 'app.mjs'));
    await new Promise<void>((listening, reject) => {
      app?.stdout?.on('data', (data) => String(data).includes('listening') && listening());
      let said = '';
      app?.stderr?.on('data', (data) => (said += data));
      app?.on('exit', (code) => reject(new assert.AssertionError({ message: `the program ended with ${code}: ${said}` })));
    });
    ns.start('python3', '-m', 'http.server', '8000', '--bind', '10.62.0.1', '--directory', folder);
    await ns.exec(
      'curl',
      '-s',
      '--retry',
      '20',
      '--retry-connrefused',
      '--retry-delay',
      '0',
      '--retry-max-time',
      '10',
      '-o',
      '/dev/null',
      'http://10.62.0.1:8000/',
    );
  });

  after(async () => {
    if (app !== undefined) {
      app.kill('SIGTERM'); // run passes it on
      await once(app, 'exit');
    }
    ns?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it('express answers curl of the kernel', async () => {
    assert.equal(await curl('/'), 'express sees ::ffff:10.62.0.1');
  });

  it('fetch and http.get go out over the stack', async () => {
    assert.equal(await curl('/fetch'), 'a server of the kernel');
    assert.equal(await curl('/get'), 'a server of the kernel');
  });

  it("a name is not looked up behind its back with the host's DNS", async () => {
    assert.equal(await curl('/name'), 'ENOTFOUND');
  });
});
