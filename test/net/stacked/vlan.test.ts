import assert from 'node:assert/strict';
import { NetError } from '#src/base/errors.js';
import { type AnyStack, createStack, memoryLink } from '#src/index.js';
import type { Interface } from '#src/net/interface.js';
import { prefix } from '../../support/stacks.js';
import { Bench, concat, hex, ipv4, toHex, udp } from '../../support/wire.js';

const BROADCAST = hex('ffffffffffff');
const STATION = hex('020000000009');

describe('VLAN interfaces (IEEE 802.1Q)', () => {
  let t: Bench;
  let ten: Interface;
  beforeEach(() => {
    t = new Bench();
    ten = t.stack.stacking.vlan('eth0.10', t.eth0, 10);
    t.stack.addAddress(ten, prefix('10.10.0.1/24'));
    t.frames();
  });
  afterEach(() => t.end());

  /** A frame with a tag. */
  const tagged = (tci: number, type: number, payload: Uint8Array, to: Uint8Array = t.mac): void =>
    t.frame(concat(to, STATION, new Uint8Array([0x81, 0, tci >> 8, tci & 255, type >> 8, type & 255]), payload));
  const who = (target: string): Uint8Array => hex(`0001 0800 06 04 0001 020000000009 0a0a0009 000000000000 ${target}`);

  it('takes the tag off what comes in, and puts it on what goes out', () => {
    tagged(10, 0x0806, who('0a0a0001'), BROADCAST);
    const [answer] = t.frames();
    assert.equal(toHex((answer as Uint8Array).subarray(0, 18)), `020000000009${toHex(t.mac)}8100000a0806`);
    tagged((5 << 13) | 10, 0x0800, ipv4({ src: '10.10.0.9', dst: '10.10.0.1', payload: udp(9, 9) })); // with a priority
    const [unreachable] = t.frames();
    assert.equal(toHex((unreachable as Uint8Array).subarray(12, 18)), '8100000a0800');
    assert.equal((unreachable as Uint8Array)[18 + 20], 3, 'port unreachable, in the VLAN it came from');
    t.dropped({ UdpNoPort: 1 });
    assert.equal(ten.rxPackets, 2);
    assert.equal(ten.txPackets, 2);
  });

  it('keeps apart what belongs to other VLANs, and untagged frames', () => {
    tagged(11, 0x0806, who('0a0a0001'), BROADCAST);
    tagged(11, 0x0806, who('0a0a0001'), hex('020000000077'));
    t.quiet();
    t.dropped({ VlanUnknown: 1, EthernetOtherHost: 1 });
    t.ether(0x0806, who('0a0a0001'), BROADCAST); // untagged: eth0 has no such address
    t.quiet();
    t.dropped({});
    tagged(0, 0x0806, hex('0001 0800 06 04 0001 020000000009 0a000009 000000000000 0a000001'), BROADCAST);
    const [answer] = t.frames();
    assert.equal(toHex((answer as Uint8Array).subarray(12, 14)), '0806', 'a priority tag alone belongs to eth0 (§6.9.1)');
    t.frame(concat(t.mac, STATION, hex('8100 00')));
    t.dropped({ VlanTruncated: 1 });
  });

  it('two VLANs of one cable may have the same addresses, in VRFs of their own', () => {
    const twenty = t.stack.stacking.vlan('eth0.20', t.eth0, 20, 7);
    t.stack.addAddress(twenty, prefix('10.10.0.1/24'));
    t.frames();
    tagged(20, 0x0806, who('0a0a0001'), BROADCAST);
    assert.equal(toHex((t.frames()[0] as Uint8Array).subarray(12, 16)), '81000014');
  });

  it('follows the carrier and the MTU of what it stands on, and goes with it', () => {
    t.events.length = 0;
    t.cable(false);
    assert.deepEqual(t.events, ['link: eth0 down', 'link: eth0.10 down']);
    t.cable(true);
    assert.ok(ten.running);
    assert.throws(() => t.stack.stacking.vlan('again', t.eth0, 10), { code: 'EEXIST' });
    assert.throws(() => t.stack.stacking.vlan('bad', t.eth0, 4_095), { code: 'EINVAL' });
    assert.throws(() => t.stack.stacking.vlan('lo.1', t.stack.interfaces.at(1) as Interface, 1), { code: 'EINVAL' });
    t.stack.removeInterface(t.eth0);
    assert.ok(ten.error instanceof NetError && !ten.running);
    t.stack.removeInterface(ten);
    assert.equal(t.stack.demux.vlan, null);
  });
});

describe('VLAN interfaces by configuration', () => {
  let one: AnyStack;
  let two: AnyStack;
  const trunk = (name: string, device: unknown, host: number): AnyStack =>
    createStack({
      name,
      interfaces: {
        // What stands on another may stand before it in the file.
        'eth0.10': { vlan: { parent: 'eth0', id: 10 }, addresses: [`10.10.0.${host}/24`] },
        eth0: { device: device as never },
      },
      services: { discard: true },
    });
  afterEach(() => Promise.all([one.close(), two.close()]));

  for (const [what, offloads] of [
    ['whole frames of 64 KB', undefined],
    ['segments where the device takes no big frames', 0],
  ] as const) {
    it(`carry TCP: ${what}`, async () => {
      const [a, b] = memoryLink(offloads === undefined ? {} : { offloads });
      one = trunk('one', a, 1);
      two = trunk('two', b, 2);
      await Promise.all([one.ready, two.ready]);
      let longest = 0;
      const stop = one.watch({ rx: (iface, packet) => iface.name === 'eth0.10' && (longest = Math.max(longest, packet.length)) });
      const socket = two.net.connect({ host: '10.10.0.1', port: 9 });
      socket.end(Buffer.alloc(500_000, 0x61));
      await new Promise((resolve) => socket.once('close', resolve));
      stop();
      assert.ok(offloads === undefined ? longest > 10_000 : longest === 1_514, `${longest}`);
      assert.equal(one.nstat().drops['TcpBadChecksum'], undefined);
    });
  }

  it('come, change and go by a reload, with those that stand on them', async () => {
    const [a, b] = memoryLink();
    one = trunk('one', a, 1);
    two = trunk('two', b, 2);
    await Promise.all([one.ready, two.ready]);
    one.reload({ interfaces: { eth0: { device: a }, 'eth0.10': { vlan: { parent: 'eth0', id: 30 }, addresses: ['10.30.0.1/24'] } } });
    assert.ok(one.addr.show('eth0.10').some((x) => x.address === '10.30.0.1'));
    one.reload({ interfaces: { eth0: { device: a } } });
    assert.equal(one.core.interfaces.named('eth0.10'), null);
    for (const [interfaces, sentence] of [
      [{ v: { vlan: { parent: 'eth9', id: 1 } } }, /interfaces\.v\.vlan names 'eth9', which is no interface/],
      [{ v: { vlan: { parent: 'v', id: 1 } } }, /interfaces\.v stands on itself/],
      [{ v: { device: { type: 'udp' }, bridge: { ports: ['v'] } } }, /interfaces\.v has both 'device' and 'bridge'/],
      [{ v: {} }, /interfaces\.v has no 'device'/],
    ] as const) {
      assert.throws(() => one.reload({ interfaces: interfaces as never }), sentence);
    }
  });
});
