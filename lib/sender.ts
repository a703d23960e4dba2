// Datagrams on their way out: staged in shared memory as the program sends them, handed to the kernel with one
// native call a tick.

import type { ParsedAddress } from './address.js';
import type { NativeIoThread, ThreadMemory } from './binding.js';
import {
  D_ADDRESS,
  D_FAMILY,
  D_LENGTH,
  D_OFFSET,
  D_PORT,
  D_RESULT,
  D_SEGMENT_SIZE,
  D_SOCKET_ID,
  D_USER_DATA,
  DATAGRAM_BYTES_MAX,
  DESCRIPTOR_BYTES,
  RESULT_DEFERRED,
} from './layout.js';

/** Memory for what is sent in one flush; a tick that sends more flushes early. */
export const STAGED_DATAGRAMS_MAX = 1024;
export const STAGED_BYTES_MAX = 512 * 1024;

/** Called once, on a later tick, with the bytes sent or a negative errno. */
export type SentListener = (result: number) => void;

const RECORD_WORDS = DESCRIPTOR_BYTES >> 2;
const EMSGSIZE = -90;

export class Sender {
  readonly #native: NativeIoThread;
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;
  readonly #arena: Buffer;
  readonly #deferFlush: () => boolean;
  readonly #flush = () => this.flush();

  #staged = 0;
  #stagedBytes = 0;
  #scheduled = false;
  #listeners: (SentListener | undefined)[] = [];
  #anyListener = false;
  // Sends that the kernel would not take at once, by number.
  readonly #waiting = new Map<number, { id: number; listener: SentListener }>();
  #number = 0;

  /** `deferFlush`: true while somebody else promises to flush soon (the receiver, at the end of a drain). */
  constructor(native: NativeIoThread, memory: ThreadMemory, deferFlush: () => boolean) {
    this.#native = native;
    this.#words = new Uint32Array(memory.txDescriptors);
    this.#halves = new Uint16Array(memory.txDescriptors);
    this.#bytes = new Uint8Array(memory.txDescriptors);
    this.#arena = Buffer.from(memory.txArena);
    this.#deferFlush = deferFlush;
  }

  /** Stages one datagram. `to` is null on a connected socket. The payload is copied before this returns. */
  send(
    id: number,
    to: ParsedAddress | null,
    port: number,
    payload: Uint8Array | Uint8Array[],
    listener?: SentListener,
  ): void {
    const length = Array.isArray(payload)
      ? payload.reduce((sum, part) => sum + part.byteLength, 0)
      : payload.byteLength;
    if (length >= DATAGRAM_BYTES_MAX) {
      // No UDP datagram is this long, as the kernel would say.
      if (listener) process.nextTick(listener, EMSGSIZE);
      return;
    }
    if (this.#staged === STAGED_DATAGRAMS_MAX || this.#stagedBytes + length > STAGED_BYTES_MAX) this.flush();

    const offset = this.#stagedBytes;
    if (Array.isArray(payload)) {
      let at = offset;
      for (const part of payload) {
        this.#arena.set(part, at);
        at += part.byteLength;
      }
    } else {
      this.#arena.set(payload, offset);
    }
    this.#stagedBytes = offset + length;

    const at = this.#staged * RECORD_WORDS;
    const words = this.#words;
    words[at + (D_SOCKET_ID >> 2)] = id;
    words[at + (D_OFFSET >> 2)] = offset;
    words[at + (D_LENGTH >> 2)] = length;
    this.#halves[(at << 1) + (D_SEGMENT_SIZE >> 1)] = 0;
    this.#bytes[(at << 2) + D_FAMILY] = to === null ? 0 : to.family;
    if (to !== null) {
      this.#halves[(at << 1) + (D_PORT >> 1)] = port;
      const from = to.words;
      const first = at + (D_ADDRESS >> 2);
      words[first] = from[0];
      if (to.family === 6) {
        words[first + 1] = from[1];
        words[first + 2] = from[2];
        words[first + 3] = from[3];
        words[first + 4] = from[4];
      }
    }
    words[at + (D_USER_DATA >> 2)] = listener === undefined ? 0 : this.#nextNumber();
    words[at + (D_USER_DATA >> 2) + 1] = 0;
    this.#listeners[this.#staged] = listener;
    if (listener !== undefined) this.#anyListener = true;
    this.#staged++;

    if (!this.#scheduled && !this.#deferFlush()) {
      this.#scheduled = true;
      process.nextTick(this.#flush);
    }
  }

  /** Hands everything staged to the kernel. */
  flush(): void {
    this.#scheduled = false;
    const count = this.#staged;
    if (count === 0) return;
    this.#native.send(count);
    this.#staged = 0;
    this.#stagedBytes = 0;
    if (!this.#anyListener) return;
    this.#anyListener = false;
    for (let i = 0; i < count; i++) {
      const listener = this.#listeners[i];
      if (listener === undefined) continue;
      this.#listeners[i] = undefined;
      const at = i * RECORD_WORDS;
      const result = this.#words[at + (D_RESULT >> 2)] | 0;
      if (result === RESULT_DEFERRED) {
        const number = this.#words[at + (D_USER_DATA >> 2)];
        this.#waiting.set(number, { id: this.#words[at + (D_SOCKET_ID >> 2)], listener });
      } else {
        process.nextTick(listener, result);
      }
    }
  }

  /** Takes back what the socket has staged: it will not be sent, and nobody is told. */
  discard(id: number): void {
    for (let i = 0; i < this.#staged; i++) {
      if (this.#words[i * RECORD_WORDS + (D_SOCKET_ID >> 2)] === id) this.#listeners[i] = undefined;
    }
  }

  /** A send that had to wait has ended. */
  onSent(number: number, result: number): void {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    this.#waiting.delete(number);
    waiting.listener(result);
  }

  /** The listeners of the socket's sends that still wait; they are no longer waited for. */
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
