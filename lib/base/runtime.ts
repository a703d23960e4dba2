// What ksocket uses of the runtime's clock, tick queue and timers, as they are when it is imported: programs replace
// them later, test runners first of all, and what has been replaced may never call back. Only here are they looked up;
// lint says so (biome.json).
import { performance } from 'node:perf_hooks';
import timers from 'node:timers';

// The global is a getter; importing node:process would open stdin.
const { process, structuredClone } = globalThis;

/** For what few programs need, when one does; what an import names is loaded with ksocket. */
export const getBuiltinModule: NodeJS.Process['getBuiltinModule'] = process.getBuiltinModule;

/** Only Node's own event loop is one that native code can join: other runtimes have a libuv in name only. */
export const hasLibuv =
  process.release.name === 'node' && !('bun' in process.versions) && !('deno' in process.versions);
export const development = process.env.NODE_ENV === 'development';

/** The environment as it is now. */
export const environment = (): NodeJS.ProcessEnv => process.env;

/** The effective user id, as it is now. */
export const userId = (): number | undefined => process.geteuid?.();

/** Node makes it when it is asked for it. */
export const standardOutput = (): NodeJS.WriteStream => process.stdout;

/** What has gone wrong, and stops nothing. */
export const warn = (warning: Error): void => process.emitWarning(warning);

/** Does the permission model forbid the network, in the Nodes that have it for sockets? */
export function netIsDenied(): boolean {
  const { permission } = process;
  return permission !== undefined && process.allowedNodeEnvironmentFlags.has('--allow-net') && !permission.has('net');
}

// Tests may import under fakes, which are gone later on. What is Node's own tells by its source; what is not is looked up
// again at each use, and meanwhile there are promises.
function isReal(candidate: unknown, mark: string): boolean {
  return !hasLibuv || String(candidate).includes(mark);
}
const resolved = Promise.resolve();

type NextTick = <Args extends unknown[]>(callback: (...args: Args) => void, ...args: Args) => void;
const TICK_MARK = 'tickObject';
const lateTick: NextTick = (callback, ...args) => {
  if (isReal(process.nextTick, TICK_MARK)) process.nextTick(callback, ...args);
  else resolved.then(() => callback(...args));
};
export const nextTick: NextTick = isReal(process.nextTick, TICK_MARK) ? process.nextTick : lateTick;

/** Runs `action`. What it leaves to the next tick, and `isMeant` knows, runs at once: for functions of Node's that have done
 * their work by then and keep only the result to themselves. Where programs have locked `process` up nothing changes. */
export function withoutTick(isMeant: (callback: unknown) => boolean, action: () => void): void {
  const given = process.nextTick;
  const atOnce: NextTick = (callback, ...args) => {
    if (isMeant(callback)) callback(...args);
    else given.call(process, callback, ...args);
  };
  try {
    process.nextTick = atOnce;
  } catch {
    action();
    return;
  }
  try {
    action();
  } finally {
    process.nextTick = given;
  }
}

export interface Immediate {
  ref?(): unknown;
  unref?(): unknown;
}
type SetImmediate = (callback: () => void) => Immediate;
const IMMEDIATE_MARK = 'new Immediate(';
// ES2024; with a timeout it is the engine's own timer.
const { waitAsync } = Atomics as unknown as {
  waitAsync(cell: Int32Array, at: number, value: number, ms: number): { value: Promise<unknown> };
};
const cell = new Int32Array(new SharedArrayBuffer(4));
const lateImmediate: SetImmediate = (callback) => {
  if (isReal(timers.setImmediate, IMMEDIATE_MARK)) return timers.setImmediate(callback);
  waitAsync(cell, 0, 0, 1).value.then(callback);
  return {};
};
export const setImmediate: SetImmediate = isReal(timers.setImmediate, IMMEDIATE_MARK)
  ? timers.setImmediate
  : lateImmediate;

/** lib/thread/run-ticks.ts says what it is good for; undefined in other runtimes. */
export const { _tickCallback: tickCallback } = process as unknown as { _tickCallback?: () => void };
export const { clearInterval, clearTimeout, setInterval, setTimeout } = timers;
/** What the kernel calls this process, and what runs it. */
export const { pid, versions } = process;
/** Milliseconds, monotonic. */
export const now: () => number = performance.now.bind(performance);
/** Nanoseconds, monotonic. */
export const { bigint: nowNs } = process.hrtime;

const Calendar = Date;
const { now: dateNow } = Date;
const NS_PER_MS = 1_000_000n;
let epochNs = 0n; // of the monotonic clock
/** Nanoseconds since 1970. The millisecond is the system clock's, also where that is set anew. */
export function wallClockNs(): bigint {
  const ms = BigInt(dateNow());
  const ns = epochNs + nowNs();
  if (ns / NS_PER_MS === ms) return ns;
  epochNs += ms * NS_PER_MS - ns;
  return ms * NS_PER_MS;
}
/** `2026-11-27T18:47:13.123Z`, of milliseconds since 1970. */
export function isoTime(ms: number): string {
  return new Calendar(ms).toISOString();
}
/** Leaves `memory` detached, whoever has views of it. */
export function detach(memory: ArrayBuffer): void {
  if (memory.byteLength > 0) structuredClone(memory, { transfer: [memory] });
}

// TypeScript has it with the DOM only.
type MemoryClass = new (limits: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
const { WebAssembly: wasm } = globalThis as { WebAssembly?: { Memory: MemoryClass } };
/** WebAssembly.Memory; undefined with --jitless. */
export const WasmMemory = wasm?.Memory;
