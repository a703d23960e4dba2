// The part of a server that answers in the kernel, as users say it and see it: docs/kernel.md.
import type { NativeKernelAnswers } from '../backend/kernel-contract.js';
import { COUNTERS_PER_ROW, SocketOption } from '../backend/layout.js';
import { binding } from '../backend/load.js';
import { ENODEV, ENOTSUP } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { familyOfAddress } from '../base/family.js';
import { readServerStats, type ServerStats } from '../thread/counters.js';
import { type CheckedKernel, MODES } from './kernel-options.js';
import type { CheckedServerOptions } from './options.js';
import type { ServerPart } from './part.js';
import type { CheckedProtection } from './protection.js';
import type { EncodedRules } from './rules/encode.js';

/** One of the interfaces that a server is to answer on. */
export interface KernelInterface {
  /** As `ip link` has it. */
  name: string;
  /** How it answers; null: it does not, and the thread answers what it receives. */
  mode: 'native' | 'generic' | null;
  /** Why it does not: `EBUSY: another XDP program is attached`. */
  reason?: string;
}

/** What a server does in the kernel. */
export interface KernelState {
  /** `attached`: on all interfaces; `partly`: on some; `unavailable`: on none, and `reason` says why; `off`: it was not asked for, or
   * the server does not run. */
  state: 'off' | 'attached' | 'partly' | 'unavailable';
  /** Those that it is to answer on. */
  interfaces: KernelInterface[];
  /** Where it is `unavailable`: `EPERM: needs CAP_BPF …` */
  reason?: string;
  /** Rules that are left to the thread, all of them or what they may match, by their names, and why. */
  passed: Record<string, string>;
  /** Why what no rule decides about is left to the thread. */
  otherwise?: string;
}

// Of netinet/in.h and linux/in6.h.
const IPPROTO_IP = 0;
const IP_TOS = 1;
const IPPROTO_IPV6 = 41;
const IPV6_TCLASS = 67;

interface Refused {
  errno: number;
  /** `needs CAP_BPF …` */
  reason: string;
}

/** Puts in force what is prepared. */
export type Commit = () => void;
const nothing: Commit = () => {};

interface Prepared {
  rules: EncodedRules;
  protection: CheckedProtection;
  refused: Refused | undefined;
}

export class KernelPart {
  readonly #wanted: CheckedKernel | undefined;
  #native: NativeKernelAnswers | undefined; // while the server runs
  #refused: Refused | undefined;
  #names: readonly string[] = [];
  #lists: CheckedProtection | undefined; // those that are in force
  #row: BigUint64Array<SharedArrayBuffer> | undefined; // of the latest run
  /** What the descriptor that the server was given does not get of what is sent to its address, here or in a process before: `that is
   * connected`. Empty: it gets all. */
  restriction = '';
  /** How many replies each rule has made in the kernel: in another process, before the server starts; until it paused. */
  numbers: Record<string, number> = {};
  #paused: readonly number[] | undefined; // hits, while it answers nothing

  constructor(wanted: CheckedKernel | undefined) {
    this.#wanted = wanted;
  }

  /** What it counts into, as a shard does. */
  get row(): BigUint64Array<SharedArrayBuffer> | undefined {
    return this.#row;
  }

  /** At the descriptor that the server is given, before it changes what the socket leaves out. */
  look(fd: number | undefined): void {
    this.restriction = fd === undefined ? '' : binding.socketRestriction(fd, false, false);
  }

  /** At those that another process has had, which has found this; `isGroup`: of shards. Filters that are not locked are that process's,
   * or are gone once the server begins. */
  lookAtTaken(fds: readonly number[], found: unknown, isGroup: boolean): void {
    const all = fds.map((fd) => binding.socketRestriction(fd, true, isGroup));
    this.restriction = (typeof found === 'string' && found) || (all.find((what) => what !== '') ?? '');
  }

