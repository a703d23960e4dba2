// Instructions that a program has written itself, checked as the kernel does (bpf_check_classic() and check_load_and_stores()
// of net/core/filter.c), but with words for what is wrong.
import type { BpfInstruction } from '../types.js';
import * as bpf from './operations.js';
import { Problem } from './problem.js';

const { LD, LDX, ST, STX, ALU, JMP, RET, MISC, IMM, ABS, IND, MEM, LEN, MSH, ARITHMETIC, SIZES, K, X } = bpf;

const loads = [ABS, IND].flatMap((mode) => Object.values(SIZES).map((size) => LD | mode | size));
const arithmetic = [K, X].flatMap((source) => Object.values(ARITHMETIC).map((operation) => ALU | operation | source));
const comparisons = [K, X].flatMap((source) =>
  [bpf.JEQ, bpf.JGT, bpf.JGE, bpf.JSET].map((comparison) => JMP | comparison | source),
);
const KNOWN = new Set([
  ...loads,
  ...arithmetic,
  ...comparisons,
  ...[LD | IMM, LD | MEM, LD | LEN, LDX | IMM, LDX | MEM, LDX | LEN, LDX | MSH | SIZES[1], ST, STX],
  ...[ALU | bpf.NEG, JMP | bpf.JA, RET | K, RET | bpf.A, MISC | bpf.TAX, MISC | bpf.TXA],
]);
const COMPARISONS = new Set(comparisons);
const STORES = new Set([ST, STX]);
const READS = new Set([LD | MEM, LDX | MEM]);
const DIVISIONS = new Set([ALU | ARITHMETIC['/'] | K, ALU | ARITHMETIC['%'] | K]);
const SHIFTS = new Set([ALU | ARITHMETIC['<<'] | K, ALU | ARITHMETIC['>>'] | K]);
const PACKET_LOADS = new Set(loads.filter((code) => (code & 0xe0) === ABS));
/** SKF_AD_OFF and SKF_AD_MAX: what the kernel knows beside a datagram, four bytes each. */
const BESIDE = -0x1000 >>> 0;
const BESIDE_END = BESIDE + 64;
const EVERY_CELL = 2 ** bpf.MEMORY_WORDS - 1;

export function checkInstructions(given: readonly unknown[]): BpfInstruction[] {
  if (given.length < 1 || given.length > bpf.INSTRUCTIONS_MAX) {
    throw new Problem(undefined, `has 1 to ${bpf.INSTRUCTIONS_MAX} instructions, not ${given.length}`);
  }
  const instructions = Array.from(given, copyOf);
  instructions.forEach(checkAlone);
  const { code } = instructions[instructions.length - 1];
  if ((code & 0x07) !== RET) throw new Problem(instructions.length - 1, 'is the last one, and returns nothing');
  checkFlow(instructions);
  return instructions;
}

function copyOf(given: unknown, at: number): BpfInstruction {
  const { code, jt, jf, k } = (given ?? {}) as Partial<Record<keyof BpfInstruction, unknown>>;
  const inRange = (name: string, value: unknown, min: number, max: number): number => {
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
    throw new Problem(at, `has a '${name}' that is no integer from ${min} to ${max}`);
  };
  return {
    code: inRange('code', code, 0, 0xffff),
    jt: inRange('jt', jt, 0, 0xff),
    jf: inRange('jf', jf, 0, 0xff),
    k: inRange('k', k, -0x8000_0000, 0xffff_ffff) >>> 0,
  };
}

function checkAlone({ code, k }: BpfInstruction, at: number): void {
  if (!KNOWN.has(code)) throw new Problem(at, `has the code ${code}, which is none of BPF's`);
  if (DIVISIONS.has(code) && k === 0) throw new Problem(at, 'divides by 0');
  if (SHIFTS.has(code) && k > 31) throw new Problem(at, 'shifts by more than 31 bits');
  if (PACKET_LOADS.has(code) && k >= BESIDE && (k >= BESIDE_END || k % 4 !== 0)) {
    throw new Problem(at, 'loads what is beside a datagram, and there is nothing of that number (SKF_AD_OFF)');
  }
  if ((STORES.has(code) || READS.has(code)) && k >= bpf.MEMORY_WORDS) {
    throw new Problem(at, `has a cell of memory that is none of the ${bpf.MEMORY_WORDS}`);
  }
}

/** Jumps lead to instructions, and what is read from memory was stored on every way there. */
function checkFlow(instructions: readonly BpfInstruction[]): void {
  const stored = new Array<number>(instructions.length).fill(EVERY_CELL);
  let now = 0;
  instructions.forEach(({ code, jt, jf, k }, at) => {
    const leadsTo = (skipped: number) => {
      const to = at + 1 + skipped;
      if (to >= instructions.length) throw new Problem(at, `jumps to instruction ${to}, which is not there`);
      stored[to] &= now;
    };
    now &= stored[at];
    if (STORES.has(code)) now |= 1 << k;
    if (READS.has(code) && (now & (1 << k)) === 0)
      throw new Problem(at, `reads M[${k}] before anything is stored there`);
    if (code === (JMP | bpf.JA)) {
      leadsTo(k);
      now = EVERY_CELL;
    } else if (COMPARISONS.has(code)) {
      leadsTo(jt);
      leadsTo(jf);
      now = EVERY_CELL;
    }
  });
}
