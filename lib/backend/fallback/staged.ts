// Reads the records that the façade has staged to be sent, and writes what became of them (native/core/memory/layout.h).
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
  DESCRIPTOR_BYTES,
} from '../layout.js';
import { Destinations } from './hosts.js';

const RECORD_WORDS = DESCRIPTOR_BYTES >> 2;

/** A record of the ring, by its number. */
export class StagedReader {
  readonly #bytes: Uint8Array;
  readonly #halves: Uint16Array;
  readonly #words: Uint32Array;
  readonly #destinations = new Destinations();

  constructor(memory: Uint8Array) {
    const { buffer, byteOffset, byteLength } = memory;
    this.#bytes = memory;
    this.#halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
    this.#words = new Uint32Array(buffer, byteOffset, byteLength / 4);
  }

  /** How many there are. */
  get count(): number {
    return this.#bytes.length / DESCRIPTOR_BYTES;
  }

  socketId(n: number): number {
    return this.#words[n * RECORD_WORDS + (D_SOCKET_ID >> 2)];
  }

  offset(n: number): number {
    return this.#words[n * RECORD_WORDS + (D_OFFSET >> 2)];
  }

  length(n: number): number {
    return this.#words[n * RECORD_WORDS + (D_LENGTH >> 2)];
  }

  /** 0: it is one datagram. */
  segmentSize(n: number): number {
    return this.#halves[n * RECORD_WORDS * 2 + (D_SEGMENT_SIZE >> 1)];
  }

  port(n: number): number {
    return this.#halves[n * RECORD_WORDS * 2 + (D_PORT >> 1)];
  }

  /** Empty: to the one peer of a connected socket. */
  address(n: number): string {
    const family = this.#bytes[n * DESCRIPTOR_BYTES + D_FAMILY];
    return family === 0 ? '' : this.#destinations.get(family, this.#words, n * RECORD_WORDS + (D_ADDRESS >> 2));
  }

  sendNumber(n: number): number {
    return this.#words[n * RECORD_WORDS + (D_USER_DATA >> 2)];
  }

  /** Bytes, -errno or RESULT_DEFERRED. */
  settle(n: number, result: number): void {
    this.#words[n * RECORD_WORDS + (D_RESULT >> 2)] = result;
  }
}