  /** Of parts that receive already; resolves when it answers what they would. `strict`: else what is required may come later.
   * @throws what is missing of what is required: then nothing is attached */
  async start(parts: readonly ServerPart[], options: CheckedServerOptions, strict: boolean): Promise<void> {
    const wanted = this.#wanted;
    if (wanted === undefined || options.answering.by !== 'rules') return;
    let native: NativeKernelAnswers | undefined;
    try {
      this.#row = new BigUint64Array(new SharedArrayBuffer(COUNTERS_PER_ROW * 8));
      native = new binding.KernelAnswers({ ...wanted, ...placeOf(parts[0]), counters: this.#row });
      this.#setNumbers(native);
      this.#lists = undefined;
      await this.#begin(native, options.answering.rules, options, strict);
      this.#native = native; // nobody asks it before, and waits for its other thread
      if (strict) this.#check();
    } catch (error) {
      native?.stop();
      this.stop();
      throw error;
    }
  }

  /** Rules or protection that come next, loaded. Who calls what it resolves with has them in force. Where the kernel refuses them, the
   * thread answers alone from then on.
   * @throws where it is required and the kernel refuses: all is as before */
  async prepare(options: CheckedServerOptions): Promise<Commit> {
    const native = this.#native;
    if (native === undefined || options.answering.by !== 'rules') return nothing;
    const prepared = await this.#load(native, options.answering.rules, options, true);
    return () => this.#hold(native, prepared, prepared.refused ?? refusal(native.commit()));
  }

  // Where nothing is in force yet, so that nothing has to change at once: attaching takes some 10 ms an interface.
  async #begin(native: NativeKernelAnswers, rules: EncodedRules, options: CheckedServerOptions, strict: boolean) {
    const prepared = await this.#load(native, rules, options, strict);
    this.#hold(native, prepared, prepared.refused ?? refusal(await native.commitBeside()));
  }

  async #load(
    native: NativeKernelAnswers,
    rules: EncodedRules,
    { protection, loops }: CheckedServerOptions,
    strict: boolean,
  ): Promise<Prepared> {
    const lists = { ...protection, deny: protection.deny ?? new Uint8Array(0) };
    const same = this.#lists?.deny === protection.deny && this.#lists?.allow === protection.allow;
    const goOn = this.#lists !== undefined && same;
    const said = this.#restricted() ?? (await native.prepare(rules.bytes, rules.names, lists, loops, goOn));
    const refused = 'reason' in said ? said : refusal(said);
    if (strict && this.#wanted?.required) {
      if (refused !== undefined) throw failure('options.kernel', refused);
      if (!('reason' in said) && said[1] !== '') throw failure('options.kernel:', { errno: ENOTSUP, reason: said[1] });
    }
    return { rules, protection, refused };
  }

