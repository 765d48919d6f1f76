/** The encrypted payload (RFC 7296 §3.14, with AEADs RFC 5282) and encrypted fragments (RFC 7383) of one IKE SA, one direction each. */
import { Drop } from '../../../base/drops.js';
import { Page } from '../../../base/page.js';
import { type Crypto, type CryptoBatch, JOB_WORDS, Job, type Transform } from '../../../hyper/crypto.js';
import { HEADER_LEN, PAYLOAD_HEADER, type Part, type Payload, PayloadType, putHeader, putPayloads, readPayloads, viewOf } from '../../../wire/ike.js';
import { type Cipher, icvLength, NonceKind, type Suite, transformSpec } from '../algorithms.js';
import { AAD_MAX } from '../batch.js';

/** Octets of one IKE message, fragments put together: more is refused. */
export const MESSAGE_MAX = 65_535;
/** Fragments of one message: RFC 7383 §2.5 leaves it to us. */
export const FRAGMENTS_MAX = 64;
/** Octets of the fragment number and total behind a payload header. */
const FRAGMENT_FIELDS = 4;
const AAD_AT = 16;

/** Where messages are sealed and opened, one at a time: shared by all channels of a stack, since a page is dear to make known to the host. */
export class Workbench implements CryptoBatch {
  readonly count = 1;
  readonly words = new Int32Array(JOB_WORDS);
  readonly pages = [new Page(new Uint8Array(MESSAGE_MAX + 1))];
  readonly transforms: Transform[] = [];
  readonly scratch = new Page(new Uint8Array(AAD_AT + AAD_MAX));

  /** The octets of the message under work. */
  get bytes(): Uint8Array {
    return (this.pages[0] as Page).bytes;
  }
}

/** Seals and opens the messages of one direction. */
export class SecureChannel {
  private readonly crypto: Crypto;
  private readonly suite: Suite;
  private readonly cipher: Cipher;
  private readonly transform: Transform;
  private readonly salt: Uint8Array;
  /** The IV of AEADs and CTR is a counter: never twice under one key. */
  private sent = 0;
  private readonly bench: Workbench;

  /** Null when the host lacks the algorithm. */
  static make(crypto: Crypto, bench: Workbench, suite: Suite, keys: Uint8Array): SecureChannel | null {
    const transform = crypto.transform(transformSpec(suite, keys));
    return transform === null ? null : new SecureChannel(crypto, bench, suite, keys, transform);
  }

  private constructor(crypto: Crypto, bench: Workbench, suite: Suite, keys: Uint8Array, transform: Transform) {
    this.crypto = crypto;
    this.suite = suite;
    this.cipher = suite.cipher as Cipher;
    this.transform = transform;
    this.salt = keys.slice(this.cipher.keyLength, this.cipher.keyLength + this.cipher.saltLength);
    this.bench = bench;
  }

  close(): void {
    this.transform.close();
    this.salt.fill(0);
  }

  /** One message, or several fragments of at most `octets` each. */
  seal(head: MessageHead, parts: readonly Part[], octets: number): Uint8Array[] {
    const clear = putPayloads(parts);
    const first = parts[0]?.type ?? PayloadType.None;
    const whole = this.sealedLength(clear.length, PayloadType.Sk);
    if (whole <= octets) return [this.sealOne(head, PayloadType.Sk, first, clear, 0, 0)];
    const room = octets - this.sealedLength(0, PayloadType.Skf) - this.cipher.block;
    const total = Math.ceil(clear.length / room);
    // RFC 7383 §2.5.1: only the first fragment names the payload it begins with.
    return Array.from({ length: total }, (_, i) =>
      this.sealOne(head, PayloadType.Skf, i === 0 ? first : PayloadType.None, clear.subarray(i * room, (i + 1) * room), i + 1, total),
    );
  }

  private sealedLength(octets: number, type: number): number {
    const fields = type === PayloadType.Skf ? FRAGMENT_FIELDS : 0;
    const padded = octets + 1 + (-(octets + 1) & (this.blockSize - 1));
    return HEADER_LEN + PAYLOAD_HEADER + fields + this.cipher.ivLength + padded + icvLength(this.suite);
  }

  /** IKE pads to the cipher's own block, not to words as ESP does. */
  private get blockSize(): number {
    return this.cipher.block === 16 ? 16 : 1;
  }

  private sealOne(head: MessageHead, type: number, first: number, clear: Uint8Array, number: number, total: number): Uint8Array {
    const out = this.bench.bytes.subarray(0, this.sealedLength(clear.length, type)).fill(0);
    const view = viewOf(out);
    putHeader(out, head.spiI, head.spiR, type, head.exchange, head.flags, head.id);
    view.setUint8(HEADER_LEN, first);
    view.setUint16(HEADER_LEN + 2, out.length - HEADER_LEN);
    let at = HEADER_LEN + PAYLOAD_HEADER;
    if (type === PayloadType.Skf) {
      view.setUint16(at, number);
      view.setUint16(at + 2, total);
      at += FRAGMENT_FIELDS;
    }
    this.sent++;
    if (this.cipher.nonce === NonceKind.Iv) head.random(out.subarray(at, at + this.cipher.ivLength));
    else view.setUint32(at + 4, this.sent);
    const data = at + this.cipher.ivLength;
    const tag = out.length - icvLength(this.suite);
    out.set(clear, data);
    out[tag - 1] = tag - 1 - data - clear.length;
    this.describe(out, at, data, tag);
    this.crypto.seal(this.bench);
    return out.slice();
  }

