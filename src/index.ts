/** `import { createStack } from 'anystack'`: a stack with Node's shapes on it. */
import { AnyStack, type StackOptions } from './anystack.js';
import type { Config } from './config/config.js';

export { AnyStack, type AnyStackEvents, type StackOptions, sysctls } from './anystack.js';
export { createConnector } from './api/http.js';
export { StackFailure } from './api/stack-end.js';
export { AssertionError } from './base/assert.js';
export { drops } from './base/drops.js';
export { ConfigError, NetError } from './base/errors.js';
export { type Config, checkConfig, configSchema, type InterfaceConfig } from './config/config.js';
export type { Device, DeviceEvents, DeviceSpec, Hypercalls } from './hyper/hypercalls.js';
export { memoryHub, memoryLink } from './hyper/memory-link.js';
export { createNodeHost } from './hyper/node-host.js';
export { NO_CRYPTO } from './hyper/virtual-host.js';

/**
 * Makes a stack and applies the configuration, at once: what is wrong is thrown. ConfigError names the place in the
 * configuration, NetError (EBUSY, ENODEV, EPERM, EADDRINUSE, …) what the host refused. `await stack.ready` for devices to be up.
 */
export function createStack(config: Config = {}, options: StackOptions = {}): AnyStack {
  return new AnyStack(config, options);
}

/** Keys in Wireshark's files, for captures of one's own traffic: whoever reads them reads the traffic. */
export { exportEspKeys, ikeLine } from './observe/ipsec-keys.js';
