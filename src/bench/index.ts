/** The bench engine: frames generated, replayed or asked one at a time, in memory or on devices, measured alike. `anystack bench` is its command. */
export { type GenPath, gen, replay, rr, search } from './bench.js';
export { type FrameMaker, IMIX, type Template, template } from './frames.js';
export { genLive, type LiveOptions, replayLive } from './live.js';
export { rrLive, searchLive } from './live-requests.js';
export { type Comparison, compare, type Figure, figure, figures, type Moved, type Report, type Sample, sample } from './measure.js';
export type { BenchOptions, WorkloadOptions } from './options.js';
export { type ReflectOptions, reflect } from './reflect.js';
