// Datagrams on their way out: staged in shared memory as the program sends them, handed to the kernel with one
// native call a tick. What is sent as a list is in lists.ts.
import type { NativeIoThread } from '../backend/contract.js';
import { C_STAGED, DATAGRAM_BYTES_MAX, RESULT_DEFERRED } from '../backend/layout.js';
import { EMSGSIZE } from '../base/errno.js';
import { copyBytes, lengthOf } from '../base/payload.js';
import { nextTick, now } from '../base/runtime.js';
import type { ParsedAddress } from './address.js';
import { type Question, wordOfPort } from './records.js';
import type { SendMore } from './send-more.js';
import type { Staging } from './staging.js';

/** After so long it is no tick any more that datagrams are staged in. */
const LATE_TICK_MS = 20;

/** Called once with the bytes sent or -errno, from inside a flush or a drain: it may only note the result, not run the
 * program's code. */
export type SentListener = (result: number) => void;

export class Sender {
  readonly #native: NativeIoThread;
  readonly #control: Int32Array;
  readonly #staging: Staging;
  readonly #deferFlush: () => boolean;
  readonly #countRefused: (id: number) => void;
  readonly #flush = () => this.flush();

  #earlier = 0; // how many records were staged before the present event
  #scheduled = false;
  #doubtedAt = 0; // when a second datagram was staged for the same tick
  #listeners: (SentListener | undefined)[] = [];
  #anyListener = false;
  // The sends that wait in the socket's backlog, by number.
  readonly #waiting = new Map<number, { id: number; listener: SentListener }>();
  // The sockets of which something has waited, and may still.
  readonly #deferred = new Set<number>();
  #number = 0;

  /** `deferFlush`: true while somebody else promises to flush soon (the receiver, at the end of a drain).
   * `countRefused` counts a datagram that is refused before the kernel sees it. */
  constructor(
    native: NativeIoThread,
    control: Int32Array,
    staging: Staging,
    deferFlush: () => boolean,
    countRefused: (id: number) => void,
  ) {
    this.#native = native;
    this.#control = control;
    this.#staging = staging;
    this.#deferFlush = deferFlush;
    this.#countRefused = countRefused;
  }

  /** Stages one datagram; 0, or -errno when it could not be. `to` is null on a connected socket. The payload is copied
   * before this returns. `revocable`: `revoke` may take it back. `more`: what is said of it, or, of a local socket, a bundle of descriptors. */
  send(
    id: number,
    to: ParsedAddress | null,
    port: number,
    payload: Uint8Array | Uint8Array[],
    revocable: boolean,
    listener?: SentListener,
    more?: SendMore | number,
  ): number {
    const n = this.#stage(id, payload, listener);
    if (n < 0) return EMSGSIZE; // as the kernel would say
    if (revocable) this.#staging.revocable[n] = 1;
    this.#staging.records.address(n, to, to === null ? 0 : wordOfPort(port, to.family));
    if (typeof more === 'number') this.#staging.records.rights(n, more);
    else if (more !== undefined) this.#staging.say(n, more);
    this.#schedule();
    return 0;
  }

  /** Stages the answer to a received record, as `send` does. */
  reply(
    id: number,
    connected: boolean,
    question: Question,
    payload: Uint8Array,
    listener?: SentListener,
    more?: SendMore,
  ): number {
    const n = this.#stage(id, payload, listener);
    if (n < 0) return EMSGSIZE;
    const { words, at, info } = question;
    if (connected) this.#staging.records.address(n, null, 0);
    else this.#staging.records.addressOf(n, words, at);
    if (more !== undefined) this.#staging.say(n, more);
    if (info !== undefined && more?.source === undefined) this.#staging.answerFrom(n, info, at);
    this.#schedule();
    return 0;
  }

