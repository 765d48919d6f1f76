// hot: bench/packet/esp
/**
 * ESP's part of a job (RFC 4303 §3.3, §3.4): where header, IV, padding and ICV go, and what nonce and associated data
 * the crypto call gets.
 *
 * ```
 *   head                          data                                      tag
 *   | SPI | sequence | IV …       | payload … | TFC | padding | n | next |  | ICV |
 *   '- associated data: with the high half of an extended number in the middle (AEAD, RFC 4106 §5) or behind the data (MAC)
 * ```
 */
import type { Packet } from '../../base/packet.js';
import * as wire from '../../wire/esp.js';
import { type Cipher, NonceKind } from './algorithms.js';
import type { Batch } from './batch.js';
import type { Sa } from './sa.js';

const TWO32 = 0x1_0000_0000;

/** Octets ESP puts in front of the payload. */
export const espHeader = (sa: Sa): number => wire.HEADER_LEN + (sa.suite.cipher as Cipher).ivLength;

/** The longest payload whose sealed form has at most `octets` from the ESP header to the ICV. May be negative. */
export function espRoom(sa: Sa, octets: number): number {
  const { block } = sa.suite.cipher as Cipher;
  const sealed = octets - espHeader(sa) - sa.icvLength;
  return sealed - (sealed % block) - wire.TRAILER_LEN;
}

/** Random octets for CBC's IVs, which an observer must not guess (RFC 3602 §3). */
export interface IvSource {
  /** Writes 16 octets. */
  write(view: DataView, at: number): void;
}

/**
 * Puts ESP around [head, tail) of a packet that is whole in a slot of its own, padded by `tfc` octets, and adds it to the batch. Afterwards head is at
 * the ESP header and tail behind the ICV. The packet has the room.
 */
export function sealEsp(batch: Batch, packet: Packet, sa: Sa, next: number, tfc: number, ivs: IvSource): void {
  const cipher = sa.suite.cipher as Cipher;
  const { view } = packet;
  const data = packet.head;
  const padded = packet.tail + tfc;
  if (tfc > 0) packet.bytes.fill(0, packet.tail, padded);
  const pad = -(padded - data + wire.TRAILER_LEN) & (cipher.block - 1);
  const tag = wire.putTrailer(view, padded, pad, next);
  const sequence = sa.next();
  const head = packet.push(wire.HEADER_LEN + cipher.ivLength);
  wire.put(view, head, sa.spi, sequence | 0);
  const iv = head + wire.HEADER_LEN;
  if (cipher.nonce === NonceKind.Iv) {
    if (cipher.ivLength > 0) ivs.write(view, iv);
  } else if (cipher.ivLength > 0) {
    // Never twice under one key: the sequence number itself. RFC 4106 §3.1.
    view.setInt32(iv, (sequence / TWO32) | 0);
    view.setInt32(iv + 4, sequence | 0);
  }
  packet.tail = tag + sa.icvLength;
  describe(batch, packet, sa, cipher, head, sequence, data, tag);
}

/** Adds a received packet to the batch: head at the ESP header, whole in a slot of its own. False when its length fits no payload. */
export function openEsp(batch: Batch, packet: Packet, sa: Sa, sequence: number): boolean {
  const cipher = sa.suite.cipher as Cipher;
  const data = packet.head + wire.HEADER_LEN + cipher.ivLength;
  const tag = packet.tail - sa.icvLength;
  const length = tag - data;
  if (length < wire.TRAILER_LEN || (length & (cipher.block - 1)) !== 0) return false;
  describe(batch, packet, sa, cipher, packet.head, sequence, data, tag);
  return true;
}

function describe(batch: Batch, packet: Packet, sa: Sa, cipher: Cipher, head: number, sequence: number, data: number, tag: number): void {
  const scratch = batch.scratch.view;
  const { view } = packet;
  const high = (sequence / TWO32) | 0;
  const iv = head + wire.HEADER_LEN;
  writeNonce(scratch, batch.nonceAt, sa, cipher, view, iv, high, sequence | 0);
  let at = batch.aadAt;
  const first = at;
  scratch.setInt32(at, sa.spi);
  at += 4;
  const combined = sa.suite.integrity === null;
  if (combined && sa.esn) {
    scratch.setInt32(at, high);
    at += 4;
  }
  scratch.setInt32(at, sequence | 0);
  at += 4;
  // A MAC covers the IV, an AEAD takes it in by the nonce; GMAC is told of it like a MAC (RFC 4543 §3.3).
  if (!combined || cipher.clear) {
    for (let i = 0; i < cipher.ivLength; i += 4, at += 4) scratch.setInt32(at, view.getInt32(iv + i));
  }
  const suffix = !combined && sa.esn ? 4 : 0; // RFC 4303 §2.2.1: not sent, but checked
  if (suffix > 0) scratch.setInt32(at, high);
  batch.add(packet, sa, sequence, data, tag - data, tag, at - first, suffix);
}

function writeNonce(scratch: DataView, at: number, sa: Sa, cipher: Cipher, view: DataView, iv: number, high: number, low: number): void {
  if (cipher.nonce === NonceKind.Iv) {
    for (let i = 0; i < cipher.ivLength; i += 4) scratch.setInt32(at + i, view.getInt32(iv + i));
    return;
  }
  const { salt } = sa;
  for (let i = 0; i < salt.length; i++) scratch.setUint8(at + i, salt[i] as number);
  const to = at + salt.length;
  if (cipher.ivLength === 0) {
    // RFC 8750 §4: the sequence number, not sent twice.
    scratch.setInt32(to, sa.esn ? high : 0);
    scratch.setInt32(to + 4, low);
  } else {
    scratch.setInt32(to, view.getInt32(iv));
    scratch.setInt32(to + 4, view.getInt32(iv + 4));
  }
  if (cipher.nonce === NonceKind.Counter) scratch.setInt32(to + 8, 1);
}
