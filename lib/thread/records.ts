// The records that JavaScript and the thread pass to each other, 64 bytes each (native/core/memory/layout.h, Descriptor):
// the received ones are read here, those to be sent are written here. Rows of backend/layout.ts are byte offsets.
import {
  CHUNK_SHIFT,
  D_ADDRESS,
  D_FAMILY,
  D_FLAGS,
  D_KIND,
  D_LENGTH,
  D_OFFSET,
  D_PEER_ID,
  D_PORT,
  D_RESULT,
  D_SCOPE_ID,
  D_SEGMENT_SIZE,
  D_SEND_ID,
  D_SIZE,
  D_SOCKET_ID,
  D_SOURCE,
  D_TOS,
  D_TTL,
  D_USER_DATA,
  DESCRIPTOR_BYTES,
  FLAG_IN_CHUNK,
  FLAG_PACKET_INFO,
  FLAG_SAYS_MORE,
  FLAG_TIMED,
  FLAG_TRUNCATED,
} from '../backend/layout.js';
import { udp4 } from '../base/family.js';
import { type ParsedAddress, PeerNames } from './address.js';
import type { PacketInfos } from './packet-info.js';

const RECORD_WORDS = DESCRIPTOR_BYTES >> 2;
const IPV4 = udp4.number; // its addresses are one word
export const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Reads the receive ring. A record is told by `at`, its first word in `words`. */
export class ReceivedRecords {
  readonly words: Uint32Array;
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;
  readonly #peers = new PeerNames();
  #quads: BigUint64Array | undefined; // made for the first who asks
  #packetInfos: PacketInfos | undefined;

  constructor(memory: Uint8Array) {
    const { buffer, byteOffset, byteLength } = memory;
    this.words = new Uint32Array(buffer, byteOffset, byteLength / 4);
    this.#halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
    this.#bytes = memory;
    this.#mask = byteLength / DESCRIPTOR_BYTES - 1;
  }

