// The pieces of a reply that depend on the request. Plain frozen objects: rules can be written by hand, and kept as JSON
// where their payloads are text.
import { backend } from '../../backend/load.js';
import * as errors from '../../base/errors.js';
import { refuseUnknown } from '../../base/known-keys.js';
import { isRecord, validateInteger, validateObject, validateOneOf } from '../../base/validate.js';

const OFFSET_MAX = 65_535;

/** The request's own bytes, as `slot.request()` makes it. */
export interface RequestSlot {
  /** The kind of slot. */
  readonly slot: 'request';
  /** The first byte, -65 535 to 65 535; a negative one counts from the end. */
  readonly start: number;
  /** Where it stops, exclusive, -65 535 to 65 535. Not given: at the end. */
  readonly end?: number;
}

/** Where the request came from, as `slot.sourceAddress()` and `slot.sourcePort()` make it. */
export interface SourceSlot {
  /** The kind of slot. */
  readonly slot: 'sourceAddress' | 'sourcePort';
  /** Offset of the request's bytes that it is combined with, see {@link XorOptions}. */
  readonly xor?: number;
}

/** When the request was received, as `slot.time()` makes it. */
export interface TimeSlot {
  /** The kind of slot. */
  readonly slot: 'time';
  /** `ntp`: seconds since 1900 and their fraction, 32 bits each; `unix`: nanoseconds since 1970, 64 bits. */
  readonly format: 'ntp' | 'unix';
}

/** How many replies the rule has made before, as `slot.counter()` makes it. */
export interface CounterSlot {
  /** The kind of slot. */
  readonly slot: 'counter';
  /** Its length. */
  readonly bytes: 1 | 2 | 4 | 8;
}

/** The address that was asked, as `slot.localAddress()` makes it. */
export interface LocalSlot {
  /** The kind of slot. */
  readonly slot: 'localAddress';
  /** Offset of the request's bytes that it is combined with, see {@link XorOptions}. */
  readonly xor?: number;
}

/** What the request's IP header said, as `slot.ttl()`, `slot.dscp()` and `slot.ecn()` make it. */
export interface HeaderSlot {
  /** The kind of slot. */
  readonly slot: 'ttl' | 'dscp' | 'ecn';
}

/** A piece of a reply that depends on the request. {@link slot} makes them; as plain objects they do as well. */
export type Slot = RequestSlot | SourceSlot | TimeSlot | CounterSlot | LocalSlot | HeaderSlot;

/** What `slot.sourceAddress()` and `slot.sourcePort()` take. */
export interface XorOptions {
  /** XOR with the request's bytes from this offset on, 0 to 65 535: STUN's XOR-MAPPED-ADDRESS (RFC 8489, section 14.2).
   * Bytes that the request does not have count as 0. */
  xor?: number;
}

function sourceSlot(slot: 'sourceAddress' | 'sourcePort', options: XorOptions): SourceSlot {
  const { xor } = options;
  if (xor === undefined) return Object.freeze({ slot });
  validateInteger(xor, 'options.xor', 0, OFFSET_MAX);
  return Object.freeze({ slot, xor });
}

function localSlot({ xor }: XorOptions): LocalSlot {
  needAddon('localAddress');
  if (xor === undefined) return Object.freeze({ slot: 'localAddress' });
  validateInteger(xor, 'options.xor', 0, OFFSET_MAX);
  return Object.freeze({ slot: 'localAddress', xor });
}

function headerSlot(slot: HeaderSlot['slot']): HeaderSlot {
  needAddon(slot);
  return Object.freeze({ slot });
}

/** node:dgram does not pass on what the kernel says. */
function needAddon(name: string): void {
  if (backend === 'dgram') throw errors.needsAddon(`slot.${name}()`);
}

function checkXorOptions(options: XorOptions): XorOptions {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', ['xor']);
  return options;
}

/** Makes the pieces of a reply that depend on the request.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE; ERR_KSOCKET_NEEDS_ADDON from localAddress(), ttl(),
 * dscp() and ecn() without the addon */
export const slot = Object.freeze({
  /** The request's bytes from `start` to `end` as `Array.prototype.slice()` has it: `end` is exclusive, negative offsets
   * (-65 535 to 65 535) count from the end, and what the request does not have is left out. All of it by default. */
  request(start = 0, end?: number): RequestSlot {
    validateInteger(start, 'start', -OFFSET_MAX, OFFSET_MAX);
    if (end === undefined) return Object.freeze({ slot: 'request', start });
    validateInteger(end, 'end', -OFFSET_MAX, OFFSET_MAX);
    return Object.freeze({ slot: 'request', start, end });
  },
  /** The address that the request came from in network order: 4 bytes, or 16 of an IPv6 address that is not an
   * IPv4-mapped one. */
  sourceAddress: (options: XorOptions = {}): SourceSlot => sourceSlot('sourceAddress', checkXorOptions(options)),
  /** The port that the request came from: 2 bytes in network order. */
  sourcePort: (options: XorOptions = {}): SourceSlot => sourceSlot('sourcePort', checkXorOptions(options)),
  /** When the request was received, 8 bytes in network order. `ntp`: seconds since 1900 and their fraction, 32 bits each
   * (RFC 5905, section 6). `unix`: nanoseconds since 1970. */
  time(format: 'ntp' | 'unix'): TimeSlot {
    validateOneOf(format, 'format', ['ntp', 'unix']);
    return Object.freeze({ slot: 'time', format });
  },
  /** How many replies this rule has made before, modulo what 1, 2, 4 or 8 bytes hold, in network order. */
  counter(bytes: 1 | 2 | 4 | 8): CounterSlot {
    validateOneOf(bytes, 'bytes', [1, 2, 4, 8]);
    return Object.freeze({ slot: 'counter', bytes });
  },
  /** The address that was asked in network order, 4 or 16 bytes as `sourceAddress()`. */
  localAddress: (options: XorOptions = {}): LocalSlot => localSlot(checkXorOptions(options)),
  /** How many hops the request had left, IPv4's time to live or IPv6's hop limit: 1 byte. */
  ttl: (): HeaderSlot => headerSlot('ttl'),
  /** The request's DSCP, 0 to 63: 1 byte. */
  dscp: (): HeaderSlot => headerSlot('dscp'),
  /** The request's ECN bits, 0 to 3: 1 byte. */
  ecn: (): HeaderSlot => headerSlot('ecn'),
});

const KEYS: Record<Slot['slot'], readonly string[]> = {
  request: ['start', 'end'],
  sourceAddress: ['xor'],
  sourcePort: ['xor'],
  time: ['format'],
  counter: ['bytes'],
  localAddress: ['xor'],
  ttl: [],
  dscp: [],
  ecn: [],
};

/** The slot again, made by the function that checks it; undefined when the value is no slot. */
export function checkSlot(value: unknown): Slot | undefined {
  if (!isRecord(value)) return undefined;
  const given = value as Slot;
  if (Object.hasOwn(KEYS, given.slot)) refuseUnknown(value, 'slot', ['slot', ...KEYS[given.slot]]);
  switch (given.slot) {
    case 'request':
      return slot.request(given.start, given.end);
    case 'sourceAddress':
    case 'sourcePort':
      return sourceSlot(given.slot, given);
    case 'time':
      return slot.time(given.format);
    case 'counter':
      return slot.counter(given.bytes);
    case 'localAddress':
      return localSlot(given);
    case 'ttl':
    case 'dscp':
    case 'ecn':
      return headerSlot(given.slot);
    default:
      return undefined;
  }
}
