import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AnyStack, createStack } from '#src/index.js';
import type { MdnsFound } from '#src/services/mdns/browser.js';
import type { MdnsRecord } from '#src/services/mdns/bus.js';
import { additionalTo, answersTo, compareSets, known, serviceRecords } from '#src/services/mdns/records.js';
import { ended } from '../support/command.js';
import { makeNetns } from '../support/netns.js';
import { pair } from '../support/pair.js';
import { needs } from '../support/requirements.js';
import { until } from '../support/until.js';

const boiler = { name: 'Boiler 2', type: '_http._tcp', port: 80, txt: { path: '/status', on: '' } } as const;

describe('multicast DNS: what answers what', () => {
  const own: MdnsRecord[] = [
    { name: 'plant.local', type: 'A', ttl: 120, flush: true, data: '10.0.0.1' },
    ...serviceRecords(boiler, 'Boiler 2', 'plant'),
  ];
  const types = (records: readonly MdnsRecord[]): string[] => records.map(({ name, type }) => `${type} ${name}`);

  it('RFC 6763 §4: a type has instances, an instance its place and its text, and what comes next is sent along', () => {
    const answers = answersTo({ name: '_HTTP._tcp.local', type: 'PTR' }, own);
    assert.deepEqual(types(answers), ['PTR _http._tcp.local']);
    assert.deepEqual(types(additionalTo(answers, own)), ['SRV Boiler 2._http._tcp.local', 'TXT Boiler 2._http._tcp.local', 'A plant.local']);
    assert.deepEqual(answersTo({ name: '_services._dns-sd._udp.local', type: 'PTR' }, own)[0]?.data, '_http._tcp.local');
    assert.equal(answersTo({ name: 'boiler 2._http._tcp.local', type: 'ANY' }, own).length, 2);
    assert.deepEqual(answersTo({ name: 'other.local', type: 'A' }, own), []);
  });

  it('RFC 6762 §6.1: a name of ours without the type has a record that says so', () => {
    const [nsec] = answersTo({ name: 'plant.local', type: 'AAAA' }, own);
    assert.deepEqual([nsec?.type, nsec?.data], ['NSEC', { nextDomain: 'plant.local', rrtypes: ['A'] }]);
  });

  it('RFC 6762 §7.1: an answer that the asker has, for half its life, is not sent', () => {
    const [a] = own as [MdnsRecord];
    assert.ok(known(a, [{ ...a, ttl: 60 }]));
    assert.ok(!known(a, [{ ...a, ttl: 59 }]));
    assert.ok(!known(a, [{ ...a, data: '10.0.0.9' }]));
  });

  it('RFC 6762 §8.2.1: of two claims the later in order wins', () => {
    const claim = (data: string): MdnsRecord[] => [{ name: 'plant.local', type: 'A', ttl: 120, data }];
    assert.ok(compareSets(claim('169.254.200.50'), claim('169.254.99.200')) > 0);
    assert.equal(compareSets(claim('10.0.0.1'), claim('10.0.0.1')), 0);
    assert.ok(compareSets(claim('10.0.0.1'), [...claim('10.0.0.1'), ...claim('10.0.0.2')]) < 0);
  });
});

describe('multicast DNS between stacks', () => {
  let one: AnyStack;
  let two: AnyStack;
  const close = async (): Promise<void> => {
    await two.close();
    await one.close();
    assert.deepEqual(
      [one, two].map((s) => s.nstat().held),
      Array.from({ length: 2 }, () => ({ packets: 0, slots: 0, chunks: 0 })),
    );
  };
  afterEach(close);

  it('a name and a service are found, by dns.lookup too, and their good-bye is heard', async () => {
    [one, two] = await pair({ services: { mdns: { host: 'plant', services: [boiler] } } });
    const seen: [string, MdnsFound][] = [];
    const browser = two.mdns.browse('_http._tcp', (event, service) => seen.push([event, service]));
    await until(() => seen.length === 1, 'a service');
    const [[event, found]] = seen as [[string, MdnsFound]];
    assert.equal(event, 'up');
    assert.deepEqual(
      { ...found, addresses: found.addresses.filter((a) => !a.includes(':')) },
      { name: 'Boiler 2', type: '_http._tcp', host: 'plant.local', port: 80, addresses: ['10.0.0.1'], txt: { path: '/status', on: '' }, dev: 'eth0' },
    );
    assert.deepEqual(await two.mdns.lookup('PLANT.local', 4), ['10.0.0.1']);
    assert.deepEqual(await two.dns.promises.lookup('plant.local', 4), { address: '10.0.0.1', family: 4 });
    one.services.stop('mdns');
    await until(() => seen.length === 2, 'its end');
    assert.deepEqual(seen[1], ['down', found]);
    browser.close();
  });

  it('RFC 6762 §9: of two with one name the second takes another', async () => {
    [one, two] = await pair({ services: { mdns: { host: 'plant' } } });
    assert.deepEqual(await two.mdns.lookup('plant.local', 4), ['10.0.0.1']);
    const said: string[] = [];
    two.events.on('log', (_level, text) => said.push(text));
    two.services.start('mdns', { host: 'plant' });
    await until(() => said.length > 0, 'another name');
    assert.match(said[0] ?? '', /plant-2\.local/);
    assert.deepEqual(await one.mdns.lookup('plant-2.local', 4), ['10.0.0.2']);
    assert.deepEqual(await one.mdns.lookup('plant.local', 4), ['10.0.0.1']);
  });

  it('what is no message, and who is not on the link, is counted', async () => {
    [one, two] = await pair({ services: { mdns: true } });
    const socket = two.dgram.createSocket('udp4');
    socket.send('no message', 5_353, '10.0.0.1');
    await until(() => one.nstat().drops['DnsMalformed'] === 1, 'DnsMalformed');
    two.addr.add('192.0.2.9/32', { dev: 'eth0' });
    one.route.add('192.0.2.9/32', { via: '10.0.0.2' });
    const far = two.dgram.createSocket('udp4');
    far.bind(0, '192.0.2.9');
    // A question for 'a.local', type A.
    far.send(Buffer.from('0000000000010000000000000161056c6f63616c0000010001', 'hex'), 5_353, '10.0.0.1');
    await until(() => one.nstat().drops['DnsNotAnswered'] === 1, 'DnsNotAnswered');
    socket.close();
    far.close();
  });
});

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