  #hold(native: NativeKernelAnswers, { rules, protection }: Prepared, refused: Refused | undefined): void {
    this.#refused = refused;
    this.#names = rules.names;
    this.#lists = protection;
    if (refused !== undefined) native.stop(rules.names);
  }

  // A program before the socket knows nothing of what narrows what comes to it.
  #restricted(): Refused | undefined {
    if (this.restriction === '') return undefined;
    const reason = `needs a socket that gets all that is sent to its address, not one ${this.restriction}`;
    return { errno: ENOTSUP, reason };
  }

  /** All that is required is there. */
  #check(): void {
    if (!this.#wanted?.required) return;
    if (this.#refused !== undefined) throw failure('options.kernel', this.#refused);
    const [missing] = this.#native?.getPlaces().filter(([, , errno]) => errno !== 0) ?? [];
    if (missing !== undefined)
      throw failure(`options.kernel: ${missing[0]}:`, { errno: missing[2], reason: missing[3] });
    const { state, interfaces, reason = '' } = this.state();
    const errno = interfaces.length === 0 ? ENODEV : ENOTSUP;
    if (state !== 'attached') throw failure('options.kernel:', { errno, reason });
  }

  /** It answers nothing when this returns, and its hits stay as they are, until it goes on. */
  pause(): void {
    this.#native?.stop();
    this.#paused = this.hits();
    const said = this.#native?.getNumbers() ?? [];
    const pairs = said.flatMap((name, i) => (i % 2 === 0 ? [[name, said[i + 1]] as [string, number]] : []));
    this.numbers = Object.fromEntries(pairs);
  }

  #setNumbers(native: NativeKernelAnswers): void {
    native.setNumbers(Object.keys(this.numbers), Object.values(this.numbers));
  }

  async goOn(options: CheckedServerOptions): Promise<void> {
    const native = this.#native;
    if (native !== undefined && options.answering.by === 'rules') {
      this.#setNumbers(native);
      await this.#begin(native, options.answering.rules, options, false);
    }
    this.#paused = undefined;
  }

  /** It answers nothing any more when this returns. */
  stop(): void {
    this.#native?.stop();
    this.#native = undefined;
    this.numbers = {};
    this.#refused = undefined;
    this.#paused = undefined;
  }

  /** Counted since the latest start; none: it was not asked for. */
  stats(): ServerStats[] {
    if (this.#row === undefined) return [];
    this.#native?.count();
    return [readServerStats(this.#row, new BigUint64Array(COUNTERS_PER_ROW))];
  }

  /** How often each rule has matched what was decided in the kernel. */
  hits(): readonly number[] {
    return this.#paused ?? this.#native?.getHits() ?? [];
  }

  state(): KernelState {
    const native = this.#native;
    if (native === undefined) return { state: 'off', interfaces: [], passed: {} };
    if (this.#refused !== undefined) {
      const { errno, reason } = this.#refused;
      return { state: 'unavailable', interfaces: [], reason: errors.because(errno, reason), passed: {} };
    }
    const interfaces = native.getPlaces().map(([name, mode, errno, reason]): KernelInterface => {
      if (errno !== 0) return { name, mode: null, reason: errors.because(errno, reason) };
      return { name, mode: MODES[mode] as 'native' | 'generic' };
    });
    const attached = interfaces.filter(({ mode }) => mode !== null);
    const [nowhere, otherwise, ...fates] = native.getFates();
    const passed = Object.fromEntries(fates.flatMap(([, why], i) => (why === '' ? [] : [[this.#names[i], why]])));
    const all = attached.length === interfaces.length && attached.length > 0;
    return {
      state: attached.length === 0 ? 'unavailable' : all ? 'attached' : 'partly',
      interfaces,
      ...(attached.length === 0 ? { reason: nowhere || whyNone(interfaces) } : {}),
      passed,
      ...(otherwise[1] === '' ? {} : { otherwise: otherwise[1] }),
    };
  }
}

function whyNone(interfaces: readonly KernelInterface[]): string {
  const [first] = interfaces;
  return first === undefined
    ? 'no interface that is up has an address of the server'
    : `${first.name}: ${first.reason}`;
}

/** Where it listens, and how its answers leave. */
function placeOf({ thread: { native }, id }: ServerPart) {
  const name = native.getName(id, false);
  if (typeof name === 'number') throw errors.errnoException(name, 'getsockname');
  const [address, port] = name;
  const family = familyOfAddress(address).number;
  const isIpv4 = family === 4;
  const isMapped = /^::ffff:\d/.test(address);
  const onlyIpv6 = !isIpv4 && native.getOption(id, SocketOption.ipv6Only) === 1;
  const ttl = native.getOption(id, SocketOption.ttl);
  return {
    own: { family, address, port },
    ipv4: isIpv4 || isMapped || (address === '::' && !onlyIpv6),
    ipv6: !isIpv4 && !isMapped,
    ttl: ttl > 0 ? ttl : 64,
    tos: byteOf(native, id, IPPROTO_IP, IP_TOS),
    trafficClass: byteOf(native, id, IPPROTO_IPV6, IPV6_TCLASS),
  };
}

/** 0 of an option that the socket does not have. */
function byteOf(native: ServerPart['thread']['native'], id: number, level: number, name: number): number {
  const value = new Int32Array(1);
  native.getRawOption(id, level, name, new Uint8Array(value.buffer));
  return value[0] & 0xff;
}

function refusal([errno, needs]: [errno: number, needs: string]): Refused | undefined {
  return errno === 0 ? undefined : { errno, reason: needs === '' ? 'is refused' : `needs ${needs}` };
}

function failure(what: string, { errno, reason }: Refused): Error {
  return errors.optionRefused(errno, 'bpf', what, reason);
}
