import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createNodeHost } from '#src/hyper/node-host.js';
import type { Interface } from '#src/net/interface.js';
import type { Auth, Connection } from '#src/net/ipsec/ike/connection.js';
import { Stack } from '#src/net/stack.js';
import { Sysctl } from '#src/net/sysctl.js';
import { IkeService } from '#src/services/ike.js';
import { type ConnectionText, connection, psk } from '../support/ike.js';
import { type Counterparts, counterparts } from '../support/interop.js';
import { dropsOf, route } from '../support/ipsec.js';
import { address, prefix } from '../support/stacks.js';

interface Case {
  readonly ike: string;
  readonly esp: string;
  readonly auth?: 'psk' | 'ecdsa' | 'rsa' | 'ed25519';
  readonly env?: Readonly<Record<string, string>>;
  /** Who begins. */
  readonly by: 'us' | 'them';
  readonly v6?: 'inside' | 'both';
}

describe('IKEv2 and ESP against strongSwan', function () {
  this.timeout(60_000);
  let peers: Counterparts;
  let stack: Stack;
  let service: IkeService;
  let failure: Error | null = null;
  const log: string[] = [];
  const added: Connection[] = [];

  before(function () {
    peers = counterparts(this);
    peers.scriptSync('tap/net-tap.sh', ['half']);
    peers.scriptSync('ss/mkpki.sh');
    stack = new Stack('b', createNodeHost(), new Sysctl(), { failed: (error) => (failure = error), conflict: () => {}, link: () => {} });
    const eth0 = stack.addInterface('eth0', stack.hyper.open({ type: 'tap', name: 'tpa', netns: `/run/netns/${peers.prefix}A` }));
    for (const text of ['192.0.2.2/24', '10.2.0.1/32', '2001:db8:c::2/64', '2001:db8:2::1/128']) stack.addAddress(eth0, prefix(text));
    route(stack, prefix('10.1.0.0/24'), address('192.0.2.1'), eth0.index, address('10.2.0.1'));
    route(stack, prefix('2001:db8:1::/64'), address('2001:db8:c::1'), eth0.index, address('2001:db8:2::1'));
    service = new IkeService(stack, {
      events: {
        up: (sa) => log.push(`up ${sa.peerId?.text}`),
        down: (_sa, why) => log.push(`down: ${why}`),
        child: (_child, what) => log.push(`child ${what}`),
        failed: (_sa, _child, why) => log.push(`failed: ${why}`),
        keys: () => {},
        configured: () => {},
      },
    });
  });
  after(() => {
    if (stack === undefined) return;
    service.close();
    stack.close();
    peers.scriptSync('tap/net-tap.sh', ['down']);
  });

  afterEach(async () => {
    if (stack === undefined) return;
    for (const sa of service.ike.list()) sa.end('the test is over');
    for (const c of [...added.splice(0)]) service.ike.remove(c);
    for (const child of [...service.ike.lingering]) child.finish();
    await peers.script('ss/stop.sh', ['A']);
    if (failure !== null) throw failure;
  });

  const pki = (file: string): Uint8Array => new Uint8Array(new X509Certificate(readFileSync(`${peers.run}/pki/${file}`)).raw);
  const authOf = (kind: string): Auth =>
    kind === 'psk'
      ? psk('ipx-interop-psk-0123456789')
      : {
          method: 'pubkey',
          certificates: [pki(`B.${kind}.crt`)],
          key: readFileSync(`${peers.run}/pki/B.${kind}.key`, 'utf8'),
          kind: kind === 'ecdsa' ? 'ecdsa-256' : kind,
          anchors: [pki('ca.crt')],
        };

  async function until(fact: () => boolean, what: string): Promise<void> {
    for (let i = 0; i < 200; i++) {
      if (failure !== null) throw failure;
      if (fact()) return;
      await sleep(50);
    }
    assert.fail(`${what}: ${JSON.stringify([log, dropsOf(stack), service.ike.list().map((sa) => [sa.state, sa.error])])}`);
  }

  async function start(c: Case, more: Partial<ConnectionText> = {}): Promise<Connection> {
    const v6outer = c.v6 === 'both';
    const [theirs, ours] = v6outer ? ['2001:db8:c::1', '2001:db8:c::2'] : ['192.0.2.1', '192.0.2.2'];
    const [there, here] = c.v6 === undefined ? ['10.1.0.0/24', '10.2.0.0/24'] : ['2001:db8:1::/64', '2001:db8:2::/64'];
    const env = { IKE: c.ike, ESP: c.esp, AUTH: c.auth ?? 'psk', ...c.env };
    log.length = 0;
    await peers.script('ss/node.sh', ['A', `${peers.prefix}A`, theirs, ours, there, here], env);
    const mine = connection({
      local: ours,
      remote: theirs,
      localId: 'nodeB.ipx',
      remoteId: 'nodeA.ipx',
      localTs: [here],
      remoteTs: [there],
      ike: [c.ike],
      esp: [c.esp],
      auth: authOf(c.auth ?? 'psk'),
      ...more,
    });
    service.ike.add(mine);
    added.push(mine);
    if (c.by === 'us') service.ike.initiate(mine);
    else assert.match(await peers.script('ss/sw.sh', ['A', '--initiate', '--child', 'net']), /initiate completed successfully/);
    await until(() => service.ike.list().some((sa) => sa.children.length > 0), 'the child is up');
    return mine;
  }

  async function ping(v6 = false, count = 3, size = 56): Promise<number> {
    const [from, to] = v6 ? ['2001:db8:1::1', '2001:db8:2::1'] : ['10.1.0.1', '10.2.0.1'];
    const out = await pings(from, to, count, size);
    return Number(/(\d+) received/.exec(out)?.[1] ?? -1);
  }

  const pings = (from: string, to: string, count: number, size: number): Promise<string> =>
    new Promise((resolve) => {
      void import('node:child_process').then(({ execFile }) =>
        execFile(
          'ip',
          ['netns', 'exec', `${peers.prefix}A`, 'ping', '-c', String(count), '-i', '0.05', '-W', '2', '-s', String(size), '-I', from, to],
          (_e, out, err) => resolve(out + err),
        ),
      );
    });

  async function stop(mine: Connection): Promise<void> {
    service.ike.remove(mine);
    await until(() => service.ike.list().length === 0, 'the IKE SA is deleted');
  }

  const cases: Case[] = [
    { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16-x25519', by: 'us' },
    { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16-x25519', by: 'them' },
    { ike: 'aes256gcm16-prfsha384-ecp256', esp: 'aes256gcm16', by: 'us' },
    { ike: 'chacha20poly1305-prfsha256-x25519', esp: 'chacha20poly1305', by: 'them' },
    { ike: 'aes256-sha256-modp2048', esp: 'aes256-sha256', by: 'us' },
    { ike: 'aes128-sha256-ecp256', esp: 'aes128-sha256', by: 'them' },
    { ike: 'aes256-sha512-ecp384', esp: 'aes256-sha512', by: 'us' },
    { ike: 'aes256-sha384-modp4096', esp: 'aes256-sha384', by: 'them' },
    { ike: 'aes128-sha1-modp1024', esp: 'aes128-sha1', by: 'us' },
    { ike: 'aes128gcm16-prfsha256-ecp521', esp: 'aes128ctr-sha256', by: 'us' },
    { ike: 'aes128gcm16-prfsha256-modp3072', esp: 'aes128ccm16', by: 'us' },
    { ike: 'aes128gcm16-prfsha256-x25519', esp: 'null-sha256', by: 'them' },
    { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16', auth: 'ecdsa', by: 'us' },
    { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16', auth: 'ecdsa', by: 'them' },
    { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16', auth: 'rsa', by: 'us' },
    { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16', auth: 'rsa', by: 'them' },
    { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16', auth: 'ed25519', by: 'us' },
    { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16', auth: 'ed25519', by: 'them' },
    { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16', auth: 'rsa', by: 'them', env: { FRAG: 'force', FRAGSIZE: '600' } },
    { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16', by: 'us', v6: 'inside' },
    { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16', by: 'them', v6: 'both' },
  ];
  for (const c of cases) {
    const what = `${c.ike} / ${c.esp} ${c.auth ?? 'psk'}${c.v6 === undefined ? '' : ` IPv6 ${c.v6}`}${c.env?.['FRAG'] === undefined ? '' : ' in fragments'}`;
    it(`${what}, ${c.by} first: pings pass and the SA is deleted`, async () => {
      const mine = await start(c);
      assert.equal(await ping(c.v6 !== undefined), 3, JSON.stringify([log, dropsOf(stack)]));
      assert.equal(await ping(c.v6 !== undefined, 3, 1_200), 3);
      await stop(mine);
    });
  }

  for (const by of ['us', 'them'] as const) {
    it(`rekeying by ${by}: child and IKE SA under traffic, and nothing is lost`, async () => {
      const mine = await start({ ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16-x25519', by: 'us' });
      const traffic = ping(false, 60);
      for (let round = 0; round < 2; round++) {
        await sleep(300);
        const [sa] = service.ike.list();
        if (by === 'us') sa?.children[0]?.rekey();
        else await peers.script('ss/sw.sh', ['A', '--rekey', '--child', 'net']);
        await until(() => log.filter((l) => l === 'child rekeyed').length > round, 'the child is rekeyed');
        await sleep(200);
        const before = service.ike.list().find((s) => s.state === 'established');
        if (by === 'us' && before !== undefined) service.ike.exchanges.rekeyIke(before);
        else await peers.script('ss/sw.sh', ['A', '--rekey', '--ike', 'ipx']);
        await until(
          () => service.ike.list().some((s) => s.state === 'established' && s !== before) && service.ike.list().length === 1,
          'the IKE SA is rekeyed',
        );
      }
      assert.equal(await traffic, 60, JSON.stringify([log, dropsOf(stack)]));
      await stop(mine);
    });
  }

  it('MOBIKE: our address goes, and pings pass by the other under the same IKE SA', async () => {
    const eth0 = stack.interfaces.named('eth0') as Interface;
    stack.addAddress(eth0, prefix('192.0.2.12/24'));
    try {
      const mine = await start(
        { ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16', by: 'us', env: { MOBIKE: 'yes' } },
        { more: { mobike: true } },
      );
      assert.equal(await ping(), 3);
      const [sa] = service.ike.list();
      assert(sa?.mobility !== null, 'strongSwan can');
      stack.addresses.remove(eth0, address('192.0.2.2'));
      route(stack, prefix('10.1.0.0/24'), address('192.0.2.1'), eth0.index, address('10.2.0.1'));
      await until(() => String(sa?.local) === '192.0.2.12' && sa?.idle === true, 'the update is answered');
      assert.equal(await ping(), 3, JSON.stringify([log, dropsOf(stack)]));
      assert.equal(service.ike.list()[0], sa, 'the same IKE SA; its userspace ESP makes children anew');
      await stop(mine);
    } finally {
      stack.addAddress(eth0, prefix('192.0.2.2/24'));
      stack.addresses.remove(eth0, address('192.0.2.12'));
      route(stack, prefix('10.1.0.0/24'), address('192.0.2.1'), eth0.index, address('10.2.0.1'));
    }
  });

  it('the peer is killed: no sign of life, and the IKE SA ends', async () => {
    const mine = await start({ ike: 'aes128gcm16-prfsha256-x25519', esp: 'aes128gcm16', by: 'us' }, { more: { dpdSeconds: 1 } });
    assert.equal(await ping(), 3);
    process.kill(Number(readFileSync(`${peers.run}/ss-A/pid`, 'utf8')), 'SIGKILL');
    const [sa] = service.ike.list();
    // Six tries with doubled waits take a minute; what counts is that the first has gone out unanswered.
    await until(() => sa?.idle === false, 'a sign of life is asked for');
    assert.ok(mine.dpdSeconds === 1);
  });
});
