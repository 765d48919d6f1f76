// A complete hypercall host: all a stack asks of the world. This one runs at another speed than the world: its two stacks
// believe that a second passes in 50 ms.
//
// Expected output:
//   ping 10.0.0.2: 3 of 3 answered, by a clock 20 times as fast as yours
//   the host was asked for: attach, hold, monotonic, open, random, release, soon, wakeAt
import { getRandomValues } from 'node:crypto';
import { createStack, memoryLink, NO_CRYPTO } from 'anystack';

const SPEED = 20;
const asked = new Set();

function host() {
  const values = new Map();
  let poll = () => {};
  let timer;
  let immediate = null;
  const next = () => {
    immediate = null;
    poll();
  };
  const members = {
    attach: (given) => (poll = given),
    // Microseconds. Monotonic time stands still while the machine sleeps, boot time does not, wall time may jump.
    monotonic: () => performance.now() * 1_000 * SPEED,
    bootTime: () => performance.now() * 1_000 * SPEED,
    wallClock: () => Date.now() * 1_000,
    random: (into) => void getRandomValues(into),
    wakeAt: (at) => {
      clearTimeout(timer);
      const ms = Math.ceil((at - performance.now() * 1_000 * SPEED) / 1_000 / SPEED);
      if (at < Number.POSITIVE_INFINITY) timer = setTimeout(() => poll(), Math.min(Math.max(ms, 0), 2 ** 31 - 1));
    },
    soon: () => (immediate ??= setImmediate(next)),
    hold: () => {},
    release: () => {},
    open: (spec) => spec.device,
    log: (level, message) => level === 'debug' || level === 'info' || console.log(level, message),
  };
  const noted = Object.entries(members).map(([name, member]) => [name, (...given) => asked.add(name) && member(...given)]);
  return {
    ...Object.fromEntries(noted),
    crypto: NO_CRYPTO, // without algorithms there is no IPsec; everything else works
    store: { get: (key) => values.get(key) ?? null, set: (key, value) => values.set(key, value), delete: (key) => values.delete(key) },
  };
}

const [a, b] = memoryLink();
const here = createStack({ interfaces: { eth0: { device: a, addresses: ['10.0.0.1/24'] } } }, { host: host() });
const there = createStack({ interfaces: { eth0: { device: b, addresses: ['10.0.0.2/24'] } } }, { host: host() });
const { transmitted, received } = await here.ping('10.0.0.2', { count: 3 }).done;
console.log(`ping 10.0.0.2: ${received} of ${transmitted} answered, by a clock ${SPEED} times as fast as yours`);
here.net.createServer().listen(1).close();
await here.close();
await there.close();
console.log(`the host was asked for: ${[...asked].sort().join(', ')}`);
