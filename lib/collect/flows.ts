// The sources of a collector's datagrams, found by what stands in a record: a source and where it sends to is looked at once, and
// from then on is a number. Bounded: when there are too many, all are forgotten.
import { D_ADDRESS, D_PORT, D_SCOPE_ID, P_LOCAL, P_LOCAL_FAMILY } from '../backend/layout.js';
import { udp4, udp6 } from '../base/family.js';
import { littleEndian, type ReceivedRecords } from '../thread/records.js';
import {
  addressText,
  S_ADDRESS,
  S_FAMILY,
  S_LOCAL,
  S_LOCAL_FAMILY,
  S_LOCAL_PORT,
  S_PORT,
  S_SCOPE,
  SOURCE_BYTES,
} from './frame.js';
import type { CollectedFlow } from './types.js';

export const FLOWS_MAX = 32_768;
const SLOTS = 2 * FLOWS_MAX; // a power of two
/** Of a flow: port and family as in the record, five words of address, the local family, and four words of local address. */
const KEY_WORDS = 11;
const K_ADDRESS = 1;
const K_SCOPE = 5;
const K_LOCAL_FAMILY = 6;
const K_LOCAL = 7;
const ADDRESS = D_ADDRESS >> 2;
const LOCAL = P_LOCAL >> 2;

/** What is known of the place that datagrams were sent to before any has come. */
export interface LocalEnd {
  port: number;
  /** Undefined: the kernel says it of each datagram, where it can. */
  address: string | undefined;
}

export class Flows {
  readonly #slots = new Uint16Array(SLOTS); // a flow's number and one
  readonly #keys = new Uint32Array(FLOWS_MAX * KEY_WORDS);
  readonly #key = new Uint32Array(KEY_WORDS); // the one that is looked for
  readonly #local: LocalEnd;
  #count = 0;
  #latest = -1;

  constructor(local: LocalEnd) {
    this.#local = local;
  }

  get count(): number {
    return this.#count;
  }

  /** Forgets all. */
  clear(): void {
    this.#slots.fill(0);
    this.#count = 0;
    this.#latest = -1;
  }

  /** The number of the record's flow; a new one is `count` before. There has to be room: `count` < FLOWS_MAX. */
  find(records: ReceivedRecords, at: number): number {
    const key = this.#read(records, at);
    if (this.#latest >= 0 && this.#is(this.#latest)) return this.#latest;
    let slot = key & (SLOTS - 1);
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & (SLOTS - 1)) {
      if (this.#is(this.#slots[slot] - 1)) {
        this.#latest = this.#slots[slot] - 1;
        return this.#latest;
      }
    }
    const flow = this.#count++;
    this.#slots[slot] = flow + 1;
    this.#keys.set(this.#key, flow * KEY_WORDS);
    this.#latest = flow;
    return flow;
  }

