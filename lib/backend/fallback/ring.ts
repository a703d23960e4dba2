// The producer's half of the receive ring, as native/core/memory/rx_ring.h has it, on the thread that reads it.
import type { ThreadMemory } from '../contract.js';
import {
  C_BASE,
  C_CROWDING,
  C_HEAD,
  C_PRODUCER_WAITING,
  C_TAIL,
  C_WAKE_PENDING,
  D_ADDRESS,
  D_FAMILY,
  D_FLAGS,
  D_KIND,
  D_LENGTH,
  D_OFFSET,
  D_PEER_ID,
  D_PORT,
  D_RESULT,
  D_SEGMENT_SIZE,
  D_SIZE,
  D_SOCKET_ID,
  D_USER_DATA,
  DESCRIPTOR_BYTES,
  FLAG_TRUNCATED,
  KIND_DATAGRAM,
} from '../layout.js';
import type { Host } from './hosts.js';

const RECORD_WORDS = DESCRIPTOR_BYTES >> 2;

export class RxRing {
  readonly #control: Int32Array<SharedArrayBuffer>;
  readonly #bytes: Uint8Array;
  readonly #halves: Uint16Array;
  readonly #words: Uint32Array;
  readonly #arena: Uint8Array;
  readonly #slots: number;
  readonly #wake: () => void;
  #head = 0;
  #base = 0; // record n lies in place (n - base) % slots
  #write = 0; // where the next payload goes
  #oldest = 0; // where the oldest record's payload begins

  /** `wake` is called when JavaScript has something to read and does not know it yet. */
  constructor({ control, descriptors, arena }: ThreadMemory, wake: () => void) {
    const { buffer, byteOffset, byteLength } = descriptors;
    this.#control = control;
    this.#bytes = descriptors;
    this.#halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
    this.#words = new Uint32Array(buffer, byteOffset, byteLength / 4);
    this.#arena = arena;
    this.#slots = byteLength / DESCRIPTOR_BYTES;
    this.#wake = wake;
  }

  /** Is the ring so full that this socket has to leave the last quarter to others? */
  yields(id: number): boolean {
    if (this.#control[C_CROWDING >> 2] >>> 0 !== id) return false;
    const records = (this.#head - this.#lookAtTail()) | 0;
    if (records === 0) return false;
    const bytes =
      this.#write >= this.#oldest ? this.#write - this.#oldest : this.#arena.length - this.#oldest + this.#write;
    return records > (this.#slots / 4) * 3 || bytes > (this.#arena.length / 4) * 3;
  }

  /** A datagram of which `kept` bytes are handed out. False: it has no place. */
  datagram(id: number, from: Host, port: number, payload: Uint8Array, kept: number): boolean {
    const at = this.#push(id, KIND_DATAGRAM, kept);
    if (at < 0) return false;
    const words = this.#words;
    const offset = words[at + (D_OFFSET >> 2)];
    this.#arena.set(kept < payload.length ? payload.subarray(0, kept) : payload, offset);
    this.#halves[(at << 1) + (D_FLAGS >> 1)] = kept < payload.length ? FLAG_TRUNCATED : 0;
    words[at + (D_SIZE >> 2)] = payload.length;
    words[at + (D_PEER_ID >> 2)] = from.id;
    this.#halves[(at << 1) + (D_PORT >> 1)] = port;
    this.#bytes[(at << 2) + D_FAMILY] = from.family;
    words.set(from.words, at + (D_ADDRESS >> 2));
    this.#publish();
    return true;
  }

  /** A record that is no datagram. False: it has no place. */
  notice(id: number, kind: number, result: number, sendNumber: number): boolean {
    const at = this.#push(id, kind, 0);
    if (at < 0) return false;
    this.#words[at + (D_RESULT >> 2)] = result;
    this.#words[at + (D_USER_DATA >> 2)] = sendNumber;
    this.#publish();
    return true;
  }

  /** Something waits for room: the consumer says when there is some. */
  waitForRoom(waits: boolean): void {
    Atomics.store(this.#control, C_PRODUCER_WAITING >> 2, waits ? 1 : 0);
  }

  // The first word of a record with `length` bytes of the arena, or -1.
  #push(id: number, kind: number, length: number): number {
    const tail = this.#lookAtTail();
    if (((this.#head - tail) | 0) >= this.#slots) return -1;
    const offset = this.#place(length, this.#head === tail);
    if (offset < 0) return -1;
    const at = ((this.#head - this.#base) & (this.#slots - 1)) * RECORD_WORDS;
    this.#words[at + (D_SOCKET_ID >> 2)] = id;
    this.#words[at + (D_OFFSET >> 2)] = offset;
    this.#words[at + (D_LENGTH >> 2)] = length;
    this.#halves[(at << 1) + (D_SEGMENT_SIZE >> 1)] = 0;
    this.#bytes[(at << 2) + D_KIND] = kind;
    this.#write = offset + length;
    if (this.#head === tail) this.#oldest = offset;
    this.#head = (this.#head + 1) | 0;
    return at;
  }

  // Where `length` bytes in a row lie, or -1; what is written never catches up with the oldest record from behind.
  #place(length: number, empty: boolean): number {
    const end = this.#arena.length;
    if (empty) return length <= end ? 0 : -1;
    if (this.#write >= this.#oldest) {
      if (end - this.#write >= length) return this.#write;
      return this.#oldest > length ? 0 : -1;
    }
    return this.#oldest - this.#write > length ? this.#write : -1;
  }

  // While the ring is empty the consumer holds no record, so the first place may be another one.
  #lookAtTail(): number {
    const tail = Atomics.load(this.#control, C_TAIL >> 2);
    if (this.#head === tail) {
      this.#base = tail;
      this.#write = 0;
      this.#oldest = 0;
    } else {
      const at = ((tail - this.#base) & (this.#slots - 1)) * RECORD_WORDS;
      this.#oldest = this.#words[at + (D_OFFSET >> 2)];
    }
    return tail;
  }

  #publish(): void {
    this.#control[C_BASE >> 2] = this.#base;
    Atomics.store(this.#control, C_HEAD >> 2, this.#head);
    if (Atomics.exchange(this.#control, C_WAKE_PENDING >> 2, 1) === 0) this.#wake();
  }
}
