// Two applications in one process, each with a stack of its own: both serve port 80, with different tunables, and neither
// knows of the other. A third stack is the network they share: it asks both.
//
// Expected output:
//   10.0.0.1 says: steady, congestion control cubic, ttl 64
//   10.0.0.2 says: hurried, congestion control reno, ttl 32
//   hurried changes its mind: ttl 16; steady keeps 64
import { createStack, memoryHub } from 'anystack';

const [first, second, outside] = memoryHub(3);

function application(name, address, device, sysctl) {
  const stack = createStack({ name, sysctl, interfaces: { eth0: { device, addresses: [`${address}/24`] } } });
  const server = stack.http.createServer((request, response) => {
    // What this very connection uses, not what was configured.
    const { congestion } = request.socket.info();
    response.end(`${name}, congestion control ${congestion}, ttl ${stack.sysctl.get('net.ipv4.ip_default_ttl')}`);
  });
  return new Promise((resolve) => server.listen(80, () => resolve(stack)));
}

const steady = await application('steady', '10.0.0.1', first, { 'net.ipv4.tcp_congestion_control': 'cubic' });
const hurried = await application('hurried', '10.0.0.2', second, { 'net.ipv4.tcp_congestion_control': 'reno', 'net.ipv4.ip_default_ttl': 32 });
const client = createStack({ name: 'client', interfaces: { eth0: { device: outside, addresses: ['10.0.0.9/24'] } } });

const ask = (address) =>
  new Promise((resolve, reject) => {
    client.http.get(`http://${address}/`, (response) => response.setEncoding('utf8').on('data', resolve)).on('error', reject);
  });

for (const address of ['10.0.0.1', '10.0.0.2']) console.log(`${address} says: ${await ask(address)}`);

// A tunable is one stack's, and a change is felt at once.
hurried.sysctl.set('net.ipv4.ip_default_ttl', 16);
console.log(
  `hurried changes its mind: ttl ${hurried.sysctl.get('net.ipv4.ip_default_ttl')}; steady keeps ${steady.sysctl.get('net.ipv4.ip_default_ttl')}`,
);

for (const stack of [client, steady, hurried]) await stack.close();
