import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AnyStack, createStack } from '#src/index.js';
import { makeNetns, type Netns } from '../support/netns.js';
import { needs } from '../support/requirements.js';

/** A listener: joins a group (from one source alone), says so, and prints what it hears until it is killed. */
const LISTEN = `
import socket, struct, sys
group, source, six = sys.argv[1], sys.argv[2], ':' in sys.argv[1]
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 5000))
n = socket.if_nametoindex(sys.argv[3])
if six: s.setsockopt(41, 20, socket.inet_pton(socket.AF_INET6, group) + struct.pack('I', n))
elif source: s.setsockopt(0, 39, socket.inet_aton(group) + socket.inet_aton('10.65.1.2') + socket.inet_aton(source))
else: s.setsockopt(0, 35, socket.inet_aton(group) + socket.inet_aton('10.65.1.2'))
print('joined', flush=True)
while True:
    data, who = s.recvfrom(99)
    sys.stdout.write(data.decode() + ' ' + who[0] + '\\n')
    sys.stdout.flush()
`;
const SEND = `
import socket, sys
group, source = sys.argv[1], sys.argv[2]
s = socket.socket(socket.AF_INET6 if ':' in group else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((source, 0))
s.setsockopt(41 if ':' in group else 0, 18 if ':' in group else 33, 8)
if ':' in group: s.setsockopt(41, 17, socket.if_nametoindex(sys.argv[3]))
for i in range(3): s.sendto(b'film', (group, 5000))
`;

/** A Linux listener 10.65.1.2 – TAP – our proxy – TAP – Linux senders 10.65.2.2 and .3. */
describe('multicast from one Linux to another through our proxy', function () {
  this.timeout(60_000);
  let near: Netns;
  let far: Netns;
  let proxy: AnyStack;

  before(async function () {
    needs(this, 'tap', 'netns', 'tools:python3');
    [near, far] = [makeNetns('mcn'), makeNetns('mcf')];
    proxy = createStack({
      name: 'proxy',
      sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 },
      interfaces: {
        lan: { device: { type: 'tap', name: 'lan', netns: near.path, hostAddress: '10.65.1.2/24' }, addresses: ['10.65.1.1/24'] },
        wan: { device: { type: 'tap', name: 'wan', netns: far.path, hostAddress: '10.65.2.2/24' }, addresses: ['10.65.2.1/24'] },
      },
      multicast: { upstream: 'wan', downstreams: ['lan'], queryInterval: 20, responseInterval: 1, lastListenerInterval: 0.2 },
    });
    await proxy.ready;
    far.run('ip', 'addr', 'add', '10.65.2.3/24', 'dev', 'wan');
    far.run('ip', '-6', 'addr', 'add', '2001:db8:2::2/64', 'dev', 'wan', 'nodad');
    near.run('ip', 'route', 'add', 'default', 'dev', 'lan');
    far.run('ip', 'route', 'add', 'default', 'dev', 'wan');
  });

  after(async () => {
    await proxy?.close();
    near?.remove();
    far?.remove();
  });

  /** What the listener prints when this is sent, as soon as the proxy has heard of it; and that it is forgotten when it goes. */
  async function heard(group: string, only: string, sources: readonly string[]): Promise<string[]> {
    const listener = near.start('python3', '-c', LISTEN, group, only, 'lan');
    const output = listener.stdout as NonNullable<typeof listener.stdout>;
    let text = '';
    output.on('data', (data) => (text += data));
    const lines = (): string[] => text.split('\n').slice(0, -1);
    const until = async (fact: () => boolean, what: string): Promise<void> => {
      for (const end = Date.now() + 15_000; !fact(); await new Promise((resolve) => setTimeout(resolve, 30))) assert(Date.now() < end, what);
    };
    const known = (): boolean => proxy.multicast.show().some(({ groups }) => groups.some((g) => g.group === group));
    await until(() => lines().includes('joined') && known(), `${group} is joined: ${text}`);
    for (const source of sources) await far.exec('python3', '-c', SEND, group, source, 'wan');
    await until(() => lines().filter((line) => line.startsWith('film')).length >= 3, `films: ${text}`);
    listener.kill();
    await once(listener, 'close');
    await until(() => !known(), `${group} is left`);
    return [...new Set(lines().slice(1))];
  }

  it('IGMPv3: a group, and a group from one source (RFC 4607)', async () => {
    assert.deepEqual(await heard('239.5.5.5', '', ['10.65.2.2']), ['film 10.65.2.2']);
    assert.deepEqual(await heard('232.5.5.5', '10.65.2.3', ['10.65.2.2', '10.65.2.3']), ['film 10.65.2.3']);
  });

  it('IGMPv2 (RFC 2236)', async () => {
    near.run('sysctl', '-qw', 'net.ipv4.conf.lan.force_igmp_version=2');
    try {
      assert.deepEqual(await heard('239.5.5.6', '', ['10.65.2.2']), ['film 10.65.2.2']);
    } finally {
      near.run('sysctl', '-qw', 'net.ipv4.conf.lan.force_igmp_version=0');
    }
  });

  it('MLDv2', async () => {
    assert.deepEqual(await heard('ff0e::5:5', '', ['2001:db8:2::2']), ['film 2001:db8:2::2']);
  });
});
