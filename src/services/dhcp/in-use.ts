import { type Address, formatAddress, v4 } from '../../base/address.js';
import type { Interface } from '../../net/interface.js';
import { NeighborState } from '../../net/link/neighbor.js';
import type { Stack } from '../../net/stack.js';
import { Alarm } from '../alarm.js';
import { EchoProbe, type ProbeAnswer } from '../echo-probe.js';

/** ISC's server waits a second; a station on the link answers ARP within milliseconds. */
const WAIT_MS = 500;

/** One look whether somebody has an address already: an echo request, whose ARP alone tells (RFC 2131 §4.3.1). */
export class InUse {
  private readonly iface: Interface;
  private readonly address: Address;
  private readonly probe: EchoProbe;
  private readonly alarm: Alarm;
  private answered = false;

  /** `done` is told once, unless it is closed before. */
  constructor(core: Stack, iface: Interface, address: number, done: (used: boolean) => void) {
    this.iface = iface;
    this.address = v4(address);
    const answered = ({ error }: ProbeAnswer): void => {
      this.answered ||= error === null;
    };
    this.probe = new EchoProbe(core, formatAddress(this.address), iface.name, answered, () => this.close());
    this.alarm = new Alarm(core.ctx, () => {
      this.close();
      done(this.answered || this.resolved);
    });
    this.probe.send(1, 0);
    this.alarm.set(WAIT_MS);
  }

  close(): void {
    this.alarm.cancel();
    this.probe.close();
  }

  private get resolved(): boolean {
    return this.iface.neighbors?.find(this.address)?.state === NeighborState.Reachable;
  }
}
