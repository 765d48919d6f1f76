/**
 * `node --import anystack/register app.mjs`: the program gets a stack instead of the host's network. ANYSTACK_CONFIG names
 * the configuration; ANYSTACK_EXCLUDE_HOSTS and ANYSTACK_INCLUDE_HOSTS are comma-separated lists (see InstallOptions).
 */
import { install } from './api/install.js';
import { ConfigError } from './base/errors.js';
import { readConfig } from './config/file.js';
import { createStack } from './index.js';

const file = process.env['ANYSTACK_CONFIG'];
if (file === undefined)
  throw new ConfigError('anystack/register: ANYSTACK_CONFIG names no configuration; `anystack run FILE -- node app.mjs` sets it');

const stack = createStack(readConfig(file));
const list = (name: string): string[] | undefined => process.env[name]?.split(',').map((entry) => entry.trim());
const excludeHosts = list('ANYSTACK_EXCLUDE_HOSTS');
const includeHosts = list('ANYSTACK_INCLUDE_HOSTS');
install(stack, { ...(excludeHosts === undefined ? {} : { excludeHosts }), ...(includeHosts === undefined ? {} : { includeHosts }) });
