// One of a server's sockets: a descriptor on a thread of its own, and who answers there. Most servers have one, those with
// `shards` one each.
import type { NativeAddress, NativeForward } from '../backend/contract.js';
import { OPEN_GRO, OPEN_REUSE_PORT } from '../backend/layout.js';
import * as errors from '../base/errors.js';
import { type Family, familyOfAddress } from '../base/family.js';
import type { ServerStats, Snapshot } from '../thread/counters.js';
import type { RemoteInfo } from '../thread/endpoint.js';
import { dedicatedThread, type IoThread } from '../thread/io-thread.js';
import { defaultThreadOptions, type IoThreadOptions } from '../thread/options.js';
import { type CheckedShards, filterRefused, likedCpus, type Member, shardThreadOptions } from '../thread/shards.js';
import { copyFilter, withoutCopies } from '../thread/steering.js';
import { askKernel } from './ask-kernel.js';
import { clearFilter, FLAGS, openCopy } from './opening.js';
import type { CheckedServerOptions } from './options.js';
import type { Resolved } from './places.js';
import type { CheckedProtection, RateLimit } from './protection.js';
import type { EncodedRules } from './rules/encode.js';

/** A server that sends to itself answers its answers for ever, or forwards what it has forwarded. */
function refuseOwn({ thread, id }: ServerPart, targets: NativeAddress[], name: string): void {
  const own = targets[thread.native.findOwn(id, targets)];
  if (own === undefined) return;
  const { family, address, port } = own;
  const target = family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
  throw errors.invalidArgValue(name, target, 'is an address that the server itself listens on');
}

/** The `index`th of `count` parts of a rate for all, at least 1. */
function partOf(whole: number, index: number, count: number): number {
  return Math.max(1, Math.floor(whole / count) + (index < whole % count ? 1 : 0));
}

function shareOf({ rate, burst }: Required<RateLimit>, index: number, count: number): Required<RateLimit> {
  return { rate: partOf(rate, index, count), burst: partOf(burst, index, count) };
}

export class ServerPart implements Member {
  readonly thread: IoThread;
  readonly id: number;
  readonly #options: CheckedServerOptions;
  readonly #wanted: IoThreadOptions;
  readonly #index: number;
  #family: Family | undefined; // of a socket that was made here

  /** Starts the thread. */
  constructor(options: CheckedServerOptions, index: number) {
    const { shards, busyPoll, schedule } = options;
    const wanted: IoThreadOptions = {
      ...defaultThreadOptions,
      busyPoll,
      ...schedule,
      rxUsecs: 0, // answers do not wait for a fuller batch (what is forwarded: native/core/thread/forward_pace.h)
    };
    this.#options = options;
    this.#index = index;
    this.#wanted = wanted;
    this.thread = dedicatedThread(shards === undefined ? wanted : shardThreadOptions(wanted, shards, index));
    this.id = this.thread.reserve();
  }

  /** Of its addresses. */
  get family(): 4 | 6 {
    return this.#family?.number ?? 4;
  }

  /** A descriptor, not bound yet. 0 or -errno. */
  open(family: Family): number {
    this.#family = family;
    const shares = this.#index > 0 ? OPEN_REUSE_PORT : 0;
    return this.thread.changing().open(this.id, family.number, this.#flags | shares);
  }

  // The kernel would steer by the first of joined datagrams only.
  get #flags(): number {
    return typeof this.#options.shards?.steering === 'object' ? FLAGS & ~OPEN_GRO : FLAGS;
  }

  /** A copy of a bound descriptor. @throws as openCopy() */
  openCopy(fd: number): [address: string, port: number] {
    return openCopy(this.thread, this.id, fd);
  }

