/** The programs of docs/embedding.md that talk to real servers: each runs as it stands in a network namespace, over a TAP, with its server on the kernel's end. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Ended, ended } from '../../support/command.js';
import { type Block, blocks, peerOf, titleOf } from '../../support/documents.js';
import { makeNetns, type Netns } from '../../support/netns.js';
import { needs } from '../../support/requirements.js';
import { sshKeys } from '../../support/ssh2.js';
import { until } from '../../support/until.js';

/** A server, its port, and what its program prints. */
interface Peer {
  /** Starts it in the namespace; answers what the environment of the program needs. */
  start(ns: Netns, folder: string): Record<string, string>;
  /** As `ss` of the kernel shows it. */
  readonly port: string;
  readonly prints: RegExp;
}

const POSTGRES = '/usr/lib/postgresql/15/bin';

const peers: Readonly<Record<string, Peer>> = {
  mosquitto: {
    port: 'tcp 1883',
    prints: /^plant\/pressure 1\.013\n$/,
    start(ns, folder) {
      writeFileSync(join(folder, 'mosquitto.conf'), 'listener 1883 0.0.0.0\nallow_anonymous true\nuser root\n');
      ns.start('mosquitto', '-c', join(folder, 'mosquitto.conf'));
      return {};
    },
  },
  'redis-server': {
    port: 'tcp 6379',
    prints: /^3000000\n$/,
    start(ns, folder) {
      ns.start('redis-server', ...['--bind', '0.0.0.0', '--protected-mode', 'no', '--save', '', '--dir', folder]);
      return {};
    },
  },
  sshd: {
    port: 'tcp 22',
    prints: /^10\.0\.0\.2 \d+ 10\.0\.0\.1 22\n/,
    start(ns, folder) {
      mkdirSync('/run/sshd', { recursive: true });
      const [host, user] = [sshKeys.generateKeyPairSync('ed25519'), sshKeys.generateKeyPairSync('ed25519')];
      const file = (name: string, text: string): string => {
        writeFileSync(join(folder, name), text, { mode: 0o600 });
        return join(folder, name);
      };
      const lines = {
        HostKey: file('host-key', host.private),
        AuthorizedKeysFile: file('authorized', `${user.public}\n`),
        PidFile: 'none',
        StrictModes: 'no',
        UsePAM: 'no',
      };
      const conf = Object.entries(lines).map(([key, value]) => `${key} ${value}\n`);
      ns.start('/usr/sbin/sshd', '-D', '-e', '-f', file('sshd.conf', conf.join('')));
      return { SSH_KEY: file('user-key', user.private) };
    },
  },
  'coap-server-notls': {
    port: 'udp 5683',
    prints: /^<\/>/,
    start(ns) {
      ns.start('coap-server-notls', '-A', '0.0.0.0');
      return {};
    },
  },
  snmpd: {
    port: 'udp 161',
    prints: /^the cellar\n$/,
    start(ns, folder) {
      writeFileSync(join(folder, 'snmpd.conf'), 'rocommunity public\nsysLocation the cellar\n');
      ns.start('snmpd', '-f', '-C', '-c', join(folder, 'snmpd.conf'), '-Le', '-p', join(folder, 'pid'), 'udp:161');
      return {};
    },
  },
  postgres: {
    port: 'tcp 5432',
    prints: /^20000 a1d0c6e83f027327d8461063f4ac58a6\n$/,
    start(ns, folder) {
      const data = join(folder, 'data');
      const as = ['-u', 'postgres', '--'];
      chmodSync(folder, 0o777);
      execFileSync('runuser', [...as, `${POSTGRES}/initdb`, '-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync', '--no-locale'], {
        stdio: 'ignore',
      });
      writeFileSync(join(data, 'pg_hba.conf'), 'host all all 10.0.0.0/24 trust\n');
      ns.start(
        'runuser',
        ...as,
        `${POSTGRES}/postgres`,
        '-D',
        data,
        '-F',
        '-c',
        'listen_addresses=0.0.0.0',
        '-c',
        `unix_socket_directories=${folder}`,
      );
      return {};
    },
  },
};

describe('docs/embedding.md: libraries over a TAP, with servers of other people', function () {
  this.timeout(60_000);

  const run = async ({ start, port }: Peer, block: Block): Promise<Ended> => {
    const ns = makeNetns('emb');
    const folder = mkdtempSync(join(tmpdir(), 'anystack-peer-'));
    chmodSync(folder, 0o755);
    try {
      const env = { ...process.env, ...start(ns, folder) };
      const [kind, number] = port.split(' ') as [string, string];
      const listens = (): boolean => ns.run('ss', '-Hln', kind === 'tcp' ? '-t' : '-u', `sport = :${number}`) !== '';
      await until(listens, `${port} listens`);
      const words = ['netns', 'exec', ns.name, process.execPath, '--input-type=module', '-e', block.text];
      return await ended(spawn('ip', words, { env, stdio: ['ignore', 'pipe', 'pipe'] }));
    } finally {
      ns.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  };

  for (const block of blocks('docs/embedding.md')) {
    const name = peerOf(block);
    if (name === null) continue;
    it(`${titleOf(block)}: ${name}`, async function () {
      needs(this, 'tap', 'netns', `peer:${name}`);
      const peer = peers[name];
      assert.ok(peer !== undefined, 'nobody knows how to start it');
      const { out, err, code } = await run(peer, block);
      assert.deepEqual([err, code], ['', 0]);
      assert.match(out, peer.prints);
    });
  }
});