  /** Where the `n`th record is; the `base`th is in the ring's first place. */
  at(n: number, base: number): number {
    return ((n - base) & this.#mask) * RECORD_WORDS;
  }

  socketId(at: number): number {
    return this.words[at + (D_SOCKET_ID >> 2)];
  }

  /** The record is nobody's from now on: no socket has id 0. */
  drop(at: number): void {
    this.words[at + (D_SOCKET_ID >> 2)] = 0;
  }

  kind(at: number): number {
    return this.#bytes[(at << 2) + D_KIND];
  }

  /** Where in the arena the payload begins. */
  offset(at: number): number {
    return this.words[at + (D_OFFSET >> 2)];
  }

  /** Payload bytes, of all segments together. */
  length(at: number): number {
    return this.words[at + (D_LENGTH >> 2)];
  }

  /** Bytes of each segment but the last, which may be shorter; 0: it is one datagram. */
  segmentSize(at: number): number {
    return this.#halves[(at << 1) + (D_SEGMENT_SIZE >> 1)];
  }

  /** How many there are behind the first `passed` bytes. */
  datagrams(at: number, passed: number): number {
    const each = this.segmentSize(at);
    return each === 0 ? 1 : Math.ceil((this.length(at) - passed) / each);
  }

  /** The sender's address. */
  address(at: number): string {
    const { words } = this;
    return this.#peers.get(words, at, words[at + (D_PEER_ID >> 2)], this.family(at));
  }

  /** `Family.number`. */
  family(at: number): number {
    return this.#bytes[(at << 2) + D_FAMILY];
  }

  /** The byte at this offset of the record. */
  byte(at: number, offset: number): number {
    return this.#bytes[(at << 2) + offset];
  }

  /** From now on there may be some. */
  usePacketInfos(infos: PacketInfos): void {
    this.#packetInfos = infos;
  }

  /** What has the same place as the record, and is about its datagram. */
  packetInfo(at: number): PacketInfos | undefined {
    return (this.#halves[(at << 1) + (D_FLAGS >> 1)] & FLAG_PACKET_INFO) !== 0 ? this.#packetInfos : undefined;
  }

  /** Is the payload not in the arena, but in memory of its own? */
  inChunk(at: number): boolean {
    return (this.#halves[(at << 1) + (D_FLAGS >> 1)] & FLAG_IN_CHUNK) !== 0;
  }

  /** Which of these. */
  chunk(at: number): number {
    return this.#halves[(at << 1) + (D_FLAGS >> 1)] >> CHUNK_SHIFT;
  }

  /** It has been copied into the arena. */
  leaveChunk(at: number): void {
    this.#halves[(at << 1) + (D_FLAGS >> 1)] &= ~FLAG_IN_CHUNK;
  }

  /** The two bytes at this offset. */
  half(at: number, offset: number): number {
    return this.#halves[(at << 1) + (offset >> 1)];
  }

  /** The eight bytes at this offset. */
  quad(at: number, offset: number): bigint {
    const { buffer, byteOffset, byteLength } = this.#bytes;
    this.#quads ??= new BigUint64Array(buffer, byteOffset, byteLength / 8);
    return this.#quads[(at >> 1) + (offset >> 3)];
  }

  port(at: number): number {
    return this.#halves[(at << 1) + (D_PORT >> 1)];
  }

  /** Has the datagram been cut? Then `size` is what it had. */
  truncated(at: number): boolean {
    return (this.#halves[(at << 1) + (D_FLAGS >> 1)] & FLAG_TRUNCATED) !== 0;
  }

  size(at: number): number {
    return this.words[at + (D_SIZE >> 2)];
  }

  /** Of KIND_SENT and KIND_ERROR: bytes or -errno. */
  result(at: number): number {
    return this.words[at + (D_RESULT >> 2)] | 0;
  }

  /** Of KIND_SENT: the number that the datagram was staged with. */
  sendNumber(at: number): number {
    return this.words[at + (D_USER_DATA >> 2)];
  }
}

/** A received record to answer: its first word is `words[at]`, that of its PacketInfo `info[at]`. */
export interface Question {
  readonly words: Uint32Array;
  readonly at: number;
  readonly info: Uint32Array | undefined;
}

/** Port, family and kind (a datagram's is 0) share a word. */
export function wordOfPort(port: number, family: number): number {
  return littleEndian ? port | (family << 16) : (port << 16) | (family << 8);
}

/** Writes what the next flush sends: records by their number, 0 first. */
export class StagedRecords {
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;

  constructor(memory: Uint8Array) {
    const { buffer, byteOffset, byteLength } = memory;
    this.#words = new Uint32Array(buffer, byteOffset, byteLength / 4);
    this.#halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
    this.#bytes = memory;
  }

  /** All but the destination. `sendNumber` comes back with the result of a send that has to wait; 0: with none. What is
   * longer than `segmentSize`, if there is one, is so many datagrams. */
  write(n: number, id: number, offset: number, length: number, sendNumber: number, segmentSize = 0): void {
    const words = this.#words;
    const at = n * RECORD_WORDS;
    words[at + (D_SOCKET_ID >> 2)] = id;
    words[at + (D_OFFSET >> 2)] = offset;
    words[at + (D_LENGTH >> 2)] = length;
    words[at + (D_SEGMENT_SIZE >> 2)] = littleEndian ? segmentSize : segmentSize << 16; // in the same word: no flags
    words[at + (D_USER_DATA >> 2)] = sendNumber;
    words[at + (D_USER_DATA >> 2) + 1] = 0;
  }

  /** As the one before it, with the `length` bytes at `offset`. */
  repeat(n: number, offset: number, length: number): void {
    const words = this.#words;
    const at = n * RECORD_WORDS;
    words.copyWithin(at, at - RECORD_WORDS, at);
    words[at + (D_OFFSET >> 2)] = offset;
    words[at + (D_LENGTH >> 2)] = length;
  }

  /** Another datagram of so many bytes, behind the others. */
  lengthen(n: number, bytes: number): void {
    this.#words[n * RECORD_WORDS + (D_LENGTH >> 2)] += bytes;
  }

  /** `to` is null on a connected socket. */
  address(n: number, to: ParsedAddress | null, portWord: number): void {
    const words = this.#words;
    const at = n * RECORD_WORDS;
    words[at + (D_PORT >> 2)] = portWord;
    const first = at + (D_ADDRESS >> 2);
    if (to === null) {
      // All of it: datagrams that go to one place have one address, else they could overtake each other.
      for (let i = first; i <= at + (D_SCOPE_ID >> 2); i++) words[i] = 0;
      return;
    }
    const from = to.words;
    words[first] = from[0];
    if (to.family === IPV4) return;
    words[first + 1] = from[1];
    words[first + 2] = from[2];
    words[first + 3] = from[3];
    words[first + 4] = from[4];
  }

  /** Behind `write`: as Descriptor::tos, ttl and source; each 0: nothing. */
  say(n: number, tos: number, ttl: number, source: number): void {
    const half = (n * DESCRIPTOR_BYTES) >> 1;
    this.#halves[half + (D_FLAGS >> 1)] |= FLAG_SAYS_MORE;
    this.#halves[half + (D_TOS >> 1)] = tos;
    this.#halves[half + (D_SOURCE >> 1)] = source;
    this.#bytes[n * DESCRIPTOR_BYTES + D_TTL] = ttl;
  }

  /** Behind `write`, of a local socket: descriptors that go with it, a bundle of native/core/socket/rights.h. */
  rights(n: number, bundle: number): void {
    this.say(n, 0, 0, 0);
    this.#words[n * RECORD_WORDS + (D_SEND_ID >> 2)] = bundle;
  }

  /** Behind `say`: somebody asks when it is sent. */
  time(n: number, id: number): void {
    this.#halves[((n * DESCRIPTOR_BYTES) >> 1) + (D_FLAGS >> 1)] |= FLAG_TIMED;
    this.#words[n * RECORD_WORDS + (D_SEND_ID >> 2)] = id;
  }

  /** Behind `write`, perhaps behind `say`: as Descriptor::source. */
  saySource(n: number, source: number): void {
    const half = (n * DESCRIPTOR_BYTES) >> 1;
    if ((this.#halves[half + (D_FLAGS >> 1)] & FLAG_SAYS_MORE) === 0) this.say(n, 0, 0, source);
    else this.#halves[half + (D_SOURCE >> 1)] = source;
  }

  /** Back to where a received record came from: its first word is `from[fromAt]`. */
  addressOf(n: number, from: Uint32Array, fromAt: number): void {
    const words = this.#words;
    const at = n * RECORD_WORDS;
    words[at + (D_PORT >> 2)] = from[fromAt + (D_PORT >> 2)];
    for (let i = D_ADDRESS >> 2; i <= D_SCOPE_ID >> 2; i++) words[at + i] = from[fromAt + i];
  }

  /** Keeps the record from being sent; returns what it was, for `put`. */
  take(n: number): Uint32Array {
    const record = this.#words.slice(n * RECORD_WORDS, (n + 1) * RECORD_WORDS);
    this.drop(n);
    return record;
  }

  put(n: number, record: Uint32Array): void {
    this.#words.set(record, n * RECORD_WORDS);
  }

  /** Keeps the record from being sent. */
  drop(n: number): void {
    this.#words[n * RECORD_WORDS + (D_SOCKET_ID >> 2)] = 0; // no socket has id 0
  }

  socketId(n: number): number {
    return this.#words[n * RECORD_WORDS + (D_SOCKET_ID >> 2)];
  }

  sendNumber(n: number): number {
    return this.#words[n * RECORD_WORDS + (D_USER_DATA >> 2)];
  }

  /** After the flush: bytes, -errno, or RESULT_DEFERRED. */
  result(n: number): number {
    return this.#words[n * RECORD_WORDS + (D_RESULT >> 2)] | 0;
  }
}