  // Into #key. Returns its hash.
  #read(records: ReceivedRecords, at: number): number {
    const { words } = records;
    const key = this.#key;
    let hash = words[at + (D_PORT >> 2)];
    key[0] = hash;
    key[K_ADDRESS] = words[at + ADDRESS];
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) ^ key[K_ADDRESS];
    if (familyOfWord(key[0]) === udp6.number) {
      for (let i = 1; i < 4; i++) {
        key[K_ADDRESS + i] = words[at + ADDRESS + i];
        hash = Math.imul(hash ^ (hash >>> 13), 0x297a2d39) ^ key[K_ADDRESS + i];
      }
      key[K_SCOPE] = words[at + (D_SCOPE_ID >> 2)];
    } else {
      key[2] = key[3] = key[4] = key[K_SCOPE] = 0;
    }
    const info = records.packetInfo(at);
    const local = info === undefined ? 0 : info.byte(at, P_LOCAL_FAMILY);
    key[K_LOCAL_FAMILY] = local;
    key[K_LOCAL] = info === undefined || local === 0 ? 0 : info.words[at + LOCAL];
    for (let i = 1; i < 4; i++)
      key[K_LOCAL + i] = info !== undefined && local === udp6.number ? info.words[at + LOCAL + i] : 0;
    hash = Math.imul(hash ^ (hash >>> 15) ^ key[K_LOCAL] ^ key[K_LOCAL + 3], 0x2c1b3c6d);
    return hash ^ (hash >>> 16);
  }

  #is(flow: number): boolean {
    const keys = this.#keys;
    const key = this.#key;
    const first = flow * KEY_WORDS;
    if (keys[first] !== key[0] || keys[first + K_ADDRESS] !== key[K_ADDRESS]) return false;
    for (let i = 2; i < KEY_WORDS; i++) if (keys[first + i] !== key[i]) return false;
    return true;
  }

  /** As a frame has it: SOURCE_BYTES at `at` in `out`. */
  write(flow: number, out: Uint8Array, at: number): void {
    const key = this.#keys.subarray(flow * KEY_WORDS, (flow + 1) * KEY_WORDS);
    const bytes = new Uint8Array(key.buffer, key.byteOffset, key.byteLength);
    const view = new DataView(out.buffer, out.byteOffset + at, SOURCE_BYTES);
    out.fill(0, at, at + SOURCE_BYTES);
    view.setUint16(S_PORT, littleEndian ? key[0] & 0xffff : key[0] >>> 16, true);
    view.setUint16(S_LOCAL_PORT, this.#local.port, true);
    view.setUint8(S_FAMILY, familyOfWord(key[0]));
    view.setUint32(S_SCOPE, key[K_SCOPE], true);
    out.set(bytes.subarray(4 * K_ADDRESS, 4 * K_SCOPE), at + S_ADDRESS);
    view.setUint8(S_LOCAL_FAMILY, key[K_LOCAL_FAMILY]);
    out.set(bytes.subarray(4 * K_LOCAL, 4 * KEY_WORDS), at + S_LOCAL);
    if (key[K_LOCAL_FAMILY] === 0) this.#writeLocal(out, at, view);
  }

  #writeLocal(out: Uint8Array, at: number, view: DataView): void {
    const bytes = bytesOf(this.#local.address);
    if (bytes === undefined) return;
    view.setUint8(S_LOCAL_FAMILY, bytes.length === 4 ? udp4.number : udp6.number);
    out.set(bytes, at + S_LOCAL);
  }

  /** As programs are told it. */
  describe(flow: number): CollectedFlow {
    const bytes = new Uint8Array(SOURCE_BYTES);
    this.write(flow, bytes, 0);
    const view = new DataView(bytes.buffer);
    const local = bytes[S_LOCAL_FAMILY];
    return {
      address: addressText(bytes, S_ADDRESS, bytes[S_FAMILY], view.getUint32(S_SCOPE, true)),
      port: view.getUint16(S_PORT, true),
      local: local === 0 ? undefined : addressText(bytes, S_LOCAL, local, 0),
      localPort: view.getUint16(S_LOCAL_PORT, true),
    };
  }
}

// Of the word that has port, family and kind: `wordOfPort` of thread/records.ts.
function familyOfWord(word: number): number {
  return (littleEndian ? word >>> 16 : word >>> 8) & 255;
}

/** Of a literal; undefined: of none, or of one that stands for every address. */
function bytesOf(address: string | undefined): Uint8Array | undefined {
  if (address === undefined || address === udp4.any || address === udp6.any) return undefined;
  if (!address.includes(':')) return Uint8Array.from(address.split('.').map(Number));
  const text = address.replace(/%.*/, '');
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const whole = dotted === null ? text : text.slice(0, dotted.index) + groupsOf(dotted.slice(1).map(Number));
  const [head, tail] = whole.split('::').map((part) => part.split(':').filter(Boolean));
  const zeroes = tail === undefined ? [] : new Array<string>(8 - head.length - tail.length).fill('0');
  const groups = [...head, ...zeroes, ...(tail ?? [])].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

function groupsOf([a, b, c, d]: number[]): string {
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
