// The memory in which datagrams wait to be handed to the kernel with one native call.
import type { ThreadMemory } from '../backend/contract.js';
import { P_ANSWER_FROM, P_IFINDEX, S_IFINDEX, SOURCE_BYTES } from '../backend/layout.js';
import { StagedRecords } from './records.js';
import type { SendMore } from './send-more.js';

/** A tick that sends more flushes early. */
export const STAGED_DATAGRAMS_MAX = 1024;
export const STAGED_BYTES_MAX = 512 * 1024;

const SOURCE_WORDS = SOURCE_BYTES >> 2;
const asked = new Uint32Array(SOURCE_WORDS);
const askedBytes = new Uint8Array(asked.buffer);

// fe80::/10
function isLinkLocal(): boolean {
  return askedBytes[0] === 0xfe && (askedBytes[1] & 0xc0) === 0x80;
}

export class Staging {
  readonly records: StagedRecords;
  readonly arena: Uint8Array;
  /** By record: 1 where close() may take it back. */
  readonly revocable = new Uint8Array(STAGED_DATAGRAMS_MAX);
  /** Records. */
  count = 0;
  /** Of the arena, from its start on. */
  bytes = 0;
  /** Datagrams of lists: several share a record (lists.ts). */
  datagrams = 0;
  /** What the next datagram of a list may have at most, to share the latest record; 0: it may not. */
  runSize = 0;

  /** Sources that records name. */
  sources = 0;
  readonly #sources: Uint32Array;

  constructor(memory: ThreadMemory) {
    const { buffer, byteOffset, byteLength } = memory.txSources;
    this.records = new StagedRecords(memory.txDescriptors);
    this.arena = memory.txArena;
    this.#sources = new Uint32Array(buffer, byteOffset, byteLength >> 2);
  }

  /** Of the record: what is said of it beside where it goes; the `nth` of those that it is said of. */
  say(n: number, { tos, ttl, source, id }: SendMore, nth = 0): void {
    this.records.say(n, tos, ttl, source === undefined ? 0 : this.#place(source));
    if (id !== undefined) this.records.time(n, id + nth);
  }

  /** Of the record, an answer: it comes from the address that was asked, if the kernel has said which it was; the first
   * word of what it has said is `info[at]`. */
  answerFrom(n: number, info: Uint32Array, at: number): void {
    const from = at + (P_ANSWER_FROM >> 2);
    if ((info[from] | info[from + 1] | info[from + 2] | info[from + 3]) === 0) return;
    asked.set(info.subarray(from, from + 4));
    // An address of a link is one of several, RFC 4007.
    asked[S_IFINDEX >> 2] = isLinkLocal() ? info[at + (P_IFINDEX >> 2)] : 0;
    this.records.saySource(n, this.#place(asked));
  }

  // Where the source is among those of this flush, from 1 on.
  #place(source: Uint32Array): number {
    const sources = this.#sources;
    const latest = (this.sources - 1) * SOURCE_WORDS;
    if (this.sources > 0 && source.every((word, i) => word === sources[latest + i])) return this.sources;
    sources.set(source, this.sources * SOURCE_WORDS);
    return ++this.sources;
  }

  /** Has one more, of so many bytes, no place? */
  full(length: number): boolean {
    if (this.count === STAGED_DATAGRAMS_MAX || this.sources === STAGED_DATAGRAMS_MAX) return true;
    return this.bytes + length > STAGED_BYTES_MAX;
  }

  /** The number of the next record. */
  next(): number {
    const n = this.count++;
    this.revocable[n] = 0;
    return n;
  }

  clear(): void {
    this.count = this.bytes = this.datagrams = this.runSize = this.sources = 0;
  }
}
