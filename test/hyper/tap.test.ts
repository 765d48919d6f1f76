import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Address, parseAddress, v4 } from '#src/base/address.js';
import { ConfigError, Errno, NetError } from '#src/base/errors.js';
import { type Packet, PacketPool } from '#src/base/packet.js';
import type { DeviceContext } from '#src/hyper/device-context.js';
import { type Device, type DeviceSpec, type FarEnd, type Hypercalls, Offload } from '#src/hyper/hypercalls.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import { Responder } from '../../bench/wire/responder.js';
import { makeNetns, type Netns } from '../support/netns.js';
import { needs, skip } from '../support/requirements.js';

type Host = Hypercalls & DeviceContext;

for (const native of [true, false]) {
  describe(`TAP against the Linux kernel, through ${native ? 'the addon' : 'koffi'}`, function () {
    this.timeout(20_000);
    let ns: Netns;
    let devices: Device[] = [];
    let count = 0;
    let name = '';
    const messages: string[] = [];
    const host = (): Host => createNodeHost({ native, log: (_level, message) => void messages.push(message) });

    before(function () {
      needs(this, 'tap', 'netns', native ? 'addon' : 'koffi');
      ns = makeNetns('tap');
    });
    // A name is free again only when koffi's thread has let go of it.
    beforeEach(() => {
      name = `as${count++}`;
    });
    afterEach(closeAll);
    after(() => ns?.remove());

    async function closeAll(): Promise<void> {
      for (const device of devices) device.close();
      devices = [];
      if (!native) await sleep(80);
    }
    const open = (spec: Partial<DeviceSpec>, on = host()): Responder => {
      const device = on.open({ type: 'tap', name, hostAddress: ['10.9.0.1/24', 'fd00::1/64'], netns: ns.path, ...spec });
      devices.push(device);
      return new Responder(on, device, '10.9.0.2');
    };

    for (const [title, spec] of [
      ['tap with offloads', {}],
      ['tap without', { offload: false }],
      ['tun with offloads', { type: 'tun' }],
      ['tun without', { type: 'tun', offload: false }],
    ] as const) {
      it(`${title}: ping over IPv4 and IPv6, and UDP echo with its checksum`, async () => {
        const responder = open(spec);
        const { device } = responder;
        assert.equal(device.kind, spec && 'type' in spec ? 'tun' : 'tap');
        assert.equal(device.mtu, 1500);
        assert.ok(device.carrier);
        assert.match(await ns.exec('ping', '-c', '3', '-i', '0.05', '-W', '2', '10.9.0.2'), / 3 received/);
        assert.match(await ns.exec('ping', '-c', '3', '-i', '0.05', '-W', '2', '-s', '1400', 'fd00::2'), / 3 received/);
        const echoed = await ns.exec('python3', '-c', udpEcho('10.9.0.2'));
        assert.match(echoed, /ok 20/);
        assert.equal(responder.pool.held, 0);
        assert.equal(device.statistics?.()['txDropped'], 0);
      });
    }

    if (native)
      it('plain frames are received by a thread of the kernel', () => {
        open({ offload: false });
        assert.equal(ns.run('cat', `/sys/class/net/${name}/threaded`).trim(), '1');
      });

    it('the namespace is visited, not moved to', () => {
      open({});
      assert.match(ns.run('ip', '-o', 'addr', 'show', name), /10\.9\.0\.1\/24/);
      assert.match(ns.run('ip', '-o', 'addr', 'show', name), /fd00::1\/64/);
      assert.ok(!Object.keys(networkInterfaces()).includes(name));
    });

    it("our station address differs from the host's, or is the one given", async () => {
      const { device } = open({});
      const hosts = /link\/ether (\S+)/.exec(ns.run('ip', 'link', 'show', name))?.[1];
      const ours = [...device.mac].map((x) => x.toString(16).padStart(2, '0')).join(':');
      assert.notEqual(ours, hosts);
      assert.equal((device.mac[0] as number) & 3, 2);
      await closeAll();
      assert.deepEqual([...open({ mac: '02:00:00:00:00:07' }).device.mac], [2, 0, 0, 0, 0, 7]);
    });

    it('MTU 9000 is set and frames of it pass', async () => {
      const responder = open({ mtu: 9000 });
      assert.equal(responder.device.mtu, 9000);
      assert.match(await ns.exec('ping', '-c', '2', '-i', '0.05', '-W', '2', '-M', 'do', '-s', '8972', '10.9.0.2'), / 2 received/);
      assert.equal(responder.largest, 9014);
    });

    it('the far end is told what to look like: station address, MTU, carrier, addresses', () => {
      const device = host().open({ type: 'tap', name, netns: ns.path });
      devices.push(device);
      const far = device.far as FarEnd;
      const shown = (...what: string[]): string => ns.run('ip', '-o', ...what, 'show', name);
      assert.equal(far.index, Number(shown('link').split(':')[0]));
      const mac = Uint8Array.of(2, 0, 0, 0, 7, 7);
      assert.deepEqual([far.set({ up: false, mac, linkLocal: false }), far.set({ up: true, mtu: 1_400, carrier: false })], [0, 0]);
      assert.match(shown('link'), /NO-CARRIER.* mtu 1400 .*02:00:00:00:07:07/s);
      far.set({ carrier: true });
      assert.match(shown('link'), /LOWER_UP/);
      const six = parseAddress('fd00::7') as Address;
      assert.deepEqual([far.addAddress(v4(0x0a090901), 24), far.addAddress(six, 64), far.addAddress(six, 64)], [0, 0, 0]);
      assert.deepEqual(shown('address').match(/inet6? \S+/g), ['inet 10.9.9.1/24', 'inet6 fd00::7/64'], 'and no link-local address');
      assert.deepEqual([far.removeAddress(v4(0x0a090901), 24), far.removeAddress(six, 64)], [0, 0]);
      assert.equal(shown('address'), '');
      assert.equal(far.removeAddress(six, 64), -Errno.EADDRNOTAVAIL);
    });

    it('a host side taken down and up again, and one removed', async () => {
      const on = host();
      const device = on.open({ type: 'tap', name, netns: ns.path });
      devices.push(device);
      const seen: string[] = [];
      device.start({
        readable: () => void device.receive(new PacketPool(10), [], 10),
        writable() {},
        carrier: (up) => seen.push(`carrier ${up}`),
        mtu: (octets) => seen.push(`mtu ${octets}`),
        failed: (error) => seen.push(`failed ${error.code}`),
      });
      if (native) {
        ns.run('ip', 'link', 'set', name, 'down');
        await sleep(50);
        assert.ok(!device.carrier);
        ns.run('ip', 'link', 'set', name, 'up', 'mtu', '1400');
        await sleep(50);
        assert.deepEqual(seen.splice(0), ['carrier false', 'carrier true', 'mtu 1400']);
        assert.equal(device.mtu, 1400);
      }
      ns.run('ip', 'link', 'delete', name);
      await sleep(native ? 50 : 400);
      assert.equal(seen.at(-1), 'failed ENODEV');
      assert.ok(!device.carrier);
    });

    it('errors come at once and say what to do', () => {
      const on = host();
      open({});
      const opening = (spec: DeviceSpec) => () => void devices.push(on.open(spec));
      assert.throws(opening({ type: 'tap', name, netns: ns.path }), (e: NetError) => e.code === 'EBUSY' && /another process/.test(e.message));
      assert.throws(opening({ type: 'tap', netns: '/run/netns/as-none' }), (e: NetError) => e.code === 'ENOENT' && /namespace/.test(e.message));
      assert.throws(opening({ type: 'tun', name: 'lo', netns: ns.path }), (e: NetError) => e instanceof NetError && e.code === 'EINVAL');
      assert.throws(opening({ type: 'tap', name: 'a-name-that-is-too-long' }), ConfigError);
      assert.throws(opening({ type: 'tap', hostAddress: '10.0.0.300' }), ConfigError);
      assert.throws(opening({ type: 'tap', hostAdress: '10.0.0.1' }), /did you mean 'hostAddress'/);
      assert.throws(opening({ type: 'tap', mtu: 'big' }), /'mtu' is to be a number/);
      assert.throws(opening({ type: 'tab' }), /did you mean 'tap'/);
      assert.throws(opening({ type: 'tap', mac: '01:00:00:00:00:01' }), ConfigError);
    });

    it('without the privilege: the error says whom to ask', function () {
      needs(this, 'root');
      const script = `
        import { createNodeHost } from '#src/hyper/node-host.js';
        try {
          createNodeHost({ native: ${native}, log() {} }).open({ type: 'tap', name: 'as0' });
        } catch (error) {
          console.log(error.code, error.message);
        }`;
      const root = fileURLToPath(new URL('../../../', import.meta.url));
      const nobody = { uid: 65_534, gid: 65_534 };
      const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: root, encoding: 'utf8', ...nobody });
      assert.match(stdout, /^(EACCES|EPERM) .*not permitted/, stderr);
    });

    it('two queues of one multi-queue device', () => {
      open({ queues: 2 });
      open({ queues: 2, hostAddress: [] });
      assert.match(ns.run('ip', '-d', 'link', 'show', name), /multi_queue/);
    });

    const bulk = async (near: string, remote: string): Promise<void> => {
      const far = makeNetns('far');
      try {
        const on = host();
        const pool = new PacketPool(4_096);
        const a = on.open({ type: 'tap', name, hostAddress: near, netns: ns.path });
        const b = on.open({ type: 'tap', name, hostAddress: remote, netns: far.path });
        devices.push(a, b);
        const largest = new Map([
          [a, 0],
          [b, 0],
        ]);
        const into: Packet[] = [];
        on.attach(() => {
          for (const [from, to] of [
            [a, b],
            [b, a],
          ] as const) {
            const n = from.receive(pool, into, 64);
            for (let i = 0; i < n; i++) largest.set(from, Math.max(largest.get(from) as number, into[i]?.length as number));
            const sent = to.transmit(into, n);
            for (let i = sent; i < n; i++) into[i]?.release();
          }
        });
        for (const device of [a, b]) device.start({ readable: () => on.soon(), writable() {}, carrier() {}, mtu() {}, failed() {} });
        const server = far.exec('python3', '-c', tcpServer(remote));
        await sleep(300);
        const client = await ns.exec('python3', '-c', tcpClient(remote));
        assert.equal(client.trim(), (await server).trim());
        assert.ok((largest.get(a) as number) > 30_000, `largest ${largest.get(a)}`);
        assert.ok((largest.get(b) as number) > 30_000, `largest ${largest.get(b)}`);
        assert.equal(pool.held, 0);
      } finally {
        far.remove();
      }
    };
    it('TCP frames of 64 KB pass in both directions between two kernels, IPv4', () => bulk('10.8.0.1/24', '10.8.0.2/24'));
    it('TCP frames of 64 KB pass in both directions between two kernels, IPv6', () => bulk('fd08::1/64', 'fd08::2/64'));

    for (const [version, address] of [
      [4, '10.9.0.2'],
      [6, 'fd00::2'],
    ] as const) {
      it(`UDP of many segments is received as one frame and echoed as one, IPv${version}`, async function () {
        const responder = open({});
        const { device } = responder;
        if ((device.offloads & Offload.Uso) === 0) skip(this, 'the kernel has no UDP segmentation offload for TAPs: Linux 6.2 or later');
        assert.match(await ns.exec('python3', '-c', segmentedEcho(address)), /ok 28000/);
        assert.ok(responder.largest > 28_000, `largest ${responder.largest}`);
        assert.equal(device.statistics?.()['txDropped'], 0);
      });
    }
  });
}

