// Checked rules as bytes for native/core/answer/rules/decode.cc; decode.h describes the format.
import * as errors from '../../base/errors.js';
import { type CheckedRule, checkOtherwise, checkRules, describeRule } from './check.js';
import type { CheckedForward } from './check-action.js';
import type { CheckedKernelMatch } from './check-kernel-match.js';
import type { CheckedMatch } from './check-match.js';
import { type KernelNeeds, needsOf } from './kernel-needs.js';
import type { CheckedNetwork } from './networks.js';
import type { Slot } from './slots.js';
import { type DefaultAction, ENCODED_BYTES_MAX } from './types.js';

const VERSION = 1;
const ACTIONS = ['drop', 'deliver', 'echo', 'count', 'reply', 'forward'] as const;
const PARTS = [
  'literal',
  'request',
  'sourceAddress',
  'sourcePort',
  'ntp',
  'unix',
  'counter',
  'localAddress',
  'ttl',
  'dscp',
  'ecn',
] as const;
const FLAG_EXACT = 1;
const FLAG_PREFIX = 2;
const FLAG_AMPLIFY = 4;
const FLAG_KERNEL = 8;
const TO_THE_END = 0x7fffffff;
const NO_XOR = -1;

export interface EncodedRules {
  /** What `decode_rules()` takes. */
  bytes: Uint8Array;
  /** Of each rule, in order; no two are the same. */
  names: string[];
  /** The forward actions in the order of their rules: `Rule::forward` is an index into them. */
  forwards: CheckedForward[];
  /** What errors call the rules of `forwards`: `rules[3] "dns"`. */
  forwarding: string[];
  /** What the kernel has to say of the datagrams. */
  needs: KernelNeeds;
}

/** Checks rules and encodes them.
 * @throws as `checkRules()`; ERR_OUT_OF_RANGE when they take more than 64 MiB altogether */
export function encodeRules(rules: unknown, otherwise: DefaultAction = 'drop'): EncodedRules {
  const fallback = checkOtherwise(otherwise);
  const checked = checkRules(rules);
  const out = new Writer();
  out.bytes(Buffer.from('ksrl'));
  out.u16(VERSION);
  out.u8(ACTIONS.indexOf(fallback));
  out.u8(0);
  out.u32(checked.length);
  for (const rule of checked) writeRule(out, rule);
  return {
    bytes: out.finish(),
    names: checked.map(({ name }) => name),
    forwards: checked.flatMap(({ action }) => (action.kind === 'forward' ? [action.forward] : [])),
    forwarding: checked.flatMap((rule, i) => (rule.action.kind === 'forward' ? [describeRule(rule, i)] : [])),
    needs: needsOf(checked),
  };
}

function writeRule(out: Writer, { match, action }: CheckedRule): void {
  const amplify = action.kind === 'reply' && action.amplify;
  out.u8(ACTIONS.indexOf(action.kind));
  out.u8(
    (match.kind === 'exact' ? FLAG_EXACT : 0) |
      (match.kind === 'prefix' ? FLAG_PREFIX : 0) |
      (amplify ? FLAG_AMPLIFY : 0) |
      (match.kernel ? FLAG_KERNEL : 0),
  );
  writeMatch(out, match);
  if (action.kind !== 'reply') return;
  out.u16(action.parts.length);
  for (const part of action.parts) writePart(out, part);
}

function writeMatch(out: Writer, { payload, min, max, bits, sources, ports, kernel }: CheckedMatch): void {
  for (const number of [min, max, bits.length, sources.length, ports.length]) out.u16(number);
  out.u32(payload.length);
  out.bytes(payload);
  for (const { at, mask, value } of bits) {
    out.u16(at);
    out.u16(mask.length);
    out.bytes(mask);
    out.bytes(value);
  }
  writeNetworks(out, sources);
  for (const port of ports) out.u16(port);
  if (kernel !== undefined) writeKernel(out, kernel);
}

function writeNetworks(out: Writer, networks: CheckedNetwork[]): void {
  for (const { family, prefixBits, address } of networks) {
    out.u8(family.number);
    out.u8(prefixBits);
    out.bytes(address);
  }
}

function writeKernel(out: Writer, { ttl, dscps, ecns, locals }: CheckedKernelMatch): void {
  out.u8(ttl.min);
  out.u8(ttl.max);
  out.u32(Number(BigInt.asUintN(32, dscps)));
  out.u32(Number(dscps >> 32n));
  out.u8(Number(ecns));
  out.u16(locals.length);
  writeNetworks(out, locals);
}

function writePart(out: Writer, part: Uint8Array | Slot): void {
  if (part instanceof Uint8Array) {
    out.u8(PARTS.indexOf('literal'));
    out.u32(part.length);
    out.bytes(part);
    return;
  }
  out.u8(PARTS.indexOf(part.slot === 'time' ? part.format : part.slot));
  if (part.slot === 'request') {
    out.u32(part.start);
    out.u32(part.end ?? TO_THE_END);
  } else if (part.slot === 'counter') {
    out.u8(part.bytes);
  } else if (part.slot === 'sourceAddress' || part.slot === 'sourcePort' || part.slot === 'localAddress') {
    out.u32(part.xor ?? NO_XOR);
  }
}

/** Little-endian numbers and bytes, in memory that grows. */
class Writer {
  #memory = Buffer.alloc(1024);
  #size = 0;

  u8(value: number): void {
    const at = this.#room(1);
    this.#memory.writeUInt8(value, at);
  }
  u16(value: number): void {
    const at = this.#room(2);
    this.#memory.writeUInt16LE(value, at);
  }
  /** Of negative numbers the two's complement. */
  u32(value: number): void {
    const at = this.#room(4);
    this.#memory.writeUInt32LE(value >>> 0, at);
  }
  bytes(value: Uint8Array): void {
    const at = this.#room(value.length);
    this.#memory.set(value, at);
  }

  /** Exactly what was written, in memory of its own. */
  finish(): Uint8Array {
    return Uint8Array.from(this.#memory.subarray(0, this.#size));
  }

  /** Where the next bytes go. It may put other memory in place of `#memory`. */
  #room(size: number): number {
    const at = this.#size;
    this.#size += size;
    if (this.#size > ENCODED_BYTES_MAX) {
      throw errors.outOfRange('options.rules', `<= ${ENCODED_BYTES_MAX} bytes altogether`, this.#size);
    }
    if (this.#size > this.#memory.length) {
      const larger = Buffer.alloc(Math.max(this.#size, 2 * this.#memory.length));
      larger.set(this.#memory.subarray(0, at));
      this.#memory = larger;
    }
    return at;
  }
}
