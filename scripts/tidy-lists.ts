/** The exceptions of tidy. Lists here shrink: what no longer needs its place is a problem itself. */

/** Files past 400 lines, with the reason. */
export const allowLong: Readonly<Record<string, string>> = {
  'test/net/ipsec/hostile.test.ts': 'one list of what a stranger may send',
};

/** Where reading begins: what package.json exports and runs. */
export const entryPoints: readonly string[] = [
  'src/index.ts',
  'src/core.ts',
  'src/register.ts',
  'src/sim/index.ts',
  'src/wire/index.ts',
  'src/hyper/node-host.ts',
  'src/hyper/noble-crypto.ts',
  'src/bench/index.ts',
  'src/cli/main.ts',
  'src/cli/demo/bulk-child.ts',
  'test/support/reporter.ts',
  'scripts/tidy.ts',
  'scripts/specs.ts',
  'scripts/size.ts',
  'bench/main.ts',
  // what bench/main runs by name
  'bench/micro/checksum.ts',
  'bench/micro/fib.ts',
  'bench/micro/segment.ts',
  'bench/micro/siphash.ts',
  'bench/micro/wire.ts',
  'bench/packet/connections.ts',
  'bench/packet/forward.ts',
  'bench/packet/memory.ts',
  'bench/packet/esp.ts',
  'bench/packet/ike.ts',
  'bench/packet/synflood.ts',
  'bench/micro/ipsec.ts',
  'bench/wire/device.ts',
  'bench/wire/endurance.ts',
  'bench/wire/forward.ts',
  'bench/wire/latency.ts',
  'bench/wire/paths.ts',
  'bench/wire/synflood.ts',
  'bench/wire/tcp.ts',
  'bench/wire/tls.ts',
  'scripts/conformance.ts',
  'scripts/soak.ts',
  'scripts/node-compat.ts',
];

/** Drop reasons that no test mentions yet. */
export const untestedDrops: readonly string[] = [];
