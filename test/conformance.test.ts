/** The scripts of test/conformance, over both families: each check of RFC 9293 §3.10.7 in each state. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runScript } from '#src/packetdrill/run-script.js';

const root = fileURLToPath(new URL('../../test/conformance/', import.meta.url));

/** What differs between the families. */
const FAMILIES = [
  { version: 'ipv4', defines: new Map([['MSS', '1460']]) },
  {
    version: 'ipv6',
    defines: new Map([
      ['MSS', '1440'],
      ['IPV6', ''],
    ]),
  },
] as const;

for (const folder of readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
  describe(`RFC 9293 §3.10.7, ${folder.name}`, () => {
    for (const file of readdirSync(root + folder.name).filter((name) => name.endsWith('.pkt'))) {
      for (const { version, defines } of FAMILIES) {
        it(`${file.slice(0, -4)}, ${version}`, () => {
          const outcome = runScript(readFileSync(`${root}${folder.name}/${file}`, 'utf8'), {
            strict: true,
            options: [{ name: 'ip_version', value: version, line: 0 }],
            defines,
          });
          assert.deepEqual(outcome, { result: 'pass', reason: '' });
        });
      }
    }
  });
}
