// Lists of datagrams on their way out (sendMany): neighbours of one size that go to one place share a staged record, which
// the kernel cuts again.
import type { NativeIoThread } from '../backend/contract.js';
import { DATAGRAM_BYTES_MAX, GSO_SEGMENTS_MIN, JOINED_BYTES_MAX } from '../backend/layout.js';
import type { Family } from '../base/family.js';
import { bytesOfPayload, bytesOfView, isBytes, lengthOf } from '../base/payload.js';
import { validatePort } from '../base/validate.js';
import { literal, type ParsedAddress } from './address.js';
import type { Destination } from './destination.js';
import { wordOfPort } from './records.js';
import type { SendMore } from './send-more.js';
import { STAGED_BYTES_MAX, STAGED_DATAGRAMS_MAX, type Staging } from './staging.js';

/** Does the program's list of blocked addresses have it? */
type IsBlocked = (address: string) => boolean;

export class Lists {
  readonly #native: NativeIoThread;
  readonly #staging: Staging;
  readonly #flush: () => boolean;
  readonly #countRefused: (id: number) => void;
  readonly #onDeferred: (id: number) => void;
  #runEnd = 0; // where the latest record has to end
  #more: SendMore | undefined; // what is said of the next records
  #nth = 0; // of the datagrams that it is said of: ids count them

  /** `flush` hands everything staged to the kernel: has some of it to wait? `countRefused` counts a datagram that is
   * refused before the kernel sees it, `onDeferred` hears of one that waits though it was not staged. */
  constructor(
    native: NativeIoThread,
    staging: Staging,
    flush: () => boolean,
    countRefused: (id: number) => void,
    onDeferred: (id: number) => void,
  ) {
    this.#native = native;
    this.#staging = staging;
    this.#flush = flush;
    this.#countRefused = countRefused;
    this.#onDeferred = onDeferred;
  }

