// Addresses between text and the bytes in a descriptor. Both directions are cached, both caches are bounded.
import { isIP } from 'node:net';
import { D_ADDRESS, PEERS_MAX } from '../backend/layout.js';
import { binding } from '../backend/load.js';
import * as errors from '../base/errors.js';
import { type Family, udp4 } from '../base/family.js';
import { validateString } from '../base/validate.js';

/** An IP literal as descriptors carry it: 16 address bytes and the scope id, as five native-order words. */
export interface ParsedAddress {
  /** `Family.number`. */
  readonly family: number;
  readonly words: Uint32Array;
}

const IPV4 = udp4.number; // its addresses are one word
const PARSED_MAX = 4096;
const parsed: Record<number, Map<string, ParsedAddress | null>> = { 1: new Map(), 4: new Map(), 6: new Map() };
const scratch = new Uint8Array(20);
const scratchWords = new Uint32Array(scratch.buffer);

// Most programs send to the same address again and again.
let lastLiteral = '';
let lastText = '';
let lastFamily: Family | undefined;
let lastParsed: ParsedAddress | null = null;

/** Is this text an IP literal (with or without a zone), so that no name has to be looked up? */
export function isLiteral(text: string): boolean {
  if (text === lastLiteral) return true;
  if (isIP(text) === 0) return false;
  lastLiteral = text;
  return true;
}

/** The literal's bytes, or null when it is no literal of that family. A path's are a number, which native code keeps for it
 * as long as it is in the cache. */
export function parseLiteral(family: Family, text: string): ParsedAddress | null {
  if (text === lastText && family === lastFamily) return lastParsed;
  const { number } = family;
  const cache = parsed[number];
  let result = cache.get(text);
  if (result === undefined) {
    if (cache.size >= PARSED_MAX) {
      cache.clear();
      if (!family.isIp) binding.forgetPaths();
    }
    result = binding.parseAddress(number, text, scratch) === 0 ? { family: number, words: scratchWords.slice() } : null;
    if (family.isIp && text.includes('%')) return result; // an interface of that name can be another one tomorrow
    cache.set(text, result);
  }
  lastText = text;
  lastFamily = family;
  lastParsed = result;
  return result;
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for what is no literal of the family */
export function literal(family: Family, address: unknown, name: string): ParsedAddress {
  validateString(address, name);
  const to = parseLiteral(family, address);
  if (to === null) throw errors.invalidArgValue(name, address, `must be an ${family.name} address`);
  return to;
}

/** Does it stand for every address of the machine? */
export function isAny({ words }: ParsedAddress): boolean {
  return (words[0] | words[1] | words[2] | words[3]) === 0;
}

const WORD = D_ADDRESS >> 2;
const KEY_WORDS = 6;
const PAGE_BITS = 8;
const PAGE = 1 << PAGE_BITS;

/** The text of each peer's address, by the thread's peer id. An id can come to stand for another address, even
 * between two records of one batch, so an entry is used only if its bytes are the record's. */
export class PeerNames {
  // In pages, each made when an id is in it: V8 fills an array, and makes a sparse one a hash table.
  readonly #names: string[][] = new Array(PEERS_MAX >> PAGE_BITS);
  readonly #keys = new Uint32Array(PEERS_MAX * KEY_WORDS);
  #lastWord = 0;
  #lastName = '0.0.0.0';

  /** `at`: the record's first word in `words`. */
  get(words: Uint32Array, at: number, id: number, family: number): string {
    const keys = this.#keys;
    const key = id * KEY_WORDS;
    const first = at + WORD;
    if (keys[key] === words[first] && keys[key + 5] === family) {
      if (family === IPV4) return this.#names[id >> PAGE_BITS][id & (PAGE - 1)];
      if (
        keys[key + 1] === words[first + 1] &&
        keys[key + 2] === words[first + 2] &&
        keys[key + 3] === words[first + 3] &&
        keys[key + 4] === words[first + 4]
      ) {
        return this.#names[id >> PAGE_BITS][id & (PAGE - 1)];
      }
    }
    return this.#format(words, first, id, family);
  }

  #format(words: Uint32Array, first: number, id: number, family: number): string {
    const keys = this.#keys;
    const key = id * KEY_WORDS;
    for (let i = 0; i < 5; i++) keys[key + i] = words[first + i];
    keys[key + 5] = family;
    let name: string;
    if (family === IPV4) {
      // Ports have ids of their own, but many are of one machine.
      if (words[first] !== this.#lastWord) {
        scratchWords[0] = words[first];
        this.#lastWord = words[first];
        this.#lastName = `${scratch[0]}.${scratch[1]}.${scratch[2]}.${scratch[3]}`;
      }
      name = this.#lastName;
    } else {
      for (let i = 0; i < 5; i++) scratchWords[i] = words[first + i];
      name = binding.formatAddress(family, scratch);
    }
    this.#names[id >> PAGE_BITS] ??= new Array(PAGE);
    this.#names[id >> PAGE_BITS][id & (PAGE - 1)] = name;
    return name;
  }
}
