/** MACs built of AES blocks, for hosts whose library has only the cipher: CMAC (RFC 4493) and XCBC (RFC 3566). 16 octets each. */
import type { MacContext } from './crypto.js';

const BLOCK = 16;

/** `encrypt` is AES-128 of one block. The key is copied, and zeroed by close. */
export function blockMac(
  algorithm: 'aes-cmac' | 'aes-xcbc',
  key: Uint8Array,
  encrypt: (key: Uint8Array, block: Uint8Array) => Uint8Array,
): MacContext {
  const { chain, whole, padded } = algorithm === 'aes-cmac' ? cmacKeys(key, encrypt) : xcbcKeys(key, encrypt);
  return {
    compute(data) {
      const message = join(data);
      const state = new Uint8Array(BLOCK);
      // All blocks but the last; the last has a key of its own, by whether it was filled up.
      const last = Math.max(0, Math.ceil(message.length / BLOCK) - 1) * BLOCK;
      for (let at = 0; at < last; at += BLOCK) {
        mix(state, message.subarray(at, at + BLOCK));
        state.set(encrypt(chain, state));
      }
      const rest = message.subarray(last);
      mix(state, rest);
      if (rest.length === BLOCK) {
        mix(state, whole);
      } else {
        state[rest.length] = (state[rest.length] as number) ^ 0x80;
        mix(state, padded);
      }
      return encrypt(chain, state).slice(0, BLOCK);
    },
    close() {
      chain.fill(0);
      whole.fill(0);
      padded.fill(0);
    },
  };
}

interface Keys {
  chain: Uint8Array;
  /** XORed into a last block that is whole, or that was padded. */
  whole: Uint8Array;
  padded: Uint8Array;
}

/** RFC 4493 §2.3: K1 and K2 are AES of zero, doubled once and twice in GF(2^128). */
function cmacKeys(key: Uint8Array, encrypt: (key: Uint8Array, block: Uint8Array) => Uint8Array): Keys {
  const whole = double(encrypt(key, new Uint8Array(BLOCK)));
  return { chain: key.slice(), whole, padded: double(whole) };
}

/** RFC 3566 §4: K1, K2, K3 are AES of blocks of ones, twos and threes. */
function xcbcKeys(key: Uint8Array, encrypt: (key: Uint8Array, block: Uint8Array) => Uint8Array): Keys {
  const derive = (octet: number): Uint8Array => encrypt(key, new Uint8Array(BLOCK).fill(octet)).slice(0, BLOCK);
  return { chain: derive(1), whole: derive(2), padded: derive(3) };
}

function double(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(BLOCK);
  for (let i = 0; i < BLOCK; i++) out[i] = ((block[i] as number) << 1) | ((block[i + 1] ?? 0) >> 7);
  if ((block[0] as number) & 0x80) out[15] = (out[15] as number) ^ 0x87;
  return out;
}

function mix(state: Uint8Array, block: Uint8Array): void {
  for (let i = 0; i < block.length; i++) state[i] = (state[i] as number) ^ (block[i] as number);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
