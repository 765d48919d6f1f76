/** What the exchanges share: slow work, random octets, and what becomes of IKE and child SAs when one has ended. */
import { Drop } from '../../../base/drops.js';
import type { Crypto, CryptoRequest } from '../../../hyper/crypto.js';
import { Exchange, NotifyType, notifyName, type Payload } from '../../../wire/ike.js';
import type { Notify } from '../../../wire/ike-payload.js';
import { answerAuth, startAuth } from './auth.js';
import type { ChildSa } from './child-sa.js';
import { sameIdentity, type WantedChild } from './connection.js';
import { againChild, answerCreateChild, startChild } from './create-child.js';
import type { Ike } from './ike.js';
import type { IkeSa } from './ike-sa.js';
import { answerInformational, startDelete } from './informational.js';
import { notifyPart } from './notify.js';
import type { Group } from './proposal.js';
import { lower, startRekeyIke } from './rekey-ike.js';
import { startInit } from './sa-init.js';
import { Workbench } from './secure.js';

export class Exchanges {
  readonly ike: Ike;
  readonly crypto: Crypto;
  readonly bench = new Workbench();
  /** The datagram under work. */
  lastDatagram: Uint8Array = new Uint8Array();

  constructor(ike: Ike) {
    this.ike = ike;
    this.crypto = ike.ctx.hyper.crypto;
  }

  /** A request of the peer's whose turn it is. */
  requested(sa: IkeSa, exchange: number, payloads: readonly Payload[]): void {
    switch (exchange) {
      case Exchange.Auth:
        answerAuth(this, sa, payloads);
        return;
      case Exchange.CreateChild:
        answerCreateChild(this, sa, payloads);
        return;
      case Exchange.Informational:
        answerInformational(this, sa, payloads);
        return;
      default:
        this.ike.drop(Drop.IkeState);
        sa.respond(exchange, [notifyPart(NotifyType.InvalidSyntax)]);
    }
  }

  // Slow work

  random(octets: number): Uint8Array {
    const out = new Uint8Array(octets);
    this.ike.ctx.hyper.random(out);
    return out;
  }

  /** Slow public-key work for an IKE SA; `then` is not called when that has died meanwhile. */
  work(sa: IkeSa, request: CryptoRequest, then: (result: Uint8Array | null, error?: string) => void): void {
    this.crypto.request(request, (result, error) => {
      if (!sa.alive) return;
      this.ike.ctx.touch();
      then(result, error);
    });
  }

  /** A fresh key pair: public value, secret. */
  keyPair(sa: IkeSa, group: Group, then: (own: Uint8Array, secret: Uint8Array) => void): void {
    this.work(sa, { operation: 'generate', algorithm: group.algorithm, parameters: {} }, (pair, error) => {
      if (pair === null) sa.fail(`no key pair for ${group.name}: ${error ?? ''}`);
      else then(pair.slice(0, group.length), pair.slice(group.length));
    });
  }

  /** The shared secret. A value of the peer's that gives none ends the IKE SA: it is an attack or a bug (RFC 6989). */
  derive(sa: IkeSa, group: Group, secret: Uint8Array, value: Uint8Array, then: (shared: Uint8Array) => void): void {
    const parameters = { private: secret, public: value.slice() };
    this.work(sa, { operation: 'derive', algorithm: group.algorithm, parameters }, (shared, error) => {
      secret.fill(0);
      if (shared === null) sa.fail(`the key exchange failed: ${error ?? ''}`);
      else then(shared);
    });
  }

  /** The responder's half of a key exchange in one go: our value and the shared secret. */
  respond(sa: IkeSa, group: Group, value: Uint8Array, then: (own: Uint8Array, shared: Uint8Array) => void): void {
    this.work(sa, { operation: 'respond', algorithm: group.algorithm, parameters: { public: value.slice() } }, (made, error) => {
      if (made === null) sa.fail(`the key exchange failed: ${error ?? ''}`);
      else then(made.slice(0, group.answer), made.slice(group.answer));
    });
  }

  responderSpi(_payloads: readonly Payload[]): Uint8Array {
    return this.lastDatagram.slice(8, 16);
  }

  errorText(notify: Notify | null): string {
    return notify === null ? 'the answer is not complete' : notifyName(notify.type);
  }

  // What becomes of them

  startInit(sa: IkeSa): void {
    startInit(this, sa);
  }

  startAuth(sa: IkeSa, _certificatesWanted: boolean): void {
    if (sa.alive) startAuth(this, sa);
  }

