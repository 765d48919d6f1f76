import { Prng } from '../base/prng.js';
import { millis, seconds } from '../base/time.js';
import type { Faults } from '../hyper/fault-injector.js';
import type { Scenario } from './scenario.js';

/** A scenario made up from a seed: any quality of path, either family, one to four connections of unlike size. The same seed makes the same one. */
export function randomScenario(seed: number): Scenario {
  const prng = new Prng(seed ^ 0x5ca1ab1e);
  const chance = (p: number): boolean => prng.float() < p;
  const rarely = (greatest: number): number => (chance(0.5) ? prng.float() * greatest : 0);
  const direction = (): Faults => ({
    delay: prng.below(millis(80)),
    jitter: chance(0.4) ? prng.below(millis(30)) : 0,
    rate: chance(0.6) ? 200_000 + prng.below(50_000_000) : 0,
    queueFrames: 10 + prng.below(300),
    loss: rarely(0.08),
    burst: chance(0.2) ? { enter: prng.float() * 0.01, leave: 0.3 + prng.float() * 0.5, loss: 0.9 } : null,
    reorder: rarely(0.05),
    reorderBy: 200 + prng.below(millis(20)),
    duplicate: rarely(0.03),
    corrupt: rarely(0.01),
  });
  const size = (): number => (chance(0.2) ? 0 : chance(0.5) ? prng.below(2_000) : prng.below(120_000));
  const count = 1 + prng.below(4);
  const cut = chance(0.1) ? seconds(prng.float()) : -1;
  return {
    name: 'random',
    about: 'Made up from its seed.',
    link: {
      forward: direction(),
      backward: direction(),
      mtu: chance(0.3) ? 1_280 + prng.below(7_721) : 1_500,
      medium: chance(0.5) ? 'ip' : 'ethernet',
    },
    family: chance(0.5) ? 4 : 6,
    profile: chance(0.15) ? 'bsd' : 'linux',
    sysctl: {
      'net.ipv4.tcp_congestion_control': ['cubic', 'reno', 'bbr'][prng.below(3)] as string,
      'net.ipv4.tcp_sack': chance(0.85) ? 1 : 0,
      'net.ipv4.tcp_timestamps': chance(0.85) ? 1 : 0,
      'net.ipv4.tcp_window_scaling': chance(0.9) ? 1 : 0,
      'net.ipv4.tcp_ecn': prng.below(3),
      'net.ipv4.tcp_mtu_probing': prng.below(3),
      // A burst of loss ends with frames, not with time: a lone sender may need many tries.
      'net.ipv4.tcp_orphan_retries': 15,
    },
    transfers: Array.from({ length: count }, (_, i) => ({ port: 5_000 + i, up: size(), down: size() })),
    limit: seconds(3_000),
    ...(cut < 0
      ? {}
      : {
          changes: [
            { at: cut, change: 'cut' as const },
            { at: cut + seconds(1 + prng.below(20)), change: 'mend' as const },
          ],
        }),
  };
}
