// A packet bench of one's own: this program makes the frames itself and looks at what the stack answers. Here UDP datagrams to
// the echo service, first as many as go, then one at a time. N stands for what this machine measures.
//
// Expected output:
//   20000 datagrams of 64 octets in, 20000 answers out, 0 reasons to drop any
//   N packets/s in and out, N octets of heap allocated per packet
//   one at a time: p50 N us, p99 N us, max N us
import { createStack } from 'anystack';
import { ipv4, Protocol, udp } from 'anystack/wire';

let [take, answered] = [() => {}, () => {}];
// A device is anything that takes and gives frames; of medium 'ip' a frame is an IP packet.
const wire = {
  on: (event, listener) => event === 'data' && (take = listener),
  write: (frame) => answered(frame) !== null,
};
const stack = createStack({
  interfaces: { eth0: { device: { type: 'duplex', stream: wire, medium: 'ip' }, addresses: ['10.0.0.1/24'] } },
  services: { echo: { rate: 10_000_000 } },
});
await stack.ready;

const view = new DataView(new ArrayBuffer(20 + 8 + 64));
const frame = new Uint8Array(view.buffer);
ipv4.put(view, 0, 0, frame.length, 0, 0, 64, Protocol.Udp, 0x0a000002, 0x0a000001);
udp.put(view, 20, 4_000, 7, 8 + 64, 0);
// As many as go: bursts that fit the socket's buffer, the next when the last is answered.
const [COUNT, BURST] = [20_000, 50];
const run = (count) =>
  new Promise((resolve) => {
    let out = 0;
    const burst = () => setImmediate(() => Array.from({ length: BURST }, () => take(frame.slice())));
    answered = () => (++out === count ? resolve(out) : out % BURST === 0 && burst());
    burst();
  });
await run(COUNT);
let least = Number.POSITIVE_INFINITY;
for (let i = 0; i < 10; i++) {
  const before = process.memoryUsage().heapUsed;
  await run(BURST * 20);
  const grown = process.memoryUsage().heapUsed - before;
  if (grown > 0) least = Math.min(least, grown / BURST / 20); // a collection in between makes it negative
}
const from = performance.now();
const out = await run(COUNT);
const seconds = (performance.now() - from) / 1_000;
console.log(`${COUNT} datagrams of 64 octets in, ${out} answers out, ${Object.keys(stack.nstat().drops).length} reasons to drop any`);
console.log(`${Math.round(COUNT / seconds)} packets/s in and out, ${Math.round(least)} octets of heap allocated per packet`);

const times = [];
for (let i = 0; i < 2_000; i++) {
  const sent = performance.now();
  const answer = new Promise((resolve) => (answered = resolve));
  take(frame.slice());
  await answer;
  times.push((performance.now() - sent) * 1_000);
}
const at = (part) => times.sort((a, b) => a - b)[Math.floor(part * (times.length - 1))].toFixed(1);
console.log(`one at a time: p50 ${at(0.5)} us, p99 ${at(0.99)} us, max ${at(1)} us`);
await stack.close();
