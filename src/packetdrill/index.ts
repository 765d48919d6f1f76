/** The interpreter of packetdrill scripts. */

export { type PacketdrillOptions, run } from './main.js';
export type { Outcome } from './outcome.js';
export { parseScript } from './parse-script.js';
export { runScript, type ScriptRun } from './run-script.js';
export { ScriptError } from './script-error.js';
