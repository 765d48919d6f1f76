import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createStack } from '#src/index.js';
import type { MdnsFound } from '#src/services/mdns/browser.js';
import { ended } from '../support/command.js';
import { makeNetns } from '../support/netns.js';
import { needs } from '../support/requirements.js';
import { until } from '../support/until.js';

const boiler = { name: 'Boiler 2', type: '_http._tcp', port: 80, txt: { path: '/status', on: '' } } as const;

describe('multicast DNS with programs of the kernel', () => {
  it('RFC 6762 §5.5, §6.7: dig -p 5353 has its answer, like any resolver', async function () {
    needs(this, 'tap', 'netns', 'tools:dig');
    const ns = makeNetns('mdns');
    const device = { type: 'tap', name: 'tapmdns', netns: ns.path, hostAddress: '10.64.0.1/24' };
    const stack = createStack({
      interfaces: { eth0: { device, addresses: ['10.64.0.2/24'] } },
      services: { mdns: { host: 'plant', services: [boiler] } },
    });
    try {
      await stack.ready;
      // The first questions come while the name is still probed for.
      const dig = async (...words: string[]): Promise<string> =>
        (await ns.exec('dig', '-p', '5353', '@10.64.0.2', '+short', '+time=1', '+tries=9', ...words)).replace(/^;.*\n/gm, '');
      assert.equal(await dig('plant.local'), '10.64.0.2\n');
      assert.equal(await dig('_http._tcp.local', 'PTR'), 'Boiler\\0322._http._tcp.local.\n');
      assert.equal(await dig('Boiler\\0322._http._tcp.local', 'SRV'), '0 0 80 plant.local.\n');
    } finally {
      await stack.close();
      ns.remove();
    }
  });

  it('avahi finds what we offer, and we what it offers', async function () {
    needs(this, 'tap', 'netns', 'peer:avahi-daemon', 'peer:avahi-browse', 'peer:dbus-daemon');
    const ns = makeNetns('avahi');
    const folder = mkdtempSync('/tmp/anystack-avahi-');
    const device = { type: 'tap', name: 'tapavahi', netns: ns.path, hostAddress: '10.64.0.1/24' };
    const stack = createStack({
      interfaces: { eth0: { device, addresses: ['10.64.0.2/24'] } },
      services: { mdns: { host: 'plant', services: [boiler] } },
    });
    try {
      await stack.ready;
      // A bus, a folder for sockets and a host name of its own: nothing of this machine's is touched.
      writeFileSync(`${folder}/avahi.conf`, '[server]\nhost-name=kernel\nallow-interfaces=tapavahi\nuse-ipv6=no\n[wide-area]\nenable-wide-area=no\n');
      writeFileSync(
        `${folder}/ssh.service`,
        '<service-group><name>Shell</name><service><type>_ssh._tcp</type><port>22</port></service></service-group>\n',
      );
      const script = [
        'mount -t tmpfs none /run && mkdir -p /run/dbus /run/avahi-daemon',
        `mkdir -p ${folder}/services && mount -t tmpfs none /etc/avahi/services && cp ${folder}/ssh.service /etc/avahi/services/`,
        'dbus-daemon --system --fork --nopidfile',
        `avahi-daemon --no-drop-root --no-rlimits --no-chroot -f ${folder}/avahi.conf &`,
        'until avahi-browse -a -t -p >/dev/null 2>&1; do sleep 0.2; done',
        'for i in 1 2 3 4 5; do avahi-browse -r -t -p _http._tcp | grep "^=" && break; sleep 0.5; done',
        'sleep 8',
      ];
      const child = spawn(
        'ip',
        ['netns', 'exec', ns.name, 'unshare', '--mount', '--pid', '--fork', '--kill-child', 'bash', '-c', script.join('\n')],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      let out = '';
      child.stdout.on('data', (octets) => (out += String(octets)));
      const over = ended(child);
      const found: MdnsFound[] = [];
      const browser = stack.mdns.browse('_ssh._tcp', (_event, service) => found.push(service));
      await until(
        () => out.includes('=') && found.length > 0,
        () => `both found: ${out} ${JSON.stringify(found)}`,
      );
      browser.close();
      child.kill('SIGKILL');
      await over;
      assert.match(out, /^=;tapavahi;IPv4;Boiler\\0322;.*;plant\.local;10\.64\.0\.2;80;.*"path=\/status"/m);
      assert.deepEqual([found[0]?.name, found[0]?.host, found[0]?.port], ['Shell', 'kernel.local', 22]);
    } finally {
      await stack.close();
      ns.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
