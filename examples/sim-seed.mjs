// A bad day on the wire, as often as you like: an HTTP download over LTE that loses 2 % of its packets and is cut for two
// seconds, on virtual time and from one seed. The same seed is the same run, to the last octet of the capture.
//
// Expected output:
//   download: 200000 octets in N virtual seconds
//   seed 7 again: the same N octets of capture
//   seed 8: another run
//   library: lte, wifi, satellite, dsl, lossy, reordering, continental, outage, hostile
import { createHash } from 'node:crypto';
import http from 'node:http';
import { millis, runScenario, Simulation, scenarios, seconds } from 'anystack/sim';

async function badDay(seed) {
  const sim = new Simulation({ seed });
  const [phone, server] = [sim.stack('phone'), sim.stack('server')];
  const link = sim.link(phone, server, { forward: { delay: millis(40), jitter: millis(10), rate: 20_000_000, loss: 0.02 } });

  const web = http.createServer((_, answer) => answer.end(Buffer.alloc(200_000)));
  server.net.createServer((socket) => web.emit('connection', socket)).listen(80);
  const download = new Promise((resolve, reject) => {
    let octets = 0;
    const request = http.get({ createConnection: () => phone.net.connect({ host: link.ends[1].v4.toString(), port: 80 }) }, (answer) => {
      answer.on('data', (data) => {
        octets += data.length;
      });
      answer.on('end', () => resolve(octets));
    });
    request.on('error', reject);
  });
  await sim.run(millis(300));
  link.partition(true);
  await sim.run(seconds(2));
  link.partition(false);
  const octets = await sim.run(download);
  sim.close();
  return { octets, seconds: sim.now / 1e6 };
}

const hash = (octets) => createHash('sha256').update(octets).digest('hex');
const once = await badDay(7);
console.log(`download: ${once.octets} octets in ${once.seconds.toFixed(2)} virtual seconds`);
// Whole applications run by promises; scenarios run without any, and are the same on every machine.
const [one, two, three] = [7, 7, 8].map((seed) => runScenario(scenarios.lossy, seed, { capture: true }).capture);
console.log(`seed 7 again: ${hash(one) === hash(two) ? 'the same' : 'NOT the same'} ${one.length} octets of capture`);
console.log(`seed 8: ${hash(one) === hash(three) ? 'the same run' : 'another run'}`);
console.log(`library: ${scenarios.scenarios.map(({ name }) => name).join(', ')}`);
