/** CryptoBatch by node:crypto, one packet at a time: where the addon is missing, or lacks a MAC. A packet costs some 7 µs. */
import { type CipherCCM, type CipherCCMTypes, createCipheriv, createDecipheriv, type DecipherCCM, timingSafeEqual } from 'node:crypto';
import type { CryptoBatch, MacContext, TransformSpec } from './crypto.js';
import { nonceOf, rangesOf, type SoftTransform } from './crypto-job.js';

const NONCE_LEN = 12;
/** RFC 4309 §4. */
const CCM_NONCE_LEN = 11;
const BLOCK = 16;

/** Null when OpenSSL lacks the algorithm, or a length is not its. `mac` is made of the spec's and becomes the transform's. */
export function nodeTransform(spec: TransformSpec, mac: MacContext | null): SoftTransform | null {
  const { cipher } = spec;
  const separate = cipher === 'null' || cipher.endsWith('cbc') || cipher.endsWith('ctr');
  if (separate !== (mac !== null)) return null;
  const transform = separate ? new EncryptThenMac(spec, mac as MacContext) : new NodeAead(spec);
  try {
    transform.probe();
    return transform;
  } catch {
    return null;
  }
}

class NodeAead implements SoftTransform {
  readonly id = -1;
  private readonly algorithm: CipherCCMTypes;
  private readonly key: Uint8Array;
  private readonly options: { readonly authTagLength: number };
  private readonly nonceLength: number;
  /** GMAC: what would be encrypted is only authenticated. */
  private readonly clear: boolean;

  constructor(spec: TransformSpec) {
    this.clear = spec.cipher.endsWith('gmac');
    this.algorithm = spec.cipher.replace('gmac', 'gcm') as CipherCCMTypes;
    this.key = spec.key.slice();
    this.options = { authTagLength: spec.tagLength };
    this.nonceLength = spec.cipher.endsWith('ccm') ? CCM_NONCE_LEN : NONCE_LEN;
  }

  probe(): void {
    createCipheriv(this.algorithm, this.key, new Uint8Array(this.nonceLength), this.options);
  }

  seal(batch: CryptoBatch, i: number): void {
    const { data, tag, aad } = rangesOf(batch, i, this.options.authTagLength);
    const cipher = createCipheriv(this.algorithm, this.key, nonceOf(batch, i, this.nonceLength), this.options) as CipherCCM;
    if (this.clear) {
      cipher.setAAD(Buffer.concat([aad, data]), { plaintextLength: 0 });
    } else {
      cipher.setAAD(aad, { plaintextLength: data.length });
      data.set(cipher.update(data));
    }
    cipher.final();
    tag.set(cipher.getAuthTag());
  }

  open(batch: CryptoBatch, i: number): boolean {
    const { data, tag, aad } = rangesOf(batch, i, this.options.authTagLength);
    const decipher = createDecipheriv(this.algorithm, this.key, nonceOf(batch, i, this.nonceLength), this.options) as DecipherCCM;
    decipher.setAuthTag(tag);
    // A wrong tag is thrown by final, of CCM by update; both mean the same.
    try {
      if (this.clear) {
        decipher.setAAD(Buffer.concat([aad, data]), { plaintextLength: 0 });
        decipher.final();
        return true;
      }
      decipher.setAAD(aad, { plaintextLength: data.length });
      const opened = decipher.update(data);
      decipher.final();
      data.set(opened);
      return true;
    } catch {
      return false;
    }
  }

  close(): void {
    this.key.fill(0);
  }
}

/** A cipher or none, and a MAC over what it made. */
class EncryptThenMac implements SoftTransform {
  readonly id = -1;
  /** Null for the NULL cipher. */
  private readonly algorithm: string | null;
  private readonly key: Uint8Array;
  private readonly mac: MacContext;
  private readonly tagLength: number;

  constructor(spec: TransformSpec, mac: MacContext) {
    this.algorithm = spec.cipher === 'null' ? null : spec.cipher;
    this.key = spec.key.slice();
    this.mac = mac;
    this.tagLength = spec.tagLength;
  }

  probe(): void {
    if (this.algorithm !== null) createCipheriv(this.algorithm, this.key, new Uint8Array(BLOCK));
  }

  seal(batch: CryptoBatch, i: number): void {
    const { data, tag, aad, suffix } = rangesOf(batch, i, this.tagLength);
    if (this.algorithm !== null) {
      const cipher = createCipheriv(this.algorithm, this.key, nonceOf(batch, i, BLOCK)).setAutoPadding(false);
      data.set(cipher.update(data));
    }
    tag.set(this.mac.compute([aad, data, suffix]).subarray(0, this.tagLength));
  }

  open(batch: CryptoBatch, i: number): boolean {
    const { data, tag, aad, suffix } = rangesOf(batch, i, this.tagLength);
    const right = this.mac.compute([aad, data, suffix]).subarray(0, this.tagLength);
    if (!timingSafeEqual(right, tag)) return false;
    if (this.algorithm !== null) {
      const decipher = createDecipheriv(this.algorithm, this.key, nonceOf(batch, i, BLOCK)).setAutoPadding(false);
      data.set(decipher.update(data));
    }
    return true;
  }

  close(): void {
    this.key.fill(0);
    this.mac.close();
  }
}
