import type { Config } from '#src/config/config.js';
import type { MemoryLinkOptions } from '#src/hyper/memory-link.js';
import { type AnyStack, createStack, memoryLink } from '#src/index.js';

/** Two stacks on one cable, 10.0.0.1 and 10.0.0.2, on Node's host. */
export async function pair(first: Config = {}, second: Config = {}, link: MemoryLinkOptions = {}): Promise<[AnyStack, AnyStack]> {
  const [a, b] = memoryLink(link);
  const one = createStack({ name: 'one', ...first, interfaces: { eth0: { device: a, addresses: ['10.0.0.1/24'] } } });
  const two = createStack({ name: 'two', ...second, interfaces: { eth0: { device: b, addresses: ['10.0.0.2/24'] } } });
  await Promise.all([one.ready, two.ready]);
  return [one, two];
}
