// A gateway before three machines that all came from the factory as 192.168.0.10: a stack for each port, in one process.
// It polls them by Modbus/TCP, publishes by MQTT, and restarts one stack while the others go on. No root, no hardware:
// the machines are stacks too, each at the other end of a cable in memory. With TAPs or VLANs only `device` changes.
//
// Expected output:
//   port 1: machine 1 at 192.168.0.10 says 100, 101
//   port 2: machine 2 at 192.168.0.10 says 200, 201
//   port 3: machine 3 at 192.168.0.10 says 300, 301
//   broker: factory/1 = [100,101]
//   broker: factory/2 = [200,201]
//   broker: factory/3 = [300,301]
//   port 2: restarted in the middle of polling; ports 1 and 3 lost nothing
//   port 2: machine 2 at 192.168.0.10 says 200, 201
import { once } from 'node:events';
import { Aedes } from 'aedes';
import { createStack, memoryLink } from 'anystack';
import modbus from 'jsmodbus';
import mqtt from 'mqtt';

const ports = [1, 2, 3].map((number) => ({ number, cable: memoryLink() }));
const stackOn = (device, name, address) => createStack({ name, interfaces: { eth0: { device, addresses: [address] } } });
// The machines: function 3, read holding registers, of a PLC that holds 100 and 101, 200 and 201, 300 and 301.
const machines = ports.map(({ number, cable }) => {
  const stack = stackOn(cable[1], `machine${number}`, '192.168.0.10/24');
  const registers = [100 * number, 100 * number + 1].flatMap((value) => [value >> 8, value & 255]);
  const answer = (q) => Buffer.from([q[0], q[1], 0, 0, 0, 7, q[6], 3, 4, ...registers]);
  stack.net.createServer((socket) => socket.on('error', () => {}).on('data', (q) => socket.write(answer(q)))).listen(502);
  return stack;
});

const office = createStack({ name: 'office' }); // the broker lives on its loopback
const broker = await Aedes.createBroker();
office.net.createServer(broker.handle).listen(1883);
const client = new mqtt.MqttClient(() => office.net.connect({ host: '127.0.0.1', port: 1883 }), {});
client.on('message', (topic, payload) => console.log(`broker: ${topic} = ${payload}`));
await client.subscribeAsync('factory/#');

async function poll(port) {
  const socket = port.stack.net.connect({ host: '192.168.0.10', port: 502 });
  const plc = new modbus.client.TCP(socket, 1);
  await once(socket, 'connect');
  const { response } = await plc.readHoldingRegisters(0, 2);
  socket.destroy();
  return response.body.valuesAsArray;
}
for (const port of ports) {
  port.open = () => (port.stack = stackOn(port.cable[0], `port${port.number}`, '192.168.0.1/24'));
  port.open();
  console.log(`port ${port.number}: machine ${port.number} at 192.168.0.10 says ${(await poll(port)).join(', ')}`);
}
const publish = (port, values) => client.publishAsync(`factory/${port.number}`, JSON.stringify(values), { qos: 1 });
for (const port of ports) await Promise.all([once(client, 'message'), publish(port, await poll(port))]); // sent, and heard back
const others = Promise.all([ports[0], ports[2]].flatMap((port) => Array.from({ length: 50 }, () => poll(port))));
await ports[1].stack.close();
ports[1].open();
console.log(`port 2: restarted in the middle of polling; ports 1 and 3 lost ${100 - (await others).length || 'nothing'}`);
console.log(`port 2: machine 2 at 192.168.0.10 says ${(await poll(ports[1])).join(', ')}`);
await client.endAsync();
broker.close();
for (const stack of [office, ...machines, ...ports.map((port) => port.stack)]) await stack.close();