  /** A copy of a descriptor that another process has answered on until now. @throws EBADF, EMFILE, … */
  takeOver(fd: number): Resolved {
    const given = { fd, copy: true, flags: this.#flags, libuv: false, family: 4 };
    const errno = this.thread.changing().adopt(this.id, given);
    if (errno !== 0) throw errors.errnoException(errno, 'open');
    const name = this.thread.native.getName(this.id, false);
    if (typeof name === 'number') throw errors.errnoException(name, 'getsockname');
    const [address] = name;
    this.#family = familyOfAddress(address);
    return { address, family: this.#family };
  }

  /** Once the group is bound: what arrives is received from now on. */
  hear(): void {
    if (this.#options.shards === undefined || this.#family === undefined) return;
    const errno = this.settle();
    if (errno !== 0) throw filterRefused(errno);
  }

  /** It has no lists in the kernel any more. 0 or -errno, when what it has received is answered and, to be delivered, in its ring. */
  settle(): number {
    const none = new Uint8Array(0);
    const program = this.#index === 0 || this.#family === undefined ? none : withoutCopies(this.#family.number, none);
    return this.thread.changing().setFilter(this.id, { program, lock: false, ofFlows: true });
  }

  /** The `index`th of these, its thread runs where such a one is meant to. */
  moveTo(shards: CheckedShards, index: number): void {
    const cpus = likedCpus(this.#wanted, shards, index);
    if (cpus !== undefined) this.thread.native.setCpus(cpus);
  }

  answer(target: NativeAddress | undefined, forwards: NativeForward[]): void {
    const { thread, id } = this;
    const { answering, loops, maxBytes } = this.#options;
    if (loops !== undefined) {
      const errno = thread.native.guardLoops(id, loops);
      if (errno !== 0) throw errors.errnoException(errno, 'getsockname');
    }
    if (target !== undefined) refuseOwn(this, [target], 'options.replyTo');
    if (answering.by === 'rules') {
      this.prepareRules(answering.rules, forwards);
      this.setRules(answering.rules, forwards);
    } else if (answering.by === 'handler') {
      const failure = thread.native.loadHandler(id, { path: answering.path, argument: answering.argument });
      if (failure !== '') throw errors.dlopenFailed(failure);
    } else if (answering.by !== 'nobody') {
      const reply = answering.by === 'reply' ? answering.reply : new Uint8Array(0);
      const errno = thread.native.respond(id, { echo: answering.by === 'echo', reply, keepBytesMax: maxBytes, target });
      if (errno !== 0) throw errors.exceptionWithHostPort(errno, 'connect', target?.address ?? '', target?.port ?? 0);
    }
  }

  /** @throws ERR_INVALID_ARG_VALUE where rules would forward to the server itself */
  refuseOwn(rules: EncodedRules, forwards: NativeForward[]): void {
    forwards.forEach(({ targets }, i) => {
      try {
        refuseOwn(this, targets, 'action.forward');
      } catch (error) {
        throw errors.withContext(error as Error, rules.forwarding[i]);
      }
    });
  }

  /** What can be refused of these rules. @throws the reason; setRules() is not to be called then */
  prepareRules(rules: EncodedRules, forwards: NativeForward[]): void {
    this.refuseOwn(rules, forwards);
    askKernel(this.thread, this.id, rules);
  }

  setRules(rules: EncodedRules, forwards: NativeForward[]): void {
    const { bytes, names } = rules;
    const errno = this.thread.native.setRules(this.id, { bytes, names, forwards });
    if (errno !== 0) throw errors.errnoException(errno, 'rules');
  }

  /** As the `index`th of `count`. */
  protect({ allow, deny, perSource, total }: CheckedProtection, index: number, count: number): void {
    const errno = this.thread.changing().protect(this.id, {
      deny: deny ?? new Uint8Array(0),
      allow,
      perSource,
      total: total && shareOf(total, index, count),
      before: this.#index > 0 && this.#family !== undefined ? copyFilter(this.#family.number) : undefined,
    });
    if (errno !== 0) throw errors.errnoException(errno, 'protect');
  }

  /** Once nobody else answers on the socket: its filter is as these lists are, of the `index`th of `count`. */
  filterAgain(guarded: boolean, protection: CheckedProtection, index: number, count: number): void {
    clearFilter(this.thread, this.id);
    this.hear();
    if (guarded) this.protect(protection, index, count);
  }

  /** Its thread may receive when this returns; JavaScript sees nothing of it before it returns to the event loop. */
  watch(delivers: boolean): number {
    this.deliver(delivers);
    return this.thread.changing().watch(this.id, this.#options.maxBytes);
  }

  /** To JavaScript, beside being answered. */
  deliver(wanted: boolean): void {
    this.thread.native.deliver(this.id, wanted);
  }

  attach(onDatagram: (data: Buffer, source: RemoteInfo) => void, onReceiveError: (errno: number) => void): void {
    this.thread.attach({ id: this.id, pooled: true, onDatagram, onReceiveError });
  }

  stats(): ServerStats {
    return this.thread.snapshot(this.id).serverStats;
  }

  ruleHits(): number[] {
    return this.thread.native.getRuleHits(this.id);
  }

  /** Closes, and ends the thread. `isAnothers`: so is the socket. */
  release(isAnothers = false): Snapshot {
    if (this.#options.fd !== undefined && !isAnothers) clearFilter(this.thread, this.id);
    this.thread.release(this.id);
    return this.thread.snapshot(this.id);
  }
}