  refused(sa: IkeSa, exchange: string, notify: Notify | null): void {
    sa.fail(`${exchange}: ${this.errorText(notify)}`);
  }

  established(sa: IkeSa): void {
    sa.establish();
    this.ike.up(sa);
  }

  createChild(sa: IkeSa, wanted: WantedChild): void {
    startChild(this, sa, wanted, null);
  }

  rekeyChild(child: ChildSa): void {
    child.rekeying = true;
    startChild(this, child.ike, againChild(child), child);
  }

  deleteChild(child: ChildSa): void {
    if (child.ike.state === 'established') startDelete(child.ike, child, false);
    else child.remove();
  }

  rekeyIke(sa: IkeSa): void {
    startRekeyIke(this, sa);
  }

  /** Our rekey has made `made`. Of two at once the one with the lowest nonce of all four goes (RFC 7296 §2.8.1). */
  replaced(old: ChildSa, made: ChildSa, nonceI: Uint8Array, nonceR: Uint8Array): void {
    const sa = made.ike;
    const theirs = old.peerReplacement;
    old.rekeying = false;
    const ours = lower(nonceI, nonceR);
    if (theirs !== null && sa.children.includes(theirs.child) && lower(ours, theirs.nonce) === ours) {
      startDelete(sa, made, true);
      return;
    }
    if (sa.children.includes(old)) startDelete(sa, old, true);
  }

  rekeyFailed(old: ChildSa, notify: Notify): void {
    old.rekeying = false;
    const sa = old.ike;
    // The peer has just replaced or deleted it (RFC 7296 §2.25.1): its own exchange tells.
    if (notify.type === NotifyType.TemporaryFailure) {
      this.ike.later(() => {
        if (sa.children.includes(old)) old.rekey();
      });
    } else if (notify.type === NotifyType.ChildSaNotFound) old.remove(true);
    else this.ike.events.failed(sa, old.config.name, this.errorText(notify));
  }

  rekeyIkeFailed(sa: IkeSa, notify: Notify | null): void {
    sa.rekeying = false;
    if (sa.peerSuccessor !== null) this.adopt(sa, sa.peerSuccessor.sa);
    else if (notify?.type === NotifyType.TemporaryFailure) {
      this.ike.later(() => {
        if (sa.state === 'established' && !sa.rekeying) this.rekeyIke(sa);
      });
    } else this.ike.events.failed(sa, '', `rekeying: ${this.errorText(notify)}`);
  }

  /** Our rekey of the IKE SA has made `next`. */
  ikeReplaced(sa: IkeSa, next: IkeSa, nonce: Uint8Array): void {
    sa.rekeying = false;
    const theirs = sa.peerSuccessor;
    if (theirs !== null && lower(nonce, theirs.nonce) === nonce) {
      // Ours is the one to go; the peer deletes the old one.
      next.establish();
      next.close();
      this.adopt(sa, theirs.sa);
      return;
    }
    this.adopt(sa, next);
    sa.closeReplaced();
  }

  /** The peer's has. Its delete of the old one follows. */
  ikeReplacedByPeer(sa: IkeSa, next: IkeSa, nonce: Uint8Array): void {
    if (sa.rekeying) {
      next.establish();
      sa.peerSuccessor = { sa: next, nonce };
    } else this.adopt(sa, next);
  }

  /** The children move to the new IKE SA (RFC 7296 §2.8). */
  private adopt(sa: IkeSa, next: IkeSa): void {
    if (next.state !== 'established') next.establish();
    for (const child of sa.children) child.ike = next;
    next.children = [...next.children, ...sa.children];
    sa.children = [];
    sa.retire(next);
    this.ike.up(next);
  }

  deletedByPeer(sa: IkeSa): void {
    // Ours was the lower nonce, and the peer knows: its successor has the children.
    if (sa.peerSuccessor !== null && sa.successor === null) this.adopt(sa, sa.peerSuccessor.sa);
    sa.end('deleted by the peer');
  }

  /** RFC 7296 §2.4: whoever authenticates anew has forgotten what was before. */
  replaceOthers(sa: IkeSa): void {
    for (const other of this.ike.list()) {
      if (other === sa || other.state !== 'established' || other.connection !== sa.connection) continue;
      if (other.peerId !== null && sa.peerId !== null && sameIdentity(other.peerId, sa.peerId)) other.end('replaced by a new one');
    }
  }
}
