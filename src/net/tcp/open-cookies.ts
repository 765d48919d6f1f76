import type { Address } from '../../base/address.js';
import { SipHash } from '../../base/siphash.js';
import type { TcpOptions } from '../../wire/tcp-options.js';

/** net.ipv4.tcp_fastopen_key when no key is given: one of our own is used. */
export const NO_KEY = '00000000-00000000-00000000-00000000';

/** Octets of the cookies we give. RFC 7413 §4.1.2 recommends 8 for a 64-bit hash. */
const COOKIE_LEN = 8;

/**
 * Cookies of Fast Open as server: SipHash of the client's address and ours, under a key that servers may share. Nothing is kept for them
 * (RFC 7413 §4.1.2). Linux's form.
 */
export class OpenCookies {
  private readonly secret: Int32Array;
  private hash: SipHash;
  private readonly addresses = new Uint8Array(32);
  private readonly view = new DataView(this.addresses.buffer);

  /** `secret` is the key while none is given: four words. */
  constructor(secret: Int32Array) {
    this.secret = secret;
    this.hash = new SipHash(secret, 0);
  }

  /** A key in the words of the tunable: four numbers in hexadecimal. Cookies given under the last one are no longer taken. */
  setKey(text: string): void {
    const words = Int32Array.from(text.split('-'), (word) => Number.parseInt(word, 16));
    this.hash = new SipHash(text === NO_KEY ? this.secret : words, 0);
  }

  /** Puts the cookie of a client into options about to be written. */
  give(options: TcpOptions, local: Address, remote: Address): void {
    this.work(local, remote);
    options.cookieLength = COOKIE_LEN;
    const view = new DataView(options.cookie.buffer, options.cookie.byteOffset);
    view.setInt32(0, this.hash.lo, true);
    view.setInt32(4, this.hash.hi, true);
  }

  /** True when the client brings its cookie. */
  taken(options: TcpOptions, local: Address, remote: Address): boolean {
    if (options.cookieLength !== COOKIE_LEN) return false;
    this.work(local, remote);
    const view = new DataView(options.cookie.buffer, options.cookie.byteOffset);
    return view.getInt32(0, true) === this.hash.lo && view.getInt32(4, true) === this.hash.hi;
  }

  private work(local: Address, remote: Address): void {
    const { view } = this;
    if (local.isV4) {
      view.setInt32(0, remote.w3);
      view.setInt32(4, local.w3);
      this.hash.octets(this.addresses, 0, 8);
      return;
    }
    for (const [i, { w0, w1, w2, w3 }] of [remote, local].entries()) {
      view.setInt32(16 * i, w0);
      view.setInt32(16 * i + 4, w1);
      view.setInt32(16 * i + 8, w2);
      view.setInt32(16 * i + 12, w3);
    }
    this.hash.octets(this.addresses);
  }
}
