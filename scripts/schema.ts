/** Writes schema/anystack.schema.json from the sections of src/config: `node build/scripts/schema.js`. A test holds it to them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { configSchema } from '#src/config/config.js';

/** The file's place in a checkout. */
export const SCHEMA_PATH = join('schema', 'anystack.schema.json');

/** The file's text. */
export const schemaText = (): string =>
  `${JSON.stringify({ $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'anystack', ...configSchema }, null, 2)}\n`;

/** True when the file says what the sections say. */
export const schemaCurrent = (): boolean => readFileSync(SCHEMA_PATH, 'utf8') === schemaText();

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) writeFileSync(SCHEMA_PATH, schemaText());
