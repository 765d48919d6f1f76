import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AnyStack, createStack } from '#src/index.js';
import { makeNetns, type Netns } from '../support/netns.js';
import { needs } from '../support/requirements.js';
import { problems } from '../support/tshark.js';

/** Linux 10.61.1.2 – TAP – our gateway – TAP – Linux 10.61.2.2. */
describe('a gateway between two Linux namespaces', function () {
  this.timeout(60_000);
  let left: Netns;
  let right: Netns;
  let gateway: AnyStack;
  const folder = mkdtempSync(join(tmpdir(), 'anystack-forward-'));

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:ping', 'tools:iperf3', 'tools:traceroute', 'tools:tshark');
    left = makeNetns('left');
    right = makeNetns('right');
    gateway = createStack({
      name: 'gateway',
      interfaces: {
        left: { device: { type: 'tap', name: 'tapl', netns: left.path, hostAddress: '10.61.1.2/24' }, addresses: ['10.61.1.1/24'] },
        right: { device: { type: 'tap', name: 'tapr', netns: right.path, hostAddress: '10.61.2.2/24' }, addresses: ['10.61.2.1/24'] },
      },
      sysctl: { 'net.ipv4.ip_forward': 1 },
    });
    await gateway.ready;
    left.run('ip', 'route', 'add', 'default', 'via', '10.61.1.1');
    right.run('ip', 'route', 'add', 'default', 'via', '10.61.2.1');
  });

  after(async () => {
    await gateway?.close();
    left?.remove();
    right?.remove();
    rmSync(folder, { recursive: true });
  });

  it('ping passes, and with a TTL of 1 the gateway answers', async () => {
    const out = await left.exec('ping', '-c', '3', '-i', '0.1', '-W', '2', '10.61.2.2');
    assert.match(out, /3 received/);
    assert.match(out, /ttl=63/);
    await assert.rejects(left.exec('ping', '-c', '1', '-t', '1', '-W', '2', '10.61.2.2'), /10\.61\.1\.1.*Time to live exceeded/s);
  });

  it('traceroute sees the gateway and then the host', async () => {
    const out = await left.exec('traceroute', '-n', '-q', '1', '-w', '2', '10.61.2.2');
    assert.match(out, /1 +10\.61\.1\.1 .*\n *2 +10\.61\.2\.2 /);
  });

  it('RFC 1191: a smaller link on the way draws fragmentation needed, and the sender learns', async () => {
    gateway.link.set('right', { mtu: 1_280 });
    try {
      await assert.rejects(left.exec('ping', '-c', '1', '-M', 'do', '-s', '1400', '-W', '2', '10.61.2.2'), /mtu.? ?= ?1280/);
      assert.match(await left.exec('ping', '-c', '1', '-s', '1400', '-W', '2', '10.61.2.2'), /1 received/);
    } finally {
      gateway.link.set('right', { mtu: 1_500 });
    }
  });

  it('iperf3 passes in big frames, both ways; tshark finds nothing wrong in the capture', async () => {
    const server = right.start('iperf3', '-s');
    const file = join(folder, 'forward.pcapng');
    const { createWriteStream } = await import('node:fs');
    const stream = createWriteStream(file);
    try {
      await new Promise((resolve) => setTimeout(resolve, 300));
      const rates: number[] = [];
      for (const flags of [[], ['-R']]) {
        const report = JSON.parse(await left.exec('iperf3', '-c', '10.61.2.2', '-t', '1', '-J', ...flags));
        rates.push(report.end.sum_received.bits_per_second / 8e6);
      }
      assert(Math.min(...rates) > 1, `MB/s: ${rates.join(', ')}`);
      const capture = gateway.capture(stream);
      // What the client had not sent when it left is not received, and may pass after the capture.
      const received: number = JSON.parse(await left.exec('iperf3', '-c', '10.61.2.2', '-n', '300K', '-J')).end.sum_received.bytes;
      capture.stop();
      await capture.done;
      await new Promise((resolve) => stream.end(resolve));
      const octets = readFileSync(file).length;
      assert(octets > received && received > 0, `${octets} octets captured, ${received} received: ${JSON.stringify(capture.stats)}`);
      assert.equal(await problems(file), '');
    } finally {
      server.kill();
    }
  });
});
