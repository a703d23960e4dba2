// What ksocket uses of the runtime's clock, tick queue and timers, as they are when it is imported: programs replace
// them later, test runners first of all, and what has been replaced may never call back. Only here are they looked up;
// lint says so (biome.json).
import { performance } from 'node:perf_hooks';
import timers from 'node:timers';

// The global is a getter; importing node:process would open stdin.
const { process, structuredClone } = globalThis;

/** Only Node's own event loop is one that native code can join: other runtimes have a libuv in name only. */
export const hasLibuv =
  process.release.name === 'node' && !('bun' in process.versions) && !('deno' in process.versions);
export const development = process.env.NODE_ENV === 'development';

/** Does the permission model forbid the network, in the Nodes that have it for sockets? */
export function netIsDenied(): boolean {
  const { permission } = process;
  return permission !== undefined && process.allowedNodeEnvironmentFlags.has('--allow-net') && !permission.has('net');
}

export const { nextTick } = process;
/** lib/thread/run-ticks.ts says what it is good for; undefined in other runtimes. */
export const { _tickCallback: tickCallback } = process as unknown as { _tickCallback?: () => void };
export const { clearImmediate, clearInterval, setImmediate, setInterval, setTimeout } = timers;
/** Milliseconds, monotonic. */
export const now: () => number = performance.now.bind(performance);
/** Nanoseconds, monotonic. */
export const { bigint: nowNs } = process.hrtime;
/** Leaves `memory` detached, whoever has views of it. */
export function detach(memory: ArrayBuffer): void {
  if (memory.byteLength > 0) structuredClone(memory, { transfer: [memory] });
}

// TypeScript has it with the DOM only.
type MemoryClass = new (limits: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
const { WebAssembly: wasm } = globalThis as { WebAssembly?: { Memory: MemoryClass } };
/** WebAssembly.Memory; undefined with --jitless. */
export const WasmMemory = wasm?.Memory;
