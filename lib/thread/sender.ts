// biome-ignore-all lint/style/noExcessiveLinesPerFile: sends of every form fill one staging memory, whose state is private
// Datagrams on their way out: staged in shared memory as the program sends them, handed to the kernel with one
// native call a tick.

import type { NativeIoThread, ThreadMemory } from '../backend/contract.js';
import {
  C_STAGED,
  DATAGRAM_BYTES_MAX,
  GSO_SEGMENTS_MIN,
  JOINED_BYTES_MAX,
  RESULT_DEFERRED,
} from '../backend/layout.js';
import { EMSGSIZE } from '../base/errno.js';
import type { Family } from '../base/family.js';
import { bytesOfPayload, bytesOfView, copyBytes, isBytes, lengthOf } from '../base/payload.js';
import { nextTick, now } from '../base/runtime.js';
import { validatePort } from '../base/validate.js';
import type { ParsedAddress } from './address.js';
import { type Destination, literal } from './destination.js';
import { StagedRecords, wordOfPort } from './records.js';

/** Memory for what is sent in one flush; a tick that sends more flushes early. */
export const STAGED_DATAGRAMS_MAX = 1024;
export const STAGED_BYTES_MAX = 512 * 1024;

/** After so long it is no tick any more that datagrams are staged in. */
const LATE_TICK_MS = 20;

/** Called once with the bytes sent or -errno, from inside a flush or a drain: it may only note the result, not run the
 * program's code. */
export type SentListener = (result: number) => void;

/** Does the program's list of blocked addresses have it? */
type IsBlocked = (address: string) => boolean;

// Of a list of triples: do both go to one place?
function goAlike(list: readonly unknown[], a: number, b: number): boolean {
  return list[a + 1] === list[b + 1] && list[a + 2] === list[b + 2];
}

export class Sender {
  readonly #native: NativeIoThread;
  readonly #control: Int32Array;
  readonly #records: StagedRecords;
  readonly #arena: Uint8Array;
  readonly #deferFlush: () => boolean;
  readonly #countRefused: (id: number) => void;
  readonly #flush = () => this.flush();
  readonly #revocable = new Uint8Array(STAGED_DATAGRAMS_MAX); // by staged record: 1 where close() may take it back

  #staged = 0;
  #stagedBytes = 0;
  #datagrams = 0; // of lists: several share a record
  #runSize = 0; // what the next of a list may have at most, to share the latest record
  #runEnd = 0; // and where it has to end
  #earlier = 0; // how many records were staged before the present event
  #scheduled = false;
  #doubtedAt = 0; // when a second datagram was staged for the same tick
  #listeners: (SentListener | undefined)[] = [];
  #anyListener = false;
  #deferred = false; // did the latest flush leave something waiting?
  // The sends that wait in the socket's backlog, by number.
  readonly #waiting = new Map<number, { id: number; listener: SentListener }>();
  #number = 0;

  /** `deferFlush`: true while somebody else promises to flush soon (the receiver, at the end of a drain).
   * `countRefused` counts a datagram that is refused before the kernel sees it. */
  constructor(
    native: NativeIoThread,
    memory: ThreadMemory,
    deferFlush: () => boolean,
    countRefused: (id: number) => void,
  ) {
    this.#native = native;
    this.#control = memory.control;
    this.#records = new StagedRecords(memory.txDescriptors);
    this.#arena = memory.txArena;
    this.#deferFlush = deferFlush;
    this.#countRefused = countRefused;
  }

  /** Stages one datagram; 0, or -errno when it could not be. `to` is null on a connected socket. The payload is copied
   * before this returns. `revocable`: `revoke` may take it back. */
  send(
    id: number,
    to: ParsedAddress | null,
    port: number,
    payload: Uint8Array | Uint8Array[],
    revocable: boolean,
    listener?: SentListener,
  ): number {
    const n = this.#stage(id, payload, listener);
    if (n < 0) return EMSGSIZE; // as the kernel would say
    if (revocable) this.#revocable[n] = 1;
    this.#records.address(n, to, to === null ? 0 : wordOfPort(port, to.family));
    this.#schedule();
    return 0;
  }