  // A staged record without a destination, as its number; -1 when the payload is too long for UDP.
  #stage(id: number, payload: Uint8Array | Uint8Array[], listener: SentListener | undefined): number {
    const length = Array.isArray(payload) ? payload.reduce((sum, part) => sum + lengthOf(part), 0) : lengthOf(payload);
    if (length > DATAGRAM_BYTES_MAX) {
      this.#countRefused(id);
      return -1;
    }
    if (this.#staging.full(length)) this.flush();

    this.#staging.runSize = 0;
    const offset = this.#staging.bytes;
    if (Array.isArray(payload)) {
      let at = offset;
      for (const part of payload) {
        copyBytes(part, this.#staging.arena, at);
        at += lengthOf(part);
      }
    } else {
      if (length > 0) this.#staging.arena.set(payload, offset); // what has no memory any more cannot even be copied
    }
    this.#staging.bytes = offset + length;

    const n = this.#staging.next();
    let number = 0;
    if (listener !== undefined) {
      number = this.#nextNumber();
      this.#listeners[n] = listener;
      this.#anyListener = true;
    }
    this.#staging.records.write(n, id, offset, length, number);
    return n;
  }

  // The latest record is complete. If the environment ends before the flush, native code sends what it finds.
  #schedule(): void {
    this.#control[C_STAGED >> 2] = this.#staging.count;
    if (this.#deferFlush()) return;
    if (this.#scheduled) {
      const n = this.#staging.count;
      if ((n & (n - 1)) === 0) this.#doubtTick(n);
      return;
    }
    this.#scheduled = true;
    nextTick(this.#flush);
  }

  // A tick that never comes, because the program or a test has taken it away, costs a delay: until the next sends.
  #doubtTick(staged: number): void {
    if (staged <= 2) this.#doubtedAt = now();
    else if (now() - this.#doubtedAt > LATE_TICK_MS) this.flush();
  }

  /** Hands everything staged to the kernel. Has some of it to wait? */
  flush(): boolean {
    this.#scheduled = false;
    const { count } = this.#staging;
    if (count === 0) return false;
    const deferred = this.#native.send(count) > 0;
    this.#staging.clear();
    this.#earlier = 0;
    if (this.#anyListener) this.#tell(count);
    if (deferred) this.#noteDeferred(count);
    return deferred;
  }

  #noteDeferred(count: number): void {
    const { records } = this.#staging;
    for (let i = 0; i < count; i++) if (records.result(i) === RESULT_DEFERRED) this.defer(records.socketId(i));
  }

  /** Something of the socket's waits. */
  defer(id: number): void {
    this.#deferred.add(id);
  }

  /** Hands everything staged to the kernel. Does anything of this socket's wait then? */
  flushedAndWaits(id: number): boolean {
    this.flush();
    if (this.#deferred.size === 0 || !this.#deferred.has(id)) return false;
    if (this.#native.getBacklog(id)[0] > 0) return true;
    this.#deferred.delete(id);
    return false;
  }

  // What became of the latest `count`.
  #tell(count: number): void {
    this.#anyListener = false;
    for (let i = 0; i < count; i++) {
      const listener = this.#listeners[i];
      if (listener === undefined) continue;
      this.#listeners[i] = undefined;
      const result = this.#staging.records.result(i);
      if (result === RESULT_DEFERRED) {
        this.#waiting.set(this.#staging.records.sendNumber(i), { id: this.#staging.records.socketId(i), listener });
      } else {
        listener(result);
      }
    }
  }

  /** Flushes now what otherwise would leave at the end of the tick. */
  hasten(): void {
    if (!this.#deferFlush()) this.flush();
  }

  /** Hands to the kernel what node:dgram would have handed over by now. What has a tick of its own there, which is still
   * to come, stays. */
  handOver(): void {
    if (this.#staging.count === 0) return;
    const pending: number[] = [];
    for (let n = this.#earlier; n < this.#staging.count; n++) if (this.#staging.revocable[n] === 1) pending.push(n);
    if (pending.length === 0) this.flush();
    else if (pending.length < this.#staging.count) this.#flushAllBut(pending);
  }

  // They move to the front; their payloads stay where they are.
  #flushAllBut(pending: number[]): void {
    const kept = pending.map((n) => ({ record: this.#staging.records.take(n), listener: this.#listeners[n] }));
    for (const n of pending) this.#listeners[n] = undefined;
    const { bytes, sources } = this.#staging;
    const scheduled = this.#scheduled;
    this.flush();
    kept.forEach(({ record, listener }, n) => {
      this.#staging.records.put(n, record);
      this.#listeners[n] = listener;
      this.#anyListener ||= listener !== undefined;
      this.#staging.revocable[n] = 1;
    });
    this.#staging.count = kept.length;
    this.#control[C_STAGED >> 2] = kept.length;
    this.#staging.bytes = bytes;
    this.#staging.sources = sources;
    this.#scheduled = scheduled;
  }

  /** A listener of the receiver is about to run, or has returned: in node:dgram, what was sent before is not to be taken
   * back, or soon will not be. */
  passEvent(): void {
    this.#earlier = this.#staging.count;
  }

  /** Takes back what revocable datagrams the socket has staged in the present tick or event: they will not be sent, and
   * nobody is told. Sends the others. */
  revoke(id: number): void {
    for (let i = this.#earlier; i < this.#staging.count; i++) {
      if (this.#staging.revocable[i] === 0 || this.#staging.records.socketId(i) !== id) continue;
      this.#staging.records.drop(i);
      this.#listeners[i] = undefined;
    }
    this.handOver();
  }

  /** A send that had to wait has ended. */
  onSent(number: number, result: number): void {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    this.#waiting.delete(number);
    waiting.listener(result);
  }

  /** The listeners of the socket's sends that still wait; `onSent` will not call them. */
  takeWaiting(id: number): SentListener[] {
    this.#deferred.delete(id);
    const taken: SentListener[] = [];
    for (const [number, waiting] of this.#waiting) {
      if (waiting.id !== id) continue;
      this.#waiting.delete(number);
      taken.push(waiting.listener);
    }
    return taken;
  }

  #nextNumber(): number {
    this.#number = this.#number === 0xffffffff ? 1 : this.#number + 1;
    return this.#number;
  }
}
