/** Where strangers knock: the first messages of IKE SAs to be, and how little is spent on them. RFC 7296 §2.6. */
import { type Address, formatAddress } from '../../../base/address.js';
import { Drop } from '../../../base/drops.js';
import { type Micros, seconds } from '../../../base/time.js';
import { Exchange, Flag, HEADER_LEN, type Header, message, NotifyType, PayloadType, readPayloads } from '../../../wire/ike.js';
import { addressOctets, join } from '../../../wire/ike-payload.js';
import type { Connection } from './connection.js';
import type { Ike } from './ike.js';
import { IkeSa, type Way } from './ike-sa.js';
import { find, notifies, notifyPart } from './notify.js';
import { redirectable, redirectPart } from './redirect.js';
import { answerInit } from './sa-init.js';

/** Half-open IKE SAs from which on a cookie is asked for, and at which no more are begun. */
const COOKIE_FROM = 32;
const HALF_OPEN_MAX = 512;
/** The secret behind the cookies changes this often; the one before is still taken. */
const COOKIE_LIFE: Micros = seconds(60);

/** Owned by Ike. */
export class Door {
  private readonly ike: Ike;
  /** Of the responder's, by the initiator's SPI and address: where retransmitted first messages belong. */
  private readonly halfOpen = new Map<string, IkeSa>();
  private readonly secrets = [new Uint8Array(32), new Uint8Array(32)];
  private secretAt: Micros;

  constructor(ike: Ike) {
    this.ike = ike;
    for (const secret of this.secrets) ike.ctx.hyper.random(secret);
    this.secretAt = ike.ctx.now;
  }

  /** A first message. */
  knock(header: Header, bytes: Uint8Array, way: Way): void {
    const { ike } = this;
    const key = `${ike.keyOf(header.spiI)} ${formatAddress(way.remote)} ${way.remotePort}`;
    const known = this.halfOpen.get(key);
    if (known !== undefined) {
      known.receive(header, bytes, way);
      return;
    }
    const [candidate] = ike.candidates(way.local, way.remote);
    if ((header.flags & Flag.Initiator) === 0 || header.id !== 0 || candidate === undefined) {
      ike.drop(candidate === undefined ? Drop.IkeNoConnection : Drop.IkeState);
      return;
    }
    const payloads = readPayloads(bytes, HEADER_LEN, header.next);
    if (typeof payloads === 'number') {
      ike.drop(payloads);
      return;
    }
    if (this.halfOpen.size >= COOKIE_FROM) {
      const nonce = find(payloads, PayloadType.Nonce)?.body;
      const given = notifies(payloads).find((n) => n.type === NotifyType.Cookie)?.data;
      if (nonce === undefined || nonce.length > 256) {
        ike.drop(Drop.IkeMalformed);
        return;
      }
      const cookies = this.cookies(header.spiI, way.remote, nonce);
      if (given === undefined || !cookies.some((cookie) => same(cookie, given))) {
        const wanted = notifyPart(NotifyType.Cookie, cookies[0] as Uint8Array);
        ike.send(way, message(header.spiI, header.spiR, Exchange.SaInit, Flag.Response, 0, [wanted]));
        ike.drop(Drop.IkeCookie);
        return;
      }
    }
    if (this.halfOpen.size >= HALF_OPEN_MAX || ike.full) {
      ike.drop(Drop.IkeHalfOpen);
      return;
    }
    if (candidate.redirectTo !== null && redirectable(payloads)) {
      const nonce = find(payloads, PayloadType.Nonce)?.body ?? new Uint8Array();
      const elsewhere = redirectPart(addressOctets(candidate.redirectTo), nonce.subarray(0, 256));
      ike.send(way, message(header.spiI, header.spiR, Exchange.SaInit, Flag.Response, 0, [elsewhere]));
      return;
    }
    this.open(candidate, key, header, bytes, way, payloads);
  }

  private open(candidate: Connection, key: string, header: Header, bytes: Uint8Array, way: Way, payloads: Parameters<typeof answerInit>[2]): void {
    const { ike } = this;
    const sa = new IkeSa(ike, candidate, false, header.spiI, ike.newSpi(), way.local, way.remote, [way.localPort, way.remotePort]);
    sa.halfOpenKey = key;
    this.halfOpen.set(key, sa);
    ike.enter(sa);
    sa.busy = true;
    answerInit(ike.exchanges, sa, payloads, bytes);
  }

  /** It is half open no longer. */
  left(sa: IkeSa): void {
    this.halfOpen.delete(sa.halfOpenKey);
  }

  /** Of the present secret, and of the one before. */
  private cookies(spi: Uint8Array, remote: Address, nonce: Uint8Array): Uint8Array[] {
    const { ctx, exchanges } = this.ike;
    if (ctx.now >= this.secretAt + COOKIE_LIFE) {
      this.secrets.reverse();
      ctx.hyper.random(this.secrets[0] as Uint8Array);
      this.secretAt = ctx.now;
    }
    return this.secrets.map((secret) => exchanges.crypto.hash('sha256', join(secret, nonce, addressOctets(remote), spi)));
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((octet, i) => octet === b[i]);
