// The part of a server that answers in the kernel, as the addon offers it.
import type { NativeAddress, NativeIoThread } from './contract.js';

/** The part of a server that answers in the kernel: native/core/xdp/kernel_answers.h. */
export interface NativeKernelAnswers {
  /** Loads rules (as setRules() takes them), lists and limits (as protect() does) and a guard (as guardLoops() does), on another thread: 0
   * or -errno, and what that needs; with 0, why nothing of it can be compiled. `sameLists`: they are those of the commit before. No
   * other call may prepare, commit, stop or ask for numbers meanwhile. */
  prepare(
    rules: Uint8Array,
    names: string[],
    protection: Omit<Parameters<NativeIoThread['protect']>[1], 'before'>,
    guard: Parameters<NativeIoThread['guardLoops']>[1] | undefined,
    sameLists: boolean,
  ): Promise<[errno: number, needs: string]>;
  /** They are in force when this returns. */
  commit(): [errno: number, needs: string];
  /** The same on another thread, when it resolves. No other call may prepare, commit, stop or ask for numbers meanwhile. */
  commitBeside(): Promise<[errno: number, needs: string]>;
  /** Of each interface that is wanted. */
  getPlaces(): [name: string, mode: number, errno: number, reason: string][];
  /** Why nothing is compiled, and then what is: otherwise, and each rule. */
  getFates(): NativeFates;
  getHits(): number[];
  /** The counters have everything up to now. */
  count(): void;
  /** Nothing is attached when this returns. `names`: of rules that are in force by the thread alone. */
  stop(names?: string[]): void;
  /** How many replies each rule has made, in pairs; and that they have made so many before the first commit. */
  getNumbers(): (string | number)[];
  setNumbers(names: string[], numbers: number[]): void;
}

/** Of a rule. `reason`: why the thread has to decide, at all or in part. */
export type NativeFate = [compiled: boolean, reason: string];

export type NativeFates = [refused: string, otherwise: NativeFate, ...rules: NativeFate[]];

export interface NativeKernelOptions {
  /** Names; none: those that have the address. */
  interfaces: string[];
  /** 0: whichever there is, 1: native, 2: generic. */
  mode: number;
  own: NativeAddress;
  ipv4: boolean;
  ipv6: boolean;
  ttl: number;
  /** Of IPv4. */
  tos: number;
  /** Of IPv6. */
  trafficClass: number;
  counters: BigUint64Array<SharedArrayBuffer>;
}
