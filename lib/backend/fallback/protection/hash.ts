// Hashes for tables whose keys outsiders choose, seeded so that they cannot aim at one place (native/core/base/hash.h).
import { randomBytes } from 'node:crypto';

export function randomSeed(): number {
  return randomBytes(4).readUInt32LE();
}

/** 32 bits of a hash that goes on from `hash` (MurmurHash3's mixing). */
export function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  const h = hash ^ k;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/** Its end: every bit of the input has a part in every bit of this. */
export function finish(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

export interface PayloadHash {
  readonly place: number;
  readonly tag: number;
}

/** Two hashes of 32 bits. */
export function payloadHash(seed: number, payload: Uint8Array): PayloadHash {
  let a = mix(seed, payload.length);
  let b = mix(~seed, payload.length);
  for (let i = 0; i < payload.length; i += 4) {
    const word = payload[i] | (payload[i + 1] << 8) | (payload[i + 2] << 16) | (payload[i + 3] << 24);
    a = mix(a, word);
    b = mix(b, word ^ 0x5bd1e995);
  }
  return { place: finish(a), tag: finish(b) };
}
