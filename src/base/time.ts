/** Microseconds as a double: a point on the host's monotonic clock, or a span. Exact to 2^53, i.e. 285 years. */
export type Micros = number;

/** A span of so many microseconds. */
export const micros = (n: number): Micros => n;
/** A span of so many milliseconds. */
export const millis = (n: number): Micros => n * 1_000;
/** A span of so many seconds. */
export const seconds = (n: number): Micros => n * 1_000_000;
/** A span of so many minutes. */
export const minutes = (n: number): Micros => n * 60_000_000;

/** A deadline that never comes. */
export const NEVER: Micros = Number.POSITIVE_INFINITY;
