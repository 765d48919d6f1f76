import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

describe('net: what keeps a process', () => {
  const ends = (program: string): void => {
    const place = mkdtempSync(join(tmpdir(), 'anystack-exit-'));
    try {
      const config = join(place, 'stack.json');
      writeFileSync(config, '{}');
      const preload = pathToFileURL(resolve('dist', 'register.js')).href;
      const { status, signal, stderr } = spawnSync(process.execPath, ['--import', preload, '-e', program], {
        encoding: 'utf8',
        timeout: 10_000,
        env: { ...process.env, ANYSTACK_CONFIG: config },
      });
      assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: '' });
    } finally {
      rmSync(place, { recursive: true, force: true });
    }
  };

  it('not a connection that has ended and that nobody reads', function () {
    this.timeout(20_000);
    ends(`const net = require('net');
      const server = net.createServer((s) => { server.close(); s.end(); }).listen(0, '127.0.0.1', () => {
        const socket = net.connect(server.address().port, '127.0.0.1');
        socket.on('end', () => socket.write('nobody reads this'));
      });`);
  });

  it('not a connection that is paused, nor one whose lookup never answers', function () {
    this.timeout(20_000);
    ends(`const net = require('net');
      const server = net.createServer((s) => s.unref()).listen(0, '127.0.0.1', () => {
        net.connect(server.address().port, '127.0.0.1').pause();
        net.connect({ port: 1, host: 'silence', lookup() {} });
      }).unref();`);
  });

  it('but a write that waits after the end of the peer does', function () {
    this.timeout(20_000);
    ends(`const net = require('net');
      const octets = 8 << 20;
      let got = 0;
      process.on('exit', () => { if (got !== octets) process.exitCode = 1; });
      const server = net.createServer({ allowHalfOpen: true }, (s) => {
        server.close();
        s.resume().on('end', () => s.end(Buffer.alloc(octets)));
      }).listen(0, '127.0.0.1', () => {
        const socket = net.connect({ port: server.address().port, host: '127.0.0.1', allowHalfOpen: true });
        socket.on('data', (chunk) => { got += chunk.length; });
        socket.end('x');
      });`);
  });

  it('the preload takes the defaults of connect over too', function () {
    this.timeout(20_000);
    ends(`const net = require('net');
      net.setDefaultAutoSelectFamily(false);
      const server = net.createServer().listen(0, '127.0.0.1', () => {
        const lookup = (host, options, done) => done(null, '::1', 6);
        net.connect({ port: server.address().port, host: 'both', lookup }).on('error', ({ code }) => {
          process.exitCode = code === 'ECONNREFUSED' && !net.getDefaultAutoSelectFamily() ? 0 : 1;
          server.close();
        });
      });`);
  });
});
