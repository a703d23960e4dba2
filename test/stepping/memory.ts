// In place of lib/thread/memory.ts: rings so small that they are full after a few records. One is used again for the next
// schedule, from zeros; what is staged to be sent stays what it was.
import type { ThreadMemory } from '../../build-lib/backend/contract.js';
import { CONTROL_BYTES, DESCRIPTOR_BYTES, SOURCE_BYTES } from '../../build-lib/backend/layout.js';

const rings = new Map<string, ThreadMemory>();
let size = { slots: 0, arenaBytes: 0 };

/** Of the next thread. */
export function setRingSize(slots: number, arenaBytes: number): void {
  size = { slots, arenaBytes };
}

export const sharedBuffer = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

export function allocateThreadMemory(
  _slots: number,
  _arenaBytes: number,
  txSlots: number,
  txArenaBytes: number,
): ThreadMemory {
  const { slots, arenaBytes } = size;
  const key = `${slots} ${arenaBytes}`;
  const known = rings.get(key);
  if (known !== undefined) {
    known.control.fill(0);
    known.descriptors.fill(0);
    return known;
  }
  const shared = (bytes: number) => new Uint8Array(sharedBuffer(bytes));
  const made = {
    control: new Int32Array(sharedBuffer(CONTROL_BYTES)),
    descriptors: shared(slots * DESCRIPTOR_BYTES),
    arena: shared(arenaBytes),
    txDescriptors: shared(txSlots * DESCRIPTOR_BYTES),
    txSources: shared(txSlots * SOURCE_BYTES),
    txArena: shared(txArenaBytes),
  };
  rings.set(key, made);
  return made;
}
