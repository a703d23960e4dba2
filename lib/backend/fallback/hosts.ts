// Who datagrams come from: what is read off an address once, while it is remembered.
import { ADDRESS_BYTES, formatDestination, parseAddress } from './addresses.js';

/** An address without its port. */
export class Host {
  readonly text: string;
  readonly family: 4 | 6;
  readonly bytes = new Uint8Array(ADDRESS_BYTES);
  /** The same as a record's words. */
  readonly words = new Uint32Array(this.bytes.buffer);
  /** Of an IPv4 address, an IPv4-mapped one, too; else -1. */
  readonly ipv4: number;
  /** Its number in the receive ring. */
  readonly id: number;
  #number: bigint | undefined;

  constructor(text: string, id = 0) {
    this.text = text;
    this.family = text.includes(':') ? 6 : 4;
    this.id = id;
    parseAddress(this.family, text, this.bytes);
    this.ipv4 = this.#ipv4();
  }

  #ipv4(): number {
    const { bytes } = this;
    const at = this.family === 4 ? 0 : 12;
    const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
    if (this.family === 6 && !mapped) return -1;
    return new DataView(bytes.buffer).getUint32(at);
  }

  /** The address in network order: 4 bytes also of an IPv4-mapped one, which is what a socket for both families gets. */
  get ip(): Uint8Array {
    if (this.family === 4) return this.bytes.subarray(0, 4);
    return this.ipv4 < 0 ? this.bytes.subarray(0, 16) : this.bytes.subarray(12, 16);
  }

  /** One number for a host, IPv4 as the IPv4-mapped address; the zone does not count. */
  get number(): bigint {
    if (this.#number === undefined) {
      const view = new DataView(this.bytes.buffer);
      const ipv6 = (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
      this.#number = this.ipv4 < 0 ? ipv6 : 0xffff_0000_0000n | BigInt(this.ipv4);
    }
    return this.#number;
  }
}

/** Fewer than there are numbers for them (PEERS_MAX): each is some objects. */
const HOSTS_MAX = 4096;

/** The latest HOSTS_MAX of them. */
export class Hosts {
  readonly #known = new Map<string, Host>();
  readonly #max: number;
  readonly #onEviction: () => void;
  #latest = new Host('0.0.0.0');

  constructor(onEviction: () => void, max = HOSTS_MAX) {
    this.#onEviction = onEviction;
    this.#max = max;
  }

  get(text: string): Host {
    if (text === this.#latest.text) return this.#latest;
    this.#latest = this.#known.get(text) ?? this.#add(text);
    return this.#latest;
  }

  #add(text: string): Host {
    let id = this.#known.size;
    if (id >= this.#max) {
      const [[oldest, host]] = this.#known as Iterable<[string, Host]>;
      this.#known.delete(oldest);
      id = host.id;
      this.#onEviction();
    }
    const host = new Host(text, id);
    this.#known.set(text, host);
    return host;
  }
}

/** The texts of addresses in records that go out; most go where the one before went. */
export class Destinations {
  readonly #words = new Uint32Array(5);
  readonly #bytes = new Uint8Array(this.#words.buffer);
  #family = 0;
  #text = '';

  /** `from[at]` is the first word of the address. */
  get(family: number, from: Uint32Array, at: number): string {
    let same = family === this.#family;
    for (let i = 0; i < 5; i++) {
      const word = family === 4 && i > 0 ? 0 : from[at + i]; // nobody writes the others
      same &&= this.#words[i] === word;
      this.#words[i] = word;
    }
    if (same) return this.#text;
    this.#family = family;
    this.#text = formatDestination(family, this.#bytes);
    return this.#text;
  }
}
