/** `npm run conformance -- [--profile bsd] [--normalize] [--json] [--expect FILE] DIR…`: packetdrill scripts against the stack. */
import { parseArgs } from 'node:util';
import { type PacketdrillOptions, run } from '#src/packetdrill/main.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    profile: { type: 'string' },
    normalize: { type: 'boolean' },
    strict: { type: 'boolean' },
    json: { type: 'boolean' },
    quiet: { type: 'boolean' },
    expect: { type: 'string' },
    define: { type: 'string', multiple: true, short: 'D' },
  },
});
process.exitCode = await run(positionals.length > 0 ? positionals : ['test/conformance'], values as PacketdrillOptions);
