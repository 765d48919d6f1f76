/** The bench engine: frames generated, replayed or asked one at a time, measured alike. `anystack bench` is its command. */
export { type BenchOptions, type GenPath, gen, replay, rr, search } from './bench.js';
export { type FrameMaker, IMIX, type Template, template } from './frames.js';
export { type Comparison, compare, type Figure, figure, figures, type Report, type Sample, sample } from './measure.js';
