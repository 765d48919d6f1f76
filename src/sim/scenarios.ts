/** Paths as people have them. Rates in bit/s, one-way delays. */
import { millis, seconds } from '../base/time.js';
import type { Faults } from '../hyper/fault-injector.js';
import type { Scenario } from './scenario.js';

const mbit = (n: number): number => n * 1_000_000;
/** 4 MB down, a little up, unless a scenario says more. */
const transfers = [{ port: 5_001, up: 200_000, down: 4_000_000 }] as const;

/** Both directions, as fast and as slow. */
const both = (faults: Faults): { forward: Faults; backward: Faults } => ({ forward: faults, backward: faults });

/** LTE: HARQ hides loss behind jitter, the radio schedules in bursts, and the base station's buffer is deep. */
export const lte: Scenario = {
  name: 'lte',
  about: '40 Mbit/s down, 10 up, 25 ms each way with 15 ms of jitter, buffers of 500 and 250 frames, 0.01 % loss.',
  link: {
    forward: { rate: mbit(10), delay: millis(25), jitter: millis(15), queueFrames: 250, loss: 0.0001 },
    backward: { rate: mbit(40), delay: millis(25), jitter: millis(15), queueFrames: 500, loss: 0.0001 },
  },
  transfers,
};

/** Wi-Fi at the end of the flat: bursts of loss when somebody else sends, retries that come as jitter. */
export const wifi: Scenario = {
  name: 'wifi',
  about:
    '50 Mbit/s, 3 ms each way with 8 ms of jitter, loss in bursts (0.2 % of frames begin one, each next is lost with 50 % while it lasts, 4 frames on average).',
  link: both({ rate: mbit(50), delay: millis(3), jitter: millis(8), queueFrames: 200, burst: { enter: 0.002, leave: 0.25, loss: 0.5 } }),
  transfers,
};

/** A geostationary satellite: 36,000 km up and down again. */
export const satellite: Scenario = {
  name: 'satellite',
  about: '20 Mbit/s down, 3 up, 300 ms each way, 0.1 % loss.',
  link: {
    forward: { rate: mbit(3), delay: millis(300), queueFrames: 200, loss: 0.001 },
    backward: { rate: mbit(20), delay: millis(300), queueFrames: 1_000, loss: 0.001 },
  },
  transfers,
};

/** A DSL line whose modem queues for more than a second before it drops. */
export const dsl: Scenario = {
  name: 'dsl',
  about: '16 Mbit/s down, 1 up, 10 ms each way, 1,000 frames of buffer in both directions: bufferbloat of 0.7 s down and 12 s up.',
  link: {
    forward: { rate: mbit(1), delay: millis(10), queueFrames: 1_000 },
    backward: { rate: mbit(16), delay: millis(10), queueFrames: 1_000 },
  },
  transfers: [
    { port: 5_001, up: 300_000, down: 4_000_000 },
    { port: 5_002, up: 20_000, down: 20_000 },
  ],
};

/** A bad line. */
export const lossy: Scenario = {
  name: 'lossy',
  about: '20 Mbit/s, 10 ms each way, every fiftieth frame lost.',
  link: both({ rate: mbit(20), delay: millis(10), loss: 0.02 }),
  transfers: [{ port: 5_001, up: 50_000, down: 1_000_000 }],
};

/** Two paths of unlike length under one address: frames overtake each other by three. */
export const reordering: Scenario = {
  name: 'reordering',
  about: '20 Mbit/s, 10 ms each way, 2 % of frames held back while three others pass; nothing is lost.',
  link: both({ rate: mbit(20), delay: millis(10), reorder: 0.02, reorderBy: 3 * 625 }),
  transfers: [{ port: 5_001, up: 50_000, down: 2_000_000 }],
};

/** A continent apart, nearly clean: what userspace stacks are known to be slow on. */
export const continental: Scenario = {
  name: 'continental',
  about: '200 Mbit/s, 33 ms each way (66 ms around), 0.003 % loss and 0.05 % of frames a little late.',
  link: both({ rate: mbit(200), delay: millis(33), loss: 0.000_03, reorder: 0.000_5, reorderBy: 300, queueFrames: 2_000 }),
  transfers: [{ port: 5_001, up: 100_000, down: 16_000_000 }],
};

/** The link is cut for ten seconds in the middle of a transfer. */
export const outage: Scenario = {
  name: 'outage',
  about: '10 Mbit/s, 20 ms each way; from 1 s to 11 s nothing passes.',
  link: both({ rate: mbit(10), delay: millis(20) }),
  transfers: [{ port: 5_001, up: 50_000, down: 3_000_000 }],
  changes: [
    { at: seconds(1), change: 'cut' },
    { at: seconds(11), change: 'mend' },
  ],
};

/** Everything at once. */
export const hostile: Scenario = {
  name: 'hostile',
  about: '5 Mbit/s, 30 ms each way with 30 ms of jitter, 3 % loss, 2 % reordered, 1 % doubled, 1 % with a bit flipped.',
  link: both({ rate: mbit(5), delay: millis(30), jitter: millis(30), loss: 0.03, reorder: 0.02, duplicate: 0.01, corrupt: 0.01 }),
  transfers: [{ port: 5_001, up: 200_000, down: 200_000 }],
};

/** All of the library, in the order above. */
export const scenarios: readonly Scenario[] = [lte, wifi, satellite, dsl, lossy, reordering, continental, outage, hostile];
