// The memory that an I/O thread and JavaScript share: native/core/memory/layout.h says what is in it.
//
// The thread writes to it at any time. So no program may be able to detach it (transfer(), structuredClone, postMessage,
// byte streams): the thread would go on writing to memory that is somebody else's by then. Nor may a listener, who gets
// views of the arena, reach anything else through them.
//
// The buffer of a WebAssembly.Memory is an ordinary ArrayBuffer that only the Memory's owner can detach. It reserves some
// gigabytes of address space; where that, or WebAssembly itself, is not to be had, a SharedArrayBuffer cannot be detached
// either, but some Web APIs refuse views of it. What nobody is lent is a SharedArrayBuffer anyway.
import type { ThreadMemory } from '../backend/contract.js';
import { CONTROL_BYTES, DESCRIPTOR_BYTES, SOURCE_BYTES } from '../backend/layout.js';
import { binding } from '../backend/load.js';
import { ENOMEM } from '../base/errno.js';
import { errnoException } from '../base/errors.js';
import { WasmMemory } from '../base/runtime.js';

const PAGE_BYTES = 65_536; // https://webassembly.github.io/spec/core/exec/runtime.html#memory-instances

let noSpace = false; // to find that out takes a garbage collection

function lendable(bytes: number): ArrayBufferLike {
  if (WasmMemory !== undefined && !noSpace) {
    const pages = Math.ceil(bytes / PAGE_BYTES);
    try {
      return new WasmMemory({ initial: pages, maximum: pages }).buffer;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      noSpace = true; // as under `ulimit -v`
    }
  }
  return sharedBuffer(bytes);
}

/** @throws ENOMEM where the process may not have so much. V8 would end it, or say a RangeError without a code. */
function checkRoom(bytes: number): void {
  if (!binding.hasRoom(bytes)) throw errnoException(ENOMEM, 'mmap');
}

// ES2024; where it is not known, the buffer cannot grow.
type GrowableBuffer = new (bytes: number, options?: { maxByteLength: number }) => SharedArrayBuffer;

/** Of zeroes. With `maxByteLength` it may grow, or could. @throws ENOMEM */
export function sharedBuffer(bytes: number, options?: { maxByteLength: number }): SharedArrayBuffer {
  checkRoom(bytes);
  try {
    return new (SharedArrayBuffer as unknown as GrowableBuffer)(bytes, options);
  } catch (error) {
    throw error instanceof RangeError ? errnoException(ENOMEM, 'mmap') : error;
  }
}

/** `slots`: descriptors of the ring, a power of two. Zeroed, and only what is touched costs memory. @throws ENOMEM */
export function allocateThreadMemory(
  slots: number,
  arenaBytes: number,
  txSlots: number,
  txArenaBytes: number,
): ThreadMemory {
  const ringBytes = slots * DESCRIPTOR_BYTES + arenaBytes;
  checkRoom(ringBytes + txSlots * (DESCRIPTOR_BYTES + SOURCE_BYTES) + txArenaBytes + binding.threadBytes);
  const shared = (bytes: number) => new Uint8Array(sharedBuffer(bytes));
  return {
    control: new Int32Array(sharedBuffer(CONTROL_BYTES)),
    descriptors: shared(slots * DESCRIPTOR_BYTES),
    arena: new Uint8Array(lendable(arenaBytes), 0, arenaBytes),
    txDescriptors: shared(txSlots * DESCRIPTOR_BYTES),
    txSources: shared(txSlots * SOURCE_BYTES),
    txArena: shared(txArenaBytes),
  };
}
