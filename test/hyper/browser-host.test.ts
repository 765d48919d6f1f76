import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '#src/base/errors.js';
import { NEVER } from '#src/base/time.js';
import { createBrowserHost } from '#src/hyper/browser-host.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import type { FrameSocket } from '#src/hyper/websocket.js';
import { FrameBench, Recorder } from '../support/devices.js';

/** A WebSocket whose other end is the test. */
class FakeSocket implements FrameSocket {
  binaryType = 'blob';
  readyState = 0;
  bufferedAmount = 0;
  readonly sent: Uint8Array[] = [];
  private readonly listeners = new Map<string, (event: { data: unknown }) => void>();

  addEventListener(type: string, listener: (event: { data: unknown }) => void): void {
    this.listeners.set(type, listener);
  }

  send(frame: Uint8Array): void {
    this.sent.push(frame);
  }

  close(): void {
    this.readyState = 3;
  }

  emit(type: string, data: unknown = null): void {
    if (type === 'open') this.readyState = 1;
    this.listeners.get(type)?.({ data });
  }
}

describe('browser host', () => {
  it('polls for soon after the microtasks, and at the time asked last', async () => {
    const host = createBrowserHost();
    const seen: string[] = [];
    host.attach(() => seen.push('poll'));
    host.soon();
    host.soon();
    queueMicrotask(() => seen.push('microtask'));
    await sleep(10);
    assert.deepEqual(seen, ['microtask', 'poll']);
    host.wakeAt(host.monotonic() + 1e9);
    host.wakeAt(host.monotonic() + 2_000);
    await sleep(20);
    assert.equal(seen.length, 3);
    host.wakeAt(host.monotonic() + 2_000);
    host.wakeAt(NEVER);
    await sleep(20);
    assert.equal(seen.length, 3);
  });

  it('fills any length with random octets', () => {
    const into = new Uint8Array(100_000);
    createBrowserHost().random(into);
    assert.ok(into.subarray(99_900).some((octet) => octet !== 0));
  });

  it('opens what a page can have', () => {
    const host = createBrowserHost();
    const [a] = memoryLink();
    assert.equal(host.open({ type: 'memory', device: a }), a);
    assert.throws(() => host.open({ type: 'websockets', url: 'ws://x' }), /did you mean 'websocket'/);
    assert.throws(() => host.open({ type: 'websocket' }), ConfigError);
  });

  it('websocket: carrier when open, frames as binary messages, failure when it closes', () => {
    const bench = new FrameBench();
    const socket = new FakeSocket();
    const device = createBrowserHost().open({ type: 'websocket', socket });
    const events = new Recorder();
    device.start(events);
    bench.send(device, Buffer.alloc(60, 1));
    assert.equal(device.statistics?.()['txDropped'], 1);
    socket.emit('open');
    assert.ok(device.carrier);
    assert.equal(socket.binaryType, 'arraybuffer');
    bench.send(device, Buffer.alloc(60, 2));
    assert.deepEqual(socket.sent, [new Uint8Array(60).fill(2)]);
    socket.emit('message', Uint8Array.of(1, 2, 3).buffer);
    socket.emit('message', 'text');
    assert.deepEqual(bench.receive(device), [Buffer.from([1, 2, 3])]);
    socket.emit('close');
    assert.deepEqual(events.seen, ['carrier true', 'readable', 'failed ECONNRESET']);
    device.close();
    assert.equal(bench.held, 0);
  });

  it('reaches no node: module', () => {
    const folder = new URL('../../../dist/hyper/', import.meta.url);
    const seen = new Set<string>();
    const visit = (url: URL): void => {
      if (seen.has(url.href)) return;
      seen.add(url.href);
      const source = readFileSync(url, 'utf8');
      assert.ok(!/from 'node:/.test(source), url.href);
      for (const [, path] of source.matchAll(/from '(\.[^']+)'/g)) visit(new URL(path as string, url));
    };
    for (const name of ['browser-host.js', 'virtual-host.js', 'memory-link.js', 'fault-injector.js', 'pcap-writer.js']) visit(new URL(name, folder));
    assert.ok(readdirSync(folder).length > 0);
  });
});
