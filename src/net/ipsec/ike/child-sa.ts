/** A child SA: the pair of ESP SAs that one exchange made, and the policy that sends traffic into it. */
import { seconds } from '../../../base/time.js';
import { Timer } from '../../../base/timer-wheel.js';
import type { TrafficSelector } from '../../../wire/ike-payload.js';
import { TimerKind } from '../../timer-kind.js';
import type { Sa, SaEvents } from '../sa.js';
import type { Policy } from '../spd.js';
import { type ChildConfig, pairs } from './connection.js';
import type { IkeSa } from './ike-sa.js';
import { childKeys } from './keys.js';
import type { ChildSuite, Prf } from './proposal.js';

/** A replaced inbound SA still opens what was on its way: RFC 7296 §2.8. */
const LINGER = seconds(5);

/** What both sides have agreed on. */
export interface ChildTerms {
  readonly config: ChildConfig;
  readonly suite: ChildSuite;
  readonly transport: boolean;
  /** As seen from here. */
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
  readonly spiIn: number;
  readonly spiOut: number;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  /** Empty without a key exchange of its own. */
  readonly secret: Uint8Array;
  /** We began the exchange that makes it. */
  readonly initiator: boolean;
  /** The one it takes over from. */
  readonly replaces: ChildSa | null;
}

/** See the head of the file. */
export class ChildSa implements SaEvents {
  /** Another one after the IKE SA has been rekeyed. */
  ike: IkeSa;
  readonly terms: ChildTerms;
  readonly config: ChildConfig;
  readonly inbound: Sa;
  readonly outbound: Sa;
  readonly policy: Policy;
  /** A rekey or a delete of ours is under way. */
  rekeying = false;
  deleting = false;
  /** What the peer's rekey has made of it, with the lower of that exchange's nonces. */
  peerReplacement: { readonly child: ChildSa; readonly nonce: Uint8Array } | null = null;
  private removed = false;
  private readonly timer = new Timer(TimerKind.Ike, this);

  /** Makes the SAs. Throws NetError when there is no room for them. */
  constructor(ike: IkeSa, terms: ChildTerms, prf: Prf, d: Uint8Array) {
    this.ike = ike;
    this.terms = terms;
    const { config, suite } = terms;
    this.config = config;
    const { ipsec, ctx } = ike.ike;
    const [fromI, fromR] = childKeys(ctx.hyper.crypto, prf, d, suite.suite, terms.secret, terms.nonceI, terms.nonceR);
    const selectors = pairs(terms.local, terms.remote);
    this.policy = ike.ike.policyOf(this, selectors);
    // Rekeyed up to a tenth earlier, so that both ends do not do it at once (RFC 7296 §2.8); dead a tenth later.
    const early = 1 - ctx.prng.float() / 10;
    const lifetime = {
      ...(config.rekeySeconds > 0 ? { softSeconds: config.rekeySeconds * early, hardSeconds: config.rekeySeconds * 1.1 } : {}),
      ...(config.rekeyOctets > 0 ? { softOctets: config.rekeyOctets * early, hardOctets: config.rekeyOctets * 1.1 } : {}),
    };
    const common = {
      protocol: 'esp' as const,
      mode: terms.transport ? ('transport' as const) : ('tunnel' as const),
      suite: suite.suite,
      esn: suite.esn,
      replayWindow: config.replayWindow,
      selectors,
      lifetime,
      tfc: config.tfc,
      encapsulation: ike.encapsulated ? { localPort: ike.localPort, remotePort: ike.remotePort } : null,
      iface: config.iface,
    };
    const [outKeys, inKeys] = terms.initiator ? [fromI, fromR] : [fromR, fromI];
    this.inbound = ipsec.addSa(
      { ...common, direction: 'in', spi: terms.spiIn, source: ike.remote, destination: ike.local, keys: inKeys },
      null,
      this,
    );
    // Who answers a rekey goes on with the old SA until the new one is there at both ends: its deletion says so.
    const standby = terms.replaces !== null && !terms.initiator;
    this.outbound = ipsec.addSa(
      { ...common, direction: 'out', spi: terms.spiOut, source: ike.local, destination: ike.remote, keys: outKeys },
      this.policy,
      this,
      standby,
    );
    this.inbound.pair = this.outbound;
    this.outbound.pair = this.inbound;
    ike.children.push(this);
    ike.ike.events.child(this, terms.replaces === null ? 'up' : 'rekeyed');
    fromI.fill(0);
    fromR.fill(0);
  }

  /** A soft lifetime has ended. */
  rekey(): void {
    if (this.ike.state === 'established' && !this.rekeying && !this.deleting) this.ike.ike.exchanges.rekeyChild(this);
  }

  /** A hard one: the peer is told. */
  expired(): void {
    this.ike.ike.exchanges.deleteChild(this);
  }

  /** Both SAs and, with the last of its kind, the policy. `linger`: what is on its way may still arrive. */
  remove(linger = false): void {
    if (this.removed) return;
    this.removed = true;
    const { ike } = this.ike;
    this.ike.children = this.ike.children.filter((other) => other !== this);
    ike.ipsec.removeSa(this.outbound);
    if (linger) ike.ctx.wheel.arm(this.timer, ike.ctx.now + LINGER);
    else ike.ipsec.removeSa(this.inbound);
    if (linger) ike.lingering.add(this);
    ike.policyLeft(this);
    if (!linger) ike.events.child(this, 'down');
  }

  /** For the timer wheel. */
  expire(): void {
    this.ike.ike.lingering.delete(this);
    this.ike.ike.ipsec.removeSa(this.inbound);
  }

  /** The IKE layer ends: nothing waits any more. */
  finish(): void {
    this.ike.ike.ctx.wheel.cancel(this.timer);
    this.expire();
  }
}
