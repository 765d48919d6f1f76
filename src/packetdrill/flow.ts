import type { Address } from '../base/address.js';

/**
 * The connection a script looks at, and how its numbers are translated. Scripts count from 0 in both directions; the
 * stack's initial sequence number is learned from its SYN, and so are its timestamps. Addresses and ports are the
 * script's unless it names others.
 */
export class Flow {
  readonly local: Address;
  readonly remote: Address;
  localPort: number;
  remotePort: number;
  /** Of the first segment from the script's side; what follows is written relative to it. */
  remoteIsn = 0;
  /** The program has sent a SYN that no SYN-ACK has answered. */
  opening = false;
  /** The stack's, and what the script calls it. */
  localIsn = 0;
  localIsnKnown = false;
  scriptIsn = 0;
  /** Timestamps the script has seen, to those that were on the wire. */
  private readonly timestamps = new Map<number, number>();
  private firstScript = -1;
  private firstLive = 0;
  /** Flow labels likewise: one of the script stands for one of the stack. */
  scriptLabel = 0;
  liveLabel = 0;

  constructor(local: Address, remote: Address, localPort: number, remotePort: number) {
    this.local = local;
    this.remote = remote;
    this.localPort = localPort;
    this.remotePort = remotePort;
  }

  /** What is to be added to the script's number of our side: a SYN's number is the ISN itself. */
  localOffset(syn: boolean): number {
    return syn ? this.localIsn - this.scriptIsn : this.localIsn;
  }

  remoteOffset(syn: boolean): number {
    return syn ? 0 : this.remoteIsn;
  }

  /** Remembers that the script's timestamp was this one, and answers what the script should have said. */
  sawTimestamp(script: number, live: number): number {
    if (this.firstScript < 0) {
      this.firstScript = script;
      this.firstLive = live;
    }
    this.timestamps.set(script, live);
    return (live - this.firstLive + this.firstScript) >>> 0;
  }

  /** The wire's value for a timestamp the script echoes. */
  echo(script: number): number {
    const exact = this.timestamps.get(script);
    if (exact !== undefined) return exact;
    return this.firstScript < 0 ? script : (script - this.firstScript + this.firstLive) >>> 0;
  }
}