  /** The payloads inside the encrypted one, opened where it stands; a fragment's come back as the octets of `Opened.fragment`. A drop reason otherwise. */
  open(datagram: Uint8Array, payload: Payload): Opened | number {
    const fragment = payload.type === PayloadType.Skf;
    const iv = payload.at + PAYLOAD_HEADER + (fragment ? FRAGMENT_FIELDS : 0);
    const data = iv + this.cipher.ivLength;
    const tag = datagram.length - icvLength(this.suite);
    const length = tag - data;
    if (length < 1 || length % this.blockSize !== 0) return Drop.IkeTruncated;
    if (iv + this.cipher.ivLength > AAD_MAX) return Drop.IkeMalformed;
    const { bytes } = this.bench;
    bytes.set(datagram);
    this.describe(bytes, iv, data, tag);
    this.crypto.open(this.bench);
    if (this.bench.words[Job.Ok] !== 1) return Drop.IkeBadIcv;
    const padding = bytes[tag - 1] as number;
    if (padding + 1 > length) return Drop.IkeMalformed;
    const clear = bytes.slice(data, tag - 1 - padding);
    if (!fragment) {
      const inner = readPayloads(clear, 0, payload.next);
      return typeof inner === 'number' ? inner : { payloads: inner, fragment: null };
    }
    const view = viewOf(payload.body);
    const [number, total] = [view.getUint16(0), view.getUint16(2)];
    if (number === 0 || number > total || total > FRAGMENTS_MAX) return Drop.IkeFragment;
    return { payloads: [], fragment: { number, total, first: payload.next, octets: clear } };
  }

  private describe(bytes: Uint8Array, iv: number, data: number, tag: number): void {
    const { words, scratch, transforms } = this.bench;
    transforms[0] = this.transform;
    words[Job.Offset] = data;
    words[Job.Length] = tag - data;
    words[Job.Tag] = tag;
    words[Job.Nonce] = 0;
    words[Job.Aad] = AAD_AT;
    words[Job.SuffixLength] = 0;
    // RFC 5282 §5.1: an AEAD's associated data end before the IV; a MAC covers all from the header on.
    const aad = this.suite.integrity === null ? iv : data;
    words[Job.AadLength] = aad;
    scratch.bytes.set(bytes.subarray(0, aad), AAD_AT);
    const ivOctets = bytes.subarray(iv, data);
    if (this.cipher.nonce === NonceKind.Iv) {
      scratch.bytes.set(ivOctets, 0);
      return;
    }
    scratch.bytes.set(this.salt, 0);
    scratch.bytes.set(ivOctets, this.salt.length);
    if (this.cipher.nonce === NonceKind.Counter) scratch.view.setInt32(this.salt.length + 8, 1);
  }
}

/** What goes into the header of a sealed message. */
export interface MessageHead {
  readonly spiI: Uint8Array;
  readonly spiR: Uint8Array;
  readonly exchange: number;
  readonly flags: number;
  readonly id: number;
  random(into: Uint8Array): void;
}

/** One authentic fragment, RFC 7383 §2.5. */
export interface Fragment {
  readonly number: number;
  readonly total: number;
  readonly first: number;
  readonly octets: Uint8Array;
}

/** What was inside: payloads, or one fragment of them. */
export interface Opened {
  readonly payloads: readonly Payload[];
  readonly fragment: Fragment | null;
}

/** Puts the fragments of one message together. Only authentic ones come here, so the peer can fill no more than its own. RFC 7383 §2.6. */
export class Fragments {
  private id = -1;
  private total = 0;
  private parts: (Fragment | null)[] = [];

  /** The payloads when all are there, null while not, a drop reason for one that does not fit. */
  add(id: number, fragment: Fragment): readonly Payload[] | number | null {
    // A larger total means that the sender started over with smaller ones; fewer are from the older attempt.
    if (id === this.id && fragment.total < this.total) return Drop.IkeFragment;
    if (id !== this.id || fragment.total > this.total) {
      this.id = id;
      this.total = fragment.total;
      this.parts = new Array<Fragment | null>(fragment.total).fill(null);
    }
    if (this.parts[fragment.number - 1] !== null) return Drop.IkeFragment;
    this.parts[fragment.number - 1] = fragment;
    let octets = 0;
    for (const part of this.parts) {
      if (part === null) return null;
      octets += part.octets.length;
    }
    const { first } = this.parts[0] as Fragment;
    const whole = new Uint8Array(octets);
    let at = 0;
    for (const part of this.parts as Fragment[]) {
      whole.set(part.octets, at);
      at += part.octets.length;
    }
    this.id = -1;
    this.total = 0;
    this.parts = [];
    if (octets > MESSAGE_MAX) return Drop.IkeFragment;
    return readPayloads(whole, 0, first);
  }
}
