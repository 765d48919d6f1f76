/**
 * IKE_SA_INIT and IKE_AUTH with x25519 and a shared key: CPU of both ends in this process, threads included; 1,000 tunnels between two stacks,
 * begun at once; and how long one turn of the loop was held up meanwhile. `npm run bench -- packet/ike`.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parsePrefix } from '#src/base/address.js';
import { memoryLink } from '#src/hyper/memory-link.js';
import { loadNative } from '#src/hyper/native.js';
import { nodeCrypto } from '#src/hyper/node-crypto.js';
import { VirtualClock, VirtualHost } from '#src/hyper/virtual-host.js';
import type { IkeSa } from '#src/net/ipsec/ike/ike-sa.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import { IkeService } from '#src/services/ike.js';
import { readConnection } from '#src/services/ike-config.js';

const prefix = (text: string): NonNullable<ReturnType<typeof parsePrefix>> => parsePrefix(text) as NonNullable<ReturnType<typeof parsePrefix>>;
const secrets = [{ secret: 'correct horse battery staple' }];

/** Brings `tunnels` up and takes the stacks down. CPU and wall time in ms, the longest turn in ms. */
async function up(tunnels: number, proposal: string): Promise<{ cpu: number; wall: number; turn: number }> {
  const clock = new VirtualClock();
  const devices = memoryLink({ queueFrames: 16_384 });
  const [a, b] = devices.map((device, n) => {
    const host = new VirtualHost({ clock, seed: n + 1, crypto: nodeCrypto(loadNative()) });
    const stack = new Stack(`ike${n}`, host, new Sysctl('linux', { 'net.ipv6.conf.all.disable_ipv6': 1, 'net.core.rmem_default': 8_000_000 }), {
      failed: (error) => {
        throw error;
      },
      conflict: () => {},
      link: () => {},
    });
    stack.addAddress(stack.addInterface('eth0', device), prefix(`192.0.2.${n + 1}/24`));
    return { stack, ike: new IkeService(stack).ike };
  }) as [{ stack: Stack; ike: IkeService['ike'] }, { stack: Stack; ike: IkeService['ike'] }];
  clock.advance(5_000_000);
  const proposals = [proposal];
  b.ike.add(
    readConnection(
      'all',
      { proposals, local: { id: 'gateway' }, children: { net: { localTs: ['10.2.0.0/16'], remoteTs: ['10.1.0.0/16'] } } },
      secrets,
      () => null,
    ),
  );
  const connections = Array.from({ length: tunnels }, (_, i) => {
    const children = { net: { localTs: [`10.1.${i >> 8}.${i & 255}/32`], remoteTs: ['10.2.0.0/16'] } };
    const spec = { proposals, localAddr: '192.0.2.1', remoteAddr: '192.0.2.2', local: { id: `c${i}.test` }, remote: { id: 'gateway' }, children };
    return readConnection(`c${i}`, spec, secrets, () => null);
  });
  for (const connection of connections) a.ike.add(connection);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const cpu = process.cpuUsage();
  const start = performance.now();
  const sas = connections.map((connection) => a.ike.initiate(connection) as IkeSa);
  // Virtual time keeps pace with the clock: the thread that does the public-key work runs by that one.
  for (let last = start; sas.some((sa) => sa.state === 'connecting'); ) {
    const now = performance.now();
    clock.advance((now - last) * 1_000);
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 1)); // without turning idly: that would count as work
  }
  const used = process.cpuUsage(cpu);
  const wall = performance.now() - start;
  delay.disable();
  const established = sas.filter((sa) => sa.children.length > 0).length;
  if (established !== tunnels) throw new RangeError(`${established} of ${tunnels}: ${sas.find((sa) => sa.error !== '')?.error}`);
  for (const { stack } of [a, b]) stack.close();
  clock.advance(1_000_000);
  return { cpu: (used.user + used.system) / 1_000, wall, turn: delay.max / 1e6 };
}

const figure = (name: string, value: number, unit: string): void =>
  void process.stdout.write(`${name.padEnd(60)} ${value.toFixed(2).padStart(8)} ${unit}\n`);

await up(200, 'aes128gcm16-prfsha256-x25519');
const many = await up(1_000, 'aes128gcm16-prfsha256-x25519');
figure('IKE_SA_INIT and IKE_AUTH, x25519, PSK: one end', many.cpu / 2_000, 'ms of CPU');
figure('1,000 tunnels, both ends', many.wall / 1_000, 's');
const heavy = await up(20, 'aes128-sha256-modp4096');
figure('modp4096, 20 tunnels: longest turn of the loop', heavy.turn, 'ms');
