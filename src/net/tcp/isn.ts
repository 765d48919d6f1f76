import type { Address } from '../../base/address.js';
import { SipHash } from '../../base/siphash.js';
import type { Micros } from '../../base/time.js';

/** Words of the hash's input: two addresses, the ports, and what the hash is for. */
const WORDS = 10;
const FOR_ISN = 1;
const FOR_STAMP = 2;
const FOR_PORT = 3;

/** Numbers that a stranger cannot foresee, each a keyed hash of a flow. One per stack. */
export class FlowSecrets {
  private readonly hash: SipHash;

  constructor(key: Int32Array) {
    this.hash = new SipHash(key, WORDS);
  }

  /** ISN = M + F(local, remote, secret), M ticking every 4 µs. RFC 9293 §3.4.1 MUST-8, RFC 6528 §3. */
  isn(local: Address, remote: Address, localPort: number, remotePort: number, now: Micros): number {
    return (Math.floor(now / 4) + this.flow(local, remote, (localPort << 16) | remotePort, FOR_ISN)) | 0;
  }

  /** Offset of a pair of hosts' timestamps: one for all their connections, so that they grow from one to the next (RFC 6191). */
  stampOffset(local: Address, remote: Address): number {
    return this.flow(local, remote, 0, FOR_STAMP);
  }

  /** RFC 6056 §3.3.3: where the search for an ephemeral port begins. */
  port(local: Address, remote: Address, remotePort: number): number {
    return this.flow(local, remote, remotePort, FOR_PORT) >>> 0;
  }

  private flow(local: Address, remote: Address, ports: number, purpose: number): number {
    const { input } = this.hash;
    input[0] = local.w0;
    input[1] = local.w1;
    input[2] = local.w2;
    input[3] = local.w3;
    input[4] = remote.w0;
    input[5] = remote.w1;
    input[6] = remote.w2;
    input[7] = remote.w3;
    input[8] = ports;
    input[9] = purpose;
    return this.hash.words(WORDS);
  }
}
