// A payload is told by a number, its key: byte `i` of it is content(key, i), as in addon/engine.h.

export function content(key: number, i: number): number {
  return (Math.imul(key, 167) + i * 13 + (i >> 8)) & 255;
}

export function payloadOf(key: number, size: number): Uint8Array {
  const out = new Uint8Array(size);
  for (let i = 0; i < size; i++) out[i] = content(key, i);
  return out;
}

/** FNV-1a of payloadOf(). */
export function hashOf(key: number, size: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < size; i++) hash = Math.imul(hash ^ content(key, i), 0x01000193);
  return hash >>> 0;
}

const EVERY = 512; // of long payloads not all bytes are looked at

/** Are these the bytes of the payload `key` from `from` on? */
export function isPart(data: Uint8Array, key: number, from: number): boolean {
  const { length } = data;
  for (let i = 0; i < length; i++) {
    if (data[i] !== content(key, from + i)) return false;
    if (i >= EVERY && i < length - EVERY) i += 60;
  }
  return true;
}
