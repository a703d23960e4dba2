// Datagrams as packets: each with the IP and UDP headers that it may have had, which sockets do not tell. Lengths, addresses,
// ports and checksums are right; what is not known is what a host would send (hop limit 64, no fragments).
import { endianness } from 'node:os';
import { ENHANCED_PACKET } from './blocks.js';

const EPB_HEAD = 28;
const EPB_TAIL = 4;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const UDP_BYTES = 8;
/** What the lengths in both headers can say. */
const LENGTH_MAX = 65_535;
/** What a block has beside the datagram, at most. */
const OVERHEAD_MAX = EPB_HEAD + IPV6_BYTES + UDP_BYTES + 3 + EPB_TAIL;

const DONT_FRAGMENT = 0x40;
const HOP_LIMIT = 64;
const UDP = 17;
/** From here on a native call copies faster than a loop. */
const LOOP_BYTES_MAX = 32;

const swaps = endianness() === 'LE';
/** A number as it stands in memory that is read as the network's 16 bits. */
const network = (value: number) => (swaps ? ((value & 0xff) << 8) | (value >>> 8) : value);
const UDP_LANE = network(UDP);

/** Sums of 32-bit words, folded to 16 bits in the ones' complement (RFC 1071), inverted. Byte order does not matter: as
 * the words were read the result is stored. */
function checksum(sum: number): number {
  let rest = (sum >>> 0) + Math.floor(sum / 2 ** 32); // a double: exact, as a packet has 2^14 words at most
  rest = (rest >>> 0) + Math.floor(rest / 2 ** 32);
  let folded = (rest & 0xffff) + (rest >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return ~folded & 0xffff;
}

export interface Datagram {
  /** 4 or 16 bytes each, as many as the other's. */
  source: Uint8Array;
  sourcePort: number;
  destination: Uint8Array;
  destinationPort: number;
  /** Nanoseconds since 1970, in two halves. */
  timeHigh: number;
  timeLow: number;
  payload: Uint8Array;
}

/** How much memory the blocks of so many datagrams may take. */
export function blockBytesMax(datagrams: number, payloadBytes: number): number {
  return datagrams * OVERHEAD_MAX + payloadBytes;
}

/** A buffer that is filled with packets' blocks. */
export class Packets {
  readonly #words: Uint32Array;
  readonly #lanes: Uint16Array;
  readonly #bytes: Uint8Array;
  #length = 0;

  constructor(bytes: number) {
    this.#words = new Uint32Array(bytes >> 2);
    this.#lanes = new Uint16Array(this.#words.buffer);
    this.#bytes = new Uint8Array(this.#words.buffer);
  }

  /** In bytes. */
  get capacity(): number {
    return this.#bytes.length;
  }

  get length(): number {
    return this.#length;
  }

  /** The blocks, until the next clear(). */
  get blocks(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  /** False: there is no room for it. */
  add(datagram: Datagram): boolean {
    const { source, payload } = datagram;
    const isIpv4 = source.length === 4;
    const ipBytes = isIpv4 ? IPV4_BYTES : IPV6_BYTES;
    // What no link carries and no socket receives is cut; the block says how long it was.
    const size = Math.min(payload.length, LENGTH_MAX - UDP_BYTES - (isIpv4 ? IPV4_BYTES : 0));
    const captured = ipBytes + UDP_BYTES + size;
    const total = (EPB_HEAD + captured + EPB_TAIL + 3) & ~3;
    const at = this.#length;
    if (at + total > this.#bytes.length) return false;
    const packet = at + EPB_HEAD;
    const words = this.#words;
    let word = at >> 2;
    words[word++] = ENHANCED_PACKET;
    words[word++] = total;
    words[word++] = 0; // the interface
    words[word++] = datagram.timeHigh;
    words[word++] = datagram.timeLow;
    words[word++] = captured;
    words[word] = ipBytes + UDP_BYTES + payload.length;
    const end = (at + total - EPB_TAIL) >> 2;
    words[end - 1] = 0; // what the last word has beside the packet is zero
    words[end] = total;
    this.#copy(payload, size, packet + ipBytes + UDP_BYTES);
    if (isIpv4) this.#ipv4(packet, datagram, UDP_BYTES + size);
    else this.#ipv6(packet, datagram, UDP_BYTES + size);
    this.#udp(packet + ipBytes, datagram, UDP_BYTES + size, end);
    this.#length = at + total;
    return true;
  }

  #copy(payload: Uint8Array, size: number, to: number): void {
    if (size > LOOP_BYTES_MAX) this.#bytes.set(size === payload.length ? payload : payload.subarray(0, size), to);
    else for (let i = 0; i < size; i++) this.#bytes[to + i] = payload[i];
  }

  #ipv4(at: number, { source, destination }: Datagram, udpLength: number): void {
    const bytes = this.#bytes;
    const length = IPV4_BYTES + udpLength;
    bytes[at] = 0x45; // version 4, five words of header
    bytes[at + 1] = 0;
    bytes[at + 2] = length >>> 8;
    bytes[at + 3] = length;
    bytes[at + 4] = 0;
    bytes[at + 5] = 0;
    bytes[at + 6] = DONT_FRAGMENT;
    bytes[at + 7] = 0;
    bytes[at + 8] = HOP_LIMIT;
    bytes[at + 9] = UDP;
    bytes[at + 10] = 0;
    bytes[at + 11] = 0;
    for (let i = 0; i < 4; i++) {
      bytes[at + 12 + i] = source[i];
      bytes[at + 16 + i] = destination[i];
    }
    const first = at >> 2;
    let sum = 0;
    for (let i = first; i < first + IPV4_BYTES / 4; i++) sum += this.#words[i];
    this.#lanes[(at + 10) >> 1] = checksum(sum);
  }

  #ipv6(at: number, { source, destination }: Datagram, length: number): void {
    const bytes = this.#bytes;
    bytes[at] = 0x60; // version 6
    bytes[at + 1] = 0;
    bytes[at + 2] = 0;
    bytes[at + 3] = 0;
    bytes[at + 4] = length >>> 8;
    bytes[at + 5] = length;
    bytes[at + 6] = UDP;
    bytes[at + 7] = HOP_LIMIT;
    for (let i = 0; i < 16; i++) {
      bytes[at + 8 + i] = source[i];
      bytes[at + 24 + i] = destination[i];
    }
  }

  // `end`: the word behind the payload.
  #udp(at: number, { source, sourcePort, destinationPort }: Datagram, length: number, end: number): void {
    const bytes = this.#bytes;
    bytes[at] = sourcePort >>> 8;
    bytes[at + 1] = sourcePort;
    bytes[at + 2] = destinationPort >>> 8;
    bytes[at + 3] = destinationPort;
    bytes[at + 4] = length >>> 8;
    bytes[at + 5] = length;
    bytes[at + 6] = 0;
    bytes[at + 7] = 0;
    // The pseudo-header: both addresses, which stand before this header, the protocol and the length.
    let sum = UDP_LANE + network(length);
    for (let i = (at - 2 * source.length) >> 2; i < end; i++) sum += this.#words[i];
    this.#lanes[(at + 6) >> 1] = checksum(sum) || 0xffff; // RFC 768: 0 would say that there is none
  }
}
