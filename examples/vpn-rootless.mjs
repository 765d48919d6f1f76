// A VPN of one application's own: IKEv2 and ESP in UDP over ordinary sockets of the host. No TAP, no kernel module, no privilege.
// The gateway here is a second stack in the same process; any IKEv2 gateway serves (leave out `map` and `loopbackAs` then).
//
// Expected output:
//   the office says: hello 10.1.0.1
//   N packets went through the tunnel, and N came back
import { createStack } from 'anystack';

const secrets = [{ secret: 'correct horse battery staple' }];

const gateway = createStack({
  name: 'gateway',
  interfaces: {
    // Reached at the host's ports 15500 and 19500; 127.0.0.1 is the client, called 192.0.2.2 inside.
    wan: {
      device: { type: 'udp-nat', address: '192.0.2.1', publish: { 500: 15_500, 4500: 19_500 }, loopbackAs: '192.0.2.2' },
      addresses: ['192.0.2.1/24', '10.2.0.1/32'],
    },
  },
  routes: [{ to: '10.1.0.0/24', via: '192.0.2.2', src: '10.2.0.1' }],
  ipsec: {
    secrets,
    connections: {
      anybody: { local: { id: 'gateway.example' }, children: { office: { localTs: ['10.2.0.0/24'], remoteTs: ['10.1.0.0/24'] } } },
    },
  },
});

const application = createStack({
  name: 'application',
  interfaces: {
    wan: {
      device: { type: 'udp-nat', address: '192.0.2.2', map: { '192.0.2.1:500': '127.0.0.1:15500', '192.0.2.1:4500': '127.0.0.1:19500' } },
      addresses: ['192.0.2.2/24', '10.1.0.1/32'],
    },
  },
  routes: [{ to: '10.2.0.0/24', via: '192.0.2.1', src: '10.1.0.1' }],
  ipsec: {
    secrets,
    connections: {
      office: {
        remoteAddr: '192.0.2.1',
        local: { id: 'joe@example.org' },
        remote: { id: 'gateway.example' },
        // The first packet asks for the tunnel.
        children: { office: { localTs: ['10.1.0.0/24'], remoteTs: ['10.2.0.0/24'], startAction: 'trap' } },
      },
    },
  },
});

const server = gateway.http.createServer((request, response) => response.end(`hello ${request.socket.remoteAddress}`));
await new Promise((resolve) => server.listen(80, '10.2.0.1', resolve));
const response = await new Promise((resolve) => application.http.get('http://10.2.0.1/', resolve));
const text = String((await response.toArray())[0]);
console.log(`the office says: ${text}`);
const [inbound, outbound] = application.core.ipsec.sas();
console.log(`${outbound.packets} packets went through the tunnel, and ${inbound.packets} came back`);
for (const stack of [application, gateway]) await stack.close();