  /** Sends a list of payload, port, address, … at once. Returns how many entries were taken: fewer than there are when
   * the socket cannot take more now. What goes to an address that `isBlocked` has is taken, and counted as refused. */
  sendTriples(
    id: number,
    family: Family,
    given: readonly unknown[],
    isBlocked: IsBlocked | undefined,
    more: SendMore | undefined,
  ): number {
    const list = [...given]; // reading it runs no code of the program's any more
    this.#more = more;
    this.#flush(); // what was sent before goes first
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
          this.#staging.runSize = 0;
        }
        if (blocked) this.#countRefused(id);
        else if (!this.#append(id, target, portWord, payload)) break;
        taken += 1 + this.#extend(list, i, 3);
        i = 3 * taken - 3;
      }
    } finally {
      this.#flush();
    }
    return taken;
  }

  /** The same of payloads that go to one place. */
  sendList(id: number, { to, portWord, more }: Destination, given: readonly unknown[]): number {
    const list = [...given];
    this.#more = more;
    this.#nth = 0;
    this.#flush();
    let taken = 0;
    try {
      while (taken < list.length && this.#append(id, to, portWord, bytesOfPayload(list[taken], 'list'))) {
        taken += 1 + this.#extend(list, taken, 1);
      }
    } finally {
      this.#flush();
    }
    return taken;
  }

  /** The same of a payload, a destination, …; `destinationAt(i)` is that of the i-th pair. */
  sendPairs(id: number, list: readonly unknown[], destinationAt: (place: number) => Destination | undefined): number {
    this.#flush();
    let taken = 0;
    let latest: Destination | undefined;
    try {
      for (let i = 0; i < list.length; i += 2) {
        const payload = bytesOfPayload(list[i], 'list');
        const destination = destinationAt(i + 1);
        if (destination !== latest) this.#staging.runSize = 0;
        latest = destination;
        this.#more = destination?.more;
        if (destination === undefined) this.#countRefused(id);
        else if (!this.#append(id, destination.to, destination.portWord, payload)) break;
        taken++;
      }
    } finally {
      this.#flush();
    }
    return taken;
  }

  /** The same of one piece of memory, cut into datagrams of `segmentSize` bytes, of which the last may be shorter. */
  sendSegments(id: number, { to, portWord, more }: Destination, bytes: Uint8Array, segmentSize: number): number {
    this.#flush();
    const all = lengthOf(bytes);
    const timed = more?.id !== undefined;
    const each = timed
      ? segmentSize
      : segmentSize * Math.max(1, Math.min(GSO_SEGMENTS_MIN, Math.floor(JOINED_BYTES_MAX / segmentSize)));
    const atOnce =
      segmentSize * Math.min(STAGED_DATAGRAMS_MAX, Math.max(1, Math.floor(STAGED_BYTES_MAX / segmentSize)));
    let taken = 0;
    let nth = 0;
    for (let deferred = false; taken < all && !deferred; ) {
      const part = bytesOfView(bytes, taken, Math.min(atOnce, all - taken));
      let records = 0;
      for (let at = 0; at < part.length; at += each) {
        const n = records++;
        this.#staging.records.write(n, id, at, Math.min(each, part.length - at), 0, segmentSize);
        this.#staging.records.address(n, to, portWord);
        if (more !== undefined) this.#staging.say(n, more, nth++);
      }
      this.#staging.sources = 0;
      deferred = this.#native.sendFrom(part, records) > 0;
      taken += part.length;
      if (deferred) this.#onDeferred(id);
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
    const size = this.#staging.runSize;
    if (size === 0) return 0;
    const start = this.#staging.bytes;
    const room = Math.min(Math.floor((this.#runEnd - start) / size), STAGED_DATAGRAMS_MAX - this.#staging.datagrams);
    const end = Math.min(list.length, from + (room + 1) * step);
    let at = start;
    let latest = list[from]; // the payload that ends at `at`
    let repeated = 0; // and the same again behind it, still to be copied
    const port = step === 3 ? list[from + 1] : undefined;
    const address = step === 3 ? list[from + 2] : undefined;
    let i = from + step;
    for (; i < end; i += step) {
      const payload = list[i];
      if (step === 3 && (list[i + 1] !== port || list[i + 2] !== address)) break;
      if (payload === latest) {
        repeated++;
        continue;
      }
      if (!isBytes(payload) || lengthOf(payload) !== size) break;
      at = this.#repeat(at, size, repeated);
      repeated = 0;
      this.#staging.arena.set(payload, at);
      at += size;
      latest = payload;
    }
    at = this.#repeat(at, size, repeated);
    const count = (at - start) / size;
    if (count === 0) return 0;
    this.#staging.bytes = at;
    this.#staging.datagrams += count;
    this.#staging.records.lengthen(this.#staging.count - 1, at - start);
    return i === end && repeated === count ? count + this.#again(list, from, i, step) : count;
  }

  // The payload at `from`, which ends what is staged many times over, once more from `next` on: in records of the same
  // bytes. Returns how many datagrams.
  #again(list: readonly unknown[], from: number, next: number, step: number): number {
    const size = this.#staging.runSize;
    const copies = (next - from) / step;
    const offset = this.#staging.bytes - copies * size;
    const payload = list[from];
    const port = step === 3 ? list[from + 1] : undefined;
    const address = step === 3 ? list[from + 2] : undefined;
    const most = Math.min(list.length, next + (STAGED_DATAGRAMS_MAX - this.#staging.datagrams) * step);
    let at = next;
    while (at < most && this.#staging.count < STAGED_DATAGRAMS_MAX) {
      const begin = at;
      const end = Math.min(most, at + copies * step);
      while (at < end && list[at] === payload && (step === 1 || (list[at + 1] === port && list[at + 2] === address))) {
        at += step;
      }
      if (at === begin) break;
      this.#staging.runSize = 0; // nothing else can follow in the same record
      const n = this.#staging.next();
      this.#staging.records.repeat(n, offset, ((at - begin) / step) * size);
    }
    const count = (at - next) / step;
    this.#staging.datagrams += count;
    return count;
  }

  // What ends at `at` once more, so many times, in as few copies as it can be. Returns where it ends.
  #repeat(at: number, size: number, times: number): number {
    const from = at - size;
    const until = at + size * times;
    for (let end = at; end < until; ) {
      const bytes = Math.min(end - from, until - end);
      this.#staging.arena.copyWithin(end, from, from + bytes);
      end += bytes;
    }
    return until;
  }

  // A datagram of a list: in the record of the one before it, if it goes to the same place and has its size. False where
  // the socket takes no more now.
  #append(id: number, to: ParsedAddress | null, portWord: number, payload: Uint8Array): boolean {
    const length = lengthOf(payload);
    if (length > DATAGRAM_BYTES_MAX) {
      this.#nth++;
      this.#countRefused(id);
      this.#staging.runSize = 0; // it is not what a next one could be like
      return true;
    }
    const full = this.#staging.full(length) || this.#staging.datagrams >= STAGED_DATAGRAMS_MAX;
    if (full && this.#flush()) return false;
    const offset = this.#staging.bytes;
    this.#staging.datagrams++;
    this.#staging.bytes = offset + length;
    if (length > 0) {
      this.#staging.arena.set(payload, offset);
      if (length <= this.#staging.runSize && offset + length <= this.#runEnd) {
        this.#staging.records.lengthen(this.#staging.count - 1, length);
        if (length < this.#staging.runSize) this.#staging.runSize = 0; // only the last may be shorter
        return true;
      }
    }
    const n = this.#staging.next();
    this.#staging.records.write(n, id, offset, length, 0, length);
    this.#staging.records.address(n, to, portWord);
    if (this.#more !== undefined) this.#staging.say(n, this.#more, this.#nth++);
    this.#staging.runSize = this.#more?.id === undefined ? length : 0; // a time is a datagram's alone
    this.#runEnd = Math.min(offset + Math.min(length * GSO_SEGMENTS_MIN, JOINED_BYTES_MAX), STAGED_BYTES_MAX);
    return true;
  }
}
