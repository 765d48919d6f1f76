import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { NetError } from '#src/base/errors.js';
import { Packet, PacketPool } from '#src/base/packet.js';
import { Slab } from '#src/base/slab.js';
import { type AnyStack, createStack, memoryLink } from '#src/index.js';
import { Observer } from '#src/net/observer.js';
import { Observers } from '#src/observe/observers.js';
import { PacketLog, Way } from '#src/observe/packet-log.js';
import { ended } from './support/command.js';
import { pair } from './support/pair.js';
import { needs } from './support/requirements.js';
import { until } from './support/until.js';

describe('createStack', () => {
  it('is there at once; ready resolves when its devices have carrier, and rejects when it is closed before', async () => {
    const [near, far] = memoryLink();
    const stack = createStack({ interfaces: { eth0: { device: near, addresses: ['10.0.0.1/24'] } } });
    let ready = false;
    const waiting = stack.ready.then(() => {
      ready = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(ready, false);
    assert.equal(stack.link.show('eth0')[0]?.state, 'NO-CARRIER');
    const other = createStack({ interfaces: { eth0: { device: far } } });
    await waiting;
    await other.close();
    const lonely = createStack({ interfaces: { eth0: { device: memoryLink()[0] } } });
    await lonely.close();
    await assert.rejects(lonely.ready, { code: 'ERR_STACK_CLOSED' });
    await stack.close();
    await stack.close();
  });

  it('a device that dies is an event and an error on its connections; taken up again the interface has a new one, and works', async () => {
    const [near, far] = memoryLink();
    const one = createStack({ interfaces: { eth0: { device: near, addresses: ['10.0.0.1/24'] } } });
    const two = createStack({ interfaces: { eth0: { device: far, addresses: ['10.0.0.2/24'] } }, services: { echo: true } });
    await one.ready;
    const echo = async (): Promise<string> => {
      const socket = one.net.connect({ host: '10.0.0.2', port: 7 });
      socket.end('there?');
      let text = '';
      for await (const octets of socket) text += String(octets);
      return text;
    };
    assert.equal(await echo(), 'there?');
    const events: string[] = [];
    one.events.on('link', (dev, state) => events.push(`${dev} ${state}`));
    const open = one.net.connect({ host: '10.0.0.2', port: 7 });
    await new Promise((resolve) => open.once('connect', resolve));
    const broken = new Promise<NodeJS.ErrnoException>((resolve) => open.once('error', resolve));
    near.fail(new NetError('ENODEV', 'read', 'eth0'));
    assert.equal((await broken).code, 'ENODEV');
    assert.equal(one.link.show('eth0')[0]?.state, 'FAILED');
    assert.ok(events.includes('eth0 failed'), String(events));
    one.link.set('eth0', { up: true });
    await until(() => one.link.show('eth0')[0]?.state === 'UP', 'it is up');
    assert.equal(await echo(), 'there?');
    await one.close();
    await two.close();
  });

  it('two of one TAP: EBUSY with what to do; no such namespace: ENOENT; a forbidden one: EPERM. The place is named', async function () {
    needs(this, 'tap', 'root');
    const name = `as${process.pid}`;
    const on = (device: object): AnyStack => createStack({ interfaces: { eth0: { device: { type: 'tap', ...device } } } } as never);
    const stack = on({ name });
    assert.throws(() => on({ name }), { code: 'EBUSY', message: /^interfaces\.eth0\.device: .*another process holds it/ });
    assert.throws(() => on({ netns: '/run/netns/none' }), { code: 'ENOENT', message: /^interfaces\.eth0\.device: .*no such network namespace/ });
    await stack.close();
    const script = `import { createStack } from 'anystack'; try { createStack({ interfaces: { eth0: { device: { type: 'tap' } } } }); } catch (error) { console.log(error.code); }`;
    const user = spawn('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    assert.match((await ended(user)).out, /^E(PERM|ACCES)\n$/);
  });

  it('a process ends by itself when its stacks are closed, or never had anything to wait for; a gateway stays', async function () {
    this.timeout(60_000);
    // One that ends may take its time on a busy machine; one that stays is not waited for.
    const run = (text: string, timeout = 25_000): Promise<{ code: number | null; out: string }> =>
      ended(
        spawn(process.execPath, ['--input-type=module', '-e', `import { createStack, memoryLink } from 'anystack'; ${text}`], {
          stdio: ['ignore', 'pipe', 'pipe'],
          timeout,
        }),
      );
    assert.equal((await run("createStack({ interfaces: { eth0: { device: memoryLink()[0], addresses: ['10.0.0.1/24'] } } });")).code, 0);
    assert.equal(
      (await run("const s = createStack({ sysctl: { 'net.ipv4.ip_forward': 1 } }); s.net.createServer().listen(1); await s.close();")).code,
      0,
    );
    assert.equal((await run("createStack({ sysctl: { 'net.ipv4.ip_forward': 1 } });", 2_000)).code, null);
    assert.equal((await run('createStack().net.createServer().listen(1);', 2_000)).code, null);
  });
});

describe('observers', () => {
  it('share a slot, leave while they are told, and leave null behind', () => {
    const slots = new Observer();
    const observers = new Observers(slots);
    const told: string[] = [];
    const first = (): void => void told.push('first');
    const stopFirst = observers.watch({ state: first });
    assert.equal(slots.rx, null, 'only what is wanted is watched');
    const stopSecond = observers.watch({
      state: () => {
        told.push('second');
        stopSecond();
      },
    });
    slots.state?.('x', 'a', 'b');
    slots.state?.('x', 'a', 'b');
    assert.deepEqual(told, ['first', 'second', 'first']);
    stopFirst();
    assert.equal(slots.state, null);
  });

  it('the log of the last packets grows as it fills, keeps the newest, and notes why one died', () => {
    const pool = new PacketPool(10);
    const slab = new Slab(2_048, 4, 4);
    const log = new PacketLog(100, 32);
    const packet = pool.from(slab) as Packet;
    assert.ok(packet instanceof Packet);
    for (let i = 0; i < 250; i++) {
      packet.tail = packet.head + 20 + (i % 30);
      packet.bytes.fill(i & 255, packet.head, packet.tail);
      log.add(i, 1, Way.Rx, packet, packet.head);
    }
    assert.equal(log.note(packet, 7), true);
    packet.release();
    const kept = [...log].map((entry) => ({ ...entry, bytes: [...entry.bytes] }));
    assert.equal(kept.length, 100);
    assert.equal(log.lost, 150);
    kept.forEach((entry, k) => {
      const i = 150 + k;
      assert.equal(entry.time, i);
      assert.equal(entry.length, 20 + (i % 30));
      assert.deepEqual(entry.bytes, new Array(Math.min(32, entry.length)).fill(i & 255));
      assert.equal(entry.reason, i === 249 ? 7 : 0);
    });
  });

  it('a stack that nobody watches but its recorder says what it saw last', async () => {
    const [one, two] = await pair({ services: { echo: true } });
    const socket = two.dgram.createSocket('udp4');
    socket.send('x', 4_999, '10.0.0.1');
    await until(() => (one.nstat().drops['UdpNoPort'] ?? 0) === 1, 'it was dropped');
    socket.close();
    assert.ok(one.core.ctx.observer.rx !== null);
    await one.close();
    await two.close();
    assert.equal(one.core.ctx.observer.rx, null);
  });
});
