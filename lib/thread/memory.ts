// The memory that an I/O thread and JavaScript share: native/core/memory/layout.h says what is in it.
//
// The thread writes to it at any time, and listeners get views of it. So no program may be able to detach it (transfer(),
// structuredClone, postMessage, byte streams): the thread would go on writing to memory that is somebody else's by then.
// The buffer of a WebAssembly.Memory is an ordinary ArrayBuffer that only the Memory's owner can detach. It reserves some
// gigabytes of address space; where that, or WebAssembly itself, is not to be had, a SharedArrayBuffer cannot be detached
// either, but some Web APIs refuse views of it.
import type { ThreadMemory } from '../backend/contract.js';
import { CONTROL_BYTES, DESCRIPTOR_BYTES } from '../backend/layout.js';
import { WasmMemory } from '../base/runtime.js';

const PAGE_BYTES = 65_536; // https://webassembly.github.io/spec/core/exec/runtime.html#memory-instances

function undetachable(bytes: number): ArrayBufferLike {
  if (WasmMemory !== undefined) {
    const pages = Math.ceil(bytes / PAGE_BYTES);
    try {
      return new WasmMemory({ initial: pages, maximum: pages }).buffer;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // as under `ulimit -v`
    }
  }
  return new SharedArrayBuffer(bytes);
}

/** `slots`: descriptors of the ring, a power of two. Zeroed, and only what is touched costs memory. */
export function allocateThreadMemory(
  slots: number,
  arenaBytes: number,
  txSlots: number,
  txArenaBytes: number,
): ThreadMemory {
  const sizes = [slots * DESCRIPTOR_BYTES, arenaBytes, txSlots * DESCRIPTOR_BYTES, txArenaBytes];
  let at = 0;
  const starts = sizes.map((size) => {
    const start = at;
    at += Math.ceil(size / DESCRIPTOR_BYTES) * DESCRIPTOR_BYTES; // a cache line, too
    return start;
  });
  const memory = undetachable(at);
  const [descriptors, arena, txDescriptors, txArena] = sizes.map((size, i) => new Uint8Array(memory, starts[i], size));
  const control = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES));
  return { control, descriptors, arena, txDescriptors, txArena };
}
