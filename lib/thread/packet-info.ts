// What the kernel says of a datagram that has no place in its record: native/core/memory/layout.h, PacketInfo. That of a
// record is as many words into this memory as the record is into the ring's.
import { PACKET_INFO_BYTES } from '../backend/layout.js';
import { binding } from '../backend/load.js';

const ADDRESS_WORDS = 4;
const NAMES_MAX = 1024;
const scratch = new Uint8Array(20); // its last four bytes are a scope, which an address of ours is said without
const scratchWords = new Uint32Array(scratch.buffer);

/** An address's text. Datagrams are sent to few addresses of ours. */
class Names {
  readonly #known = new Map<string, string>();
  readonly #latest = new Uint32Array(ADDRESS_WORDS + 1);
  #name = '';

  get(words: Uint32Array, first: number, family: number): string {
    const latest = this.#latest;
    if (
      latest[0] === words[first] &&
      latest[1] === words[first + 1] &&
      latest[2] === words[first + 2] &&
      latest[3] === words[first + 3] &&
      latest[ADDRESS_WORDS] === family
    ) {
      return this.#name;
    }
    for (let i = 0; i < ADDRESS_WORDS; i++) latest[i] = scratchWords[i] = words[first + i];
    latest[ADDRESS_WORDS] = family;
    const key = latest.join();
    let name = this.#known.get(key);
    if (name === undefined) {
      name = binding.formatAddress(family, scratch);
      if (this.#known.size >= NAMES_MAX) this.#known.clear();
      this.#known.set(key, name);
    }
    this.#name = name;
    return name;
  }
}

export class PacketInfos {
  readonly words: Uint32Array;
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;
  readonly #names = new Names();

  /** `memory`: PACKET_INFO_BYTES for each record of the ring. */
  constructor(memory: Uint8Array) {
    const { buffer, byteOffset, byteLength } = memory;
    this.words = new Uint32Array(buffer, byteOffset, byteLength / 4);
    this.#halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
    this.#bytes = memory;
  }

  /** The address at this offset, of the family at that one; undefined where the kernel did not say. */
  address(at: number, offset: number, familyOffset: number): string | undefined {
    const family = this.#bytes[(at << 2) + familyOffset];
    return family === 0 ? undefined : this.#names.get(this.words, at + (offset >> 2), family);
  }

  byte(at: number, offset: number): number {
    return this.#bytes[(at << 2) + offset];
  }

  half(at: number, offset: number): number {
    return this.#halves[(at << 1) + (offset >> 1)];
  }
}

export function packetInfoBytes(slots: number): number {
  return slots * PACKET_INFO_BYTES;
}