  /** Stages the answer to a received record, as `send` does: the first word of it is `from[fromAt]`. */
  reply(
    id: number,
    connected: boolean,
    from: Uint32Array,
    fromAt: number,
    payload: Uint8Array,
    listener?: SentListener,
  ): number {
    const n = this.#stage(id, payload, listener);
    if (n < 0) return EMSGSIZE;
    if (connected) this.#records.address(n, null, 0);
    else this.#records.addressOf(n, from, fromAt);
    this.#schedule();
    return 0;
  }

  /** Sends a list of payload, port, address, … at once. Returns how many entries were taken: fewer than there are when
   * the socket cannot take more now. What goes to an address that `isBlocked` has is taken, and counted as refused. */
  sendTriples(id: number, family: Family, given: readonly unknown[], isBlocked: IsBlocked | undefined): number {
    const list = [...given]; // reading it runs no code of the program's any more
    this.flush(); // what was sent before goes first
    let taken = 0;
    // Of the latest entry: most lists go to one place, which is checked once.
    let port: unknown;
    let address: unknown;
    let target: ParsedAddress | null = null;
    let portWord = 0;
    let blocked = false;
    try {
      for (let i = 0; i < list.length; i += 3) {
        const payload = bytesOfPayload(list[i], 'list');
        if (list[i + 1] !== port || list[i + 2] !== address || target === null) {
          const number = validatePort(list[i + 1], 'Port', false);
          if (list[i + 2] !== address || target === null) {
            target = literal(family, list[i + 2], 'address');
            blocked = isBlocked?.(list[i + 2] as string) ?? false;
          }
          port = list[i + 1];
          address = list[i + 2];
          portWord = wordOfPort(number, target.family);
          this.#runSize = 0;
        }
        if (blocked) this.#countRefused(id);
        else if (!this.#append(id, target, portWord, payload)) break;
        taken += 1 + this.#extend(list, i, 3);
        i = 3 * taken - 3;
      }
    } finally {
      this.flush();
    }
    return taken;
  }

  /** The same of payloads that go to one place. */
  sendList(id: number, { to, portWord }: Destination, given: readonly unknown[]): number {
    const list = [...given];
    this.flush();
    let taken = 0;
    try {
      while (taken < list.length && this.#append(id, to, portWord, bytesOfPayload(list[taken], 'list'))) {
        taken += 1 + this.#extend(list, taken, 1);
      }
    } finally {
      this.flush();
    }
    return taken;
  }

  /** The same of a payload, a destination, …; `destinationAt(i)` is that of the i-th pair. */
  sendPairs(id: number, list: readonly unknown[], destinationAt: (place: number) => Destination | undefined): number {
    this.flush();
    let taken = 0;
    let latest: Destination | undefined;
    try {
      for (let i = 0; i < list.length; i += 2) {
        const payload = bytesOfPayload(list[i], 'list');
        const destination = destinationAt(i + 1);
        if (destination !== latest) this.#runSize = 0;
        latest = destination;
        if (destination === undefined) this.#countRefused(id);
        else if (!this.#append(id, destination.to, destination.portWord, payload)) break;
        taken++;
      }
    } finally {
      this.flush();
    }
    return taken;
  }

  /** The same of one piece of memory, cut into datagrams of `segmentSize` bytes, of which the last may be shorter. */
  sendSegments(id: number, { to, portWord }: Destination, bytes: Uint8Array, segmentSize: number): number {
    this.flush();
    const all = lengthOf(bytes);
    const each = segmentSize * Math.max(1, Math.min(GSO_SEGMENTS_MIN, Math.floor(JOINED_BYTES_MAX / segmentSize)));
    const atOnce =
      segmentSize * Math.min(STAGED_DATAGRAMS_MAX, Math.max(1, Math.floor(STAGED_BYTES_MAX / segmentSize)));
    let taken = 0;
    for (let deferred = false; taken < all && !deferred; ) {
      const part = bytesOfView(bytes, taken, Math.min(atOnce, all - taken));
      let records = 0;
      for (let at = 0; at < part.length; at += each) {
        const n = records++;
        this.#records.write(n, id, at, Math.min(each, part.length - at), 0, segmentSize);
        this.#records.address(n, to, portWord);
      }
      deferred = this.#native.sendFrom(part, records) > 0;
      taken += part.length;
    }
    return Math.ceil(taken / segmentSize);
  }

  /** A datagram is refused before the kernel sees it. */
  refuse(id: number): void {
    this.#countRefused(id);
  }

  // As many as are like the one at `from`, which has been appended: they share its record. Returns how many; the others
  // are for #append.
  #extend(list: readonly unknown[], from: number, step: number): number {
    const size = this.#runSize;
    if (size === 0) return 0;
    const start = this.#stagedBytes;
    const room = Math.min(Math.floor((this.#runEnd - start) / size), STAGED_DATAGRAMS_MAX - this.#datagrams);
    const end = Math.min(list.length, from + (room + 1) * step);
    let at = start;
    let latest = list[from]; // the payload that ends at `at`
    let repeated = 0; // and the same again behind it, still to be copied
    let i = from + step;
    for (; i < end; i += step) {
      const payload = list[i];
      if (step === 3 && !goAlike(list, i, from)) break;
      if (payload === latest) {
        repeated++;
        continue;
      }
      if (!isBytes(payload) || lengthOf(payload) !== size) break;
      at = this.#repeat(at, size, repeated);
      repeated = 0;
      this.#arena.set(payload, at);
      at += size;
      latest = payload;
    }
    at = this.#repeat(at, size, repeated);
    const count = (at - start) / size;
    if (count === 0) return 0;
    this.#stagedBytes = at;
    this.#datagrams += count;
    this.#records.lengthen(this.#staged - 1, at - start);
    return i === end && repeated === count ? count + this.#again(list, from, i, step) : count;
  }

  // The payload at `from`, which ends what is staged many times over, once more from `next` on: in records of the same
  // bytes. Returns how many datagrams.
  #again(list: readonly unknown[], from: number, next: number, step: number): number {
    const size = this.#runSize;
    const copies = (next - from) / step;
    const offset = this.#stagedBytes - copies * size;
    const payload = list[from];
    const most = Math.min(list.length, next + (STAGED_DATAGRAMS_MAX - this.#datagrams) * step);
    let at = next;
    while (at < most && this.#staged < STAGED_DATAGRAMS_MAX) {
      const begin = at;
      const end = Math.min(most, at + copies * step);
      while (at < end && list[at] === payload && (step === 1 || goAlike(list, at, from))) at += step;
      if (at === begin) break;
      this.#runSize = 0; // nothing else can follow in the same record
      const n = this.#staged++;
      this.#records.repeat(n, offset, ((at - begin) / step) * size);
      this.#revocable[n] = 0;
    }
    const count = (at - next) / step;
    this.#datagrams += count;
    return count;
  }

  // What ends at `at` once more, so many times, in as few copies as it can be. Returns where it ends.
  #repeat(at: number, size: number, times: number): number {
    const from = at - size;
    const until = at + size * times;
    for (let end = at; end < until; ) {
      const bytes = Math.min(end - from, until - end);
      this.#arena.copyWithin(end, from, from + bytes);
      end += bytes;
    }
    return until;
  }

  // A datagram of a list: in the record of the one before it, if it goes to the same place and has its size. False where
  // the socket takes no more now.
  #append(id: number, to: ParsedAddress | null, portWord: number, payload: Uint8Array): boolean {
    const length = lengthOf(payload);
    if (length > DATAGRAM_BYTES_MAX) {
      this.#countRefused(id);
      this.#runSize = 0; // it is not what a next one could be like
      return true;
    }
    if (this.#full(length) || this.#datagrams >= STAGED_DATAGRAMS_MAX) {
      this.flush();
      if (this.#deferred) return false;
    }
    const offset = this.#stagedBytes;
    this.#datagrams++;
    this.#stagedBytes = offset + length;
    if (length > 0) {
      this.#arena.set(payload, offset);
      if (length <= this.#runSize && offset + length <= this.#runEnd) {
        this.#records.lengthen(this.#staged - 1, length);
        if (length < this.#runSize) this.#runSize = 0; // only the last may be shorter
        return true;
      }
    }
    const n = this.#staged++;
    this.#records.write(n, id, offset, length, 0, length);
    this.#records.address(n, to, portWord);
    this.#revocable[n] = 0;
    this.#runSize = length;
    this.#runEnd = Math.min(offset + Math.min(length * GSO_SEGMENTS_MIN, JOINED_BYTES_MAX), STAGED_BYTES_MAX);
    return true;
  }

  // A staged record without a destination, as its number; -1 when the payload is too long for UDP.
  #stage(id: number, payload: Uint8Array | Uint8Array[], listener: SentListener | undefined): number {
    const length = Array.isArray(payload) ? payload.reduce((sum, part) => sum + lengthOf(part), 0) : lengthOf(payload);
    if (length > DATAGRAM_BYTES_MAX) {
      this.#countRefused(id);
      return -1;
    }
    if (this.#full(length)) this.flush();

    this.#runSize = 0;
    const offset = this.#stagedBytes;
    if (Array.isArray(payload)) {
      let at = offset;
      for (const part of payload) {
        copyBytes(part, this.#arena, at);
        at += lengthOf(part);
      }
    } else {
      if (length > 0) this.#arena.set(payload, offset); // what has no memory any more cannot even be copied
    }
    this.#stagedBytes = offset + length;

    const n = this.#staged++;
    let number = 0;
    if (listener !== undefined) {
      number = this.#nextNumber();
      this.#listeners[n] = listener;
      this.#anyListener = true;
    }
    this.#records.write(n, id, offset, length, number);
    this.#revocable[n] = 0;
    return n;
  }

  #full(length: number): boolean {
    return this.#staged === STAGED_DATAGRAMS_MAX || this.#stagedBytes + length > STAGED_BYTES_MAX;
  }

  // The latest record is complete. If the environment ends before the flush, native code sends what it finds.
  #schedule(): void {
    this.#control[C_STAGED >> 2] = this.#staged;
    if (this.#deferFlush()) return;
    if (this.#scheduled) {
      const n = this.#staged;
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

  /** Hands everything staged to the kernel. */
  flush(): void {
    this.#scheduled = false;
    this.#datagrams = 0;
    this.#runSize = 0;
    const count = this.#staged;
    if (count === 0) return;
    this.#deferred = this.#native.send(count) > 0;
    this.#staged = 0;
    this.#stagedBytes = 0;
    this.#earlier = 0;
    if (!this.#anyListener) return;
    this.#anyListener = false;
    for (let i = 0; i < count; i++) {
      const listener = this.#listeners[i];
      if (listener === undefined) continue;
      this.#listeners[i] = undefined;
      const result = this.#records.result(i);
      if (result === RESULT_DEFERRED) {
        this.#waiting.set(this.#records.sendNumber(i), { id: this.#records.socketId(i), listener });
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
    const pending: number[] = [];
    for (let n = this.#earlier; n < this.#staged; n++) if (this.#revocable[n] === 1) pending.push(n);
    if (pending.length === 0) this.flush();
    else if (pending.length < this.#staged) this.#flushAllBut(pending);
  }

  // They move to the front; their payloads stay where they are.
  #flushAllBut(pending: number[]): void {
    const kept = pending.map((n) => ({ record: this.#records.take(n), listener: this.#listeners[n] }));
    for (const n of pending) this.#listeners[n] = undefined;
    const bytes = this.#stagedBytes;
    const scheduled = this.#scheduled;
    this.flush();
    kept.forEach(({ record, listener }, n) => {
      this.#records.put(n, record);
      this.#listeners[n] = listener;
      this.#anyListener ||= listener !== undefined;
      this.#revocable[n] = 1;
    });
    this.#staged = kept.length;
    this.#control[C_STAGED >> 2] = kept.length;
    this.#stagedBytes = bytes;
    this.#scheduled = scheduled;
  }

  /** A listener of the receiver is about to run, or has returned: in node:dgram, what was sent before is not to be taken
   * back, or soon will not be. */
  passEvent(): void {
    this.#earlier = this.#staged;
  }

  /** Takes back what revocable datagrams the socket has staged in the present tick or event: they will not be sent, and
   * nobody is told. Sends the others. */
  revoke(id: number): void {
    for (let i = this.#earlier; i < this.#staged; i++) {
      if (this.#revocable[i] === 0 || this.#records.socketId(i) !== id) continue;
      this.#records.drop(i);
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
