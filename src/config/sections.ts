import { addressSelection } from './address-selection.js';
import type { Config } from './config.js';
import { dhcp } from './dhcp.js';
import { dns } from './dns.js';
import { filter } from './filter.js';
import { forwards, proxy } from './forwards.js';
import { interfaces } from './interfaces.js';
import { ipsec } from './ipsec.js';
import { multicast } from './multicast.js';
import { neighbors } from './neighbors.js';
import { router } from './router.js';
import { routes } from './routes.js';
import { rules } from './rules.js';
import type { Section } from './section.js';
import { services } from './services.js';
import { sysctl } from './sysctl.js';
import { vrrp } from './vrrp.js';

/** All sections in the order they are built up: what stands later may need what stands before. */
export const sections: readonly Section<keyof Config>[] = [
  sysctl,
  interfaces,
  neighbors,
  routes,
  rules,
  addressSelection,
  filter,
  router,
  vrrp,
  multicast,
  dns,
  dhcp,
  ipsec,
  services,
  forwards,
  proxy,
];