const segmentedEcho = (address: string): string => `
import socket
s = socket.socket(socket.AF_INET6 if ':' in '${address}' else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.connect(('${address}', 7))
s.send(b'x')
s.recv(2000)
s.setsockopt(17, 103, 1400)
s.send(bytes(28000))
got = 0
while got < 28000: got += len(s.recv(2000))
print('ok', got)
`;

const udpEcho = (address: string): string => `
import socket, os
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.connect(('${address}', 7))
ok = 0
for n in range(20):
    data = os.urandom(1 + 73 * n)
    s.send(data)
    ok += s.recv(2000) == data
print('ok', ok)
`;

const EXCHANGE = `
import hashlib, threading, os
def exchange(s):
    out, got = os.urandom(1 << 20) * 16, hashlib.sha1()
    def send():
        s.sendall(out)
        s.shutdown(1)
    t = threading.Thread(target=send)
    t.start()
    while True:
        data = s.recv(1 << 20)
        if not data: break
        got.update(data)
    t.join()
    print(' '.join(sorted([hashlib.sha1(out).hexdigest(), got.hexdigest()])))
`;

const place = (prefix: string): string => `'${prefix.split('/')[0]}', 9`;

const tcpServer = (prefix: string): string => `${EXCHANGE}
import socket
l = socket.create_server((${place(prefix)}), family=${prefix.includes(':') ? 'socket.AF_INET6' : 'socket.AF_INET'})
l.settimeout(10)
exchange(l.accept()[0])
`;

const tcpClient = (prefix: string): string => `${EXCHANGE}
import socket
exchange(socket.create_connection((${place(prefix)}), 5))
`;
