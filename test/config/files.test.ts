import assert from 'node:assert/strict';
import { deviceSchema } from '#src/config/devices.js';
import { createNodeHost } from '#src/hyper/node-host.js';
import { schemaCurrent } from '../../scripts/schema.js';

describe('configuration: what is written twice', () => {
  it('schema/anystack.schema.json is made of the sections (node build/scripts/schema.js)', () => assert.ok(schemaCurrent()));

  it('every device type of the schema opens, and takes the keys the schema says it takes', () => {
    const host = createNodeHost();
    for (const { properties = {} } of deviceSchema.oneOf ?? []) {
      const type = String(properties['type']?.const);
      if (type === 'memory') continue;
      // An unknown key is refused before anything is opened, and the nearest one named is of the list.
      assert.throws(
        () => host.open({ type, ['zzz']: 1 }),
        (error: Error) => {
          const near = /did you mean '(\w+)'/.exec(error.message)?.[1];
          return error.name === 'ConfigError' && near !== undefined && near in properties;
        },
        type,
      );
      for (const key of Object.keys(properties))
        assert.throws(() => host.open({ type, [key]: properties[key]?.const ?? null, zzz: 1 }), /no key 'zzz'/, `${type}.${key}`);
    }
  });
});
