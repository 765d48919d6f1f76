import { anyV4, anyV6 } from '../base/address.js';
import { VirtualHost } from '../hyper/virtual-host.js';
import { MAIN_TABLE } from '../net/ip/route.js';
import type { ProfileName } from '../net/profiles.js';
import { Stack } from '../net/stack.js';
import { Sysctl } from '../net/sysctl.js';
import type { RunConfig } from './run-config.js';
import { ScriptDevice } from './script-device.js';

/** The stack under test on its virtual host: one interface, one address, all else behind it. */
export class Machine {
  readonly host: VirtualHost;
  readonly sysctl: Sysctl;
  readonly stack: Stack;
  readonly device: ScriptDevice;
  /** Set when an invariant of the stack has failed. */
  fault = '';

  constructor(config: RunConfig, profile: ProfileName) {
    this.host = new VirtualHost();
    this.sysctl = new Sysctl(profile);
    this.stack = new Stack('packetdrill', this.host, this.sysctl, {
      failed: (error) => {
        this.fault = error.stack ?? error.message;
      },
      conflict: () => {},
      link: () => {},
    });
    this.device = new ScriptDevice(config.mtu, () => this.host.clock.now);
    const iface = this.stack.addInterface('tun0', this.device);
    this.stack.addAddress(iface, { address: config.local, length: config.localLength });
    this.stack.ip.routes.add({
      family: config.wire,
      prefix: config.wire === 4 ? anyV4() : anyV6(),
      length: 0,
      type: 'unicast',
      index: iface.index,
      gateway: null,
      source: null,
      metric: 0,
      mtu: 0,
      table: MAIN_TABLE,
      vrf: 0,
      protocol: 'static',
    });
    this.host.clock.run(this.host.clock.now);
  }
}
