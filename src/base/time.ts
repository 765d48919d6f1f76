/** Microseconds as a double: a point on the host's monotonic clock, or a span. Exact to 2^53, i.e. 285 years. */
export type Micros = number;

export const micros = (n: number): Micros => n;
export const millis = (n: number): Micros => n * 1_000;
export const seconds = (n: number): Micros => n * 1_000_000;
export const minutes = (n: number): Micros => n * 60_000_000;

/** A deadline that never comes. */
export const NEVER: Micros = Number.POSITIVE_INFINITY;
