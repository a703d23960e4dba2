// From tests to instructions. Everything is written from its end: each function gets where to go on, and returns where what it has
// written begins.

import type { BpfInstruction } from '../types.js';
import { Assembler, type Label, type Target } from './assembler.js';
import * as bpf from './operations.js';
import { Problem } from './problem.js';
import type { Relation } from './syntax.js';
import type { Test, Value } from './tests.js';

/** Where a value that is not there leads to. */
type Missing = Target;

/** Each relation as a comparison that BPF has, and whether it is its contrary. */
const COMPARISONS: Record<Relation, [comparison: number, negated: boolean]> = {
  '=': [bpf.JEQ, false],
  '!=': [bpf.JEQ, true],
  '>': [bpf.JGT, false],
  '<=': [bpf.JGT, true],
  '>=': [bpf.JGE, false],
  '<': [bpf.JGE, true],
};
const MIRRORED: Record<Relation, Relation> = { '=': '=', '!=': '!=', '>': '<', '<': '>', '>=': '<=', '<=': '>=' };

/** Four bits of the first byte: the header's length in words of four bytes. */
const HEADER_WORDS = 0x0f;

export class Generator {
  readonly #out = new Assembler();

  /** Down to the left, tests are as deep as there are conditions. */
  test(test: Test, whenTrue: Target, whenFalse: Target): Target {
    let rest = test;
    let [yes, no] = [whenTrue, whenFalse];
    for (;;) {
      if (this.#out.length > bpf.INSTRUCTIONS_MAX) tooLong();
      switch (rest.kind) {
        case 'constant':
          return rest.value ? yes : no;
        case 'not':
          [yes, no] = [no, yes];
          rest = rest.of;
          break;
        case 'and':
          yes = this.test(rest.right, yes, no);
          rest = rest.left;
          break;
        case 'or':
          no = this.test(rest.right, yes, no);
          rest = rest.left;
          break;
        case 'compare':
          return this.#compare(rest, yes, no);
      }
    }
  }

  /** Asks for the version of IP. */
  versions(ipv4: Target, ipv6: Target): Label {
    const branch = this.#out.branch(bpf.JEQ, 0x40, ipv4, ipv6);
    const masked = this.#out.statement(bpf.ALU | bpf.ARITHMETIC['&'], 0xf0, branch);
    return this.#out.statement(bpf.LD | bpf.ABS | bpf.SIZES[1], bpf.NETWORK_HEADER, masked);
  }

  finish(start: Target): BpfInstruction[] {
    const instructions = this.#out.finish(start);
    if (instructions.length > bpf.INSTRUCTIONS_MAX) tooLong();
    return instructions;
  }

  #compare(test: Extract<Test, { kind: 'compare' }>, yes: Target, no: Target): Label {
    const isMirrored = test.left.kind === 'number';
    const [left, right] = isMirrored ? [test.right, test.left] : [test.left, test.right];
    const [comparison, negated] = COMPARISONS[isMirrored ? MIRRORED[test.relation] : test.relation];
    const [whenTrue, whenFalse] = negated ? [no, yes] : [yes, no];
    if (right.kind === 'number') {
      return this.#value(left, 0, this.#out.branch(comparison | bpf.K, right.value, whenTrue, whenFalse), no);
    }
    return this.#both(left, right, 0, this.#out.branch(comparison | bpf.X, 0, whenTrue, whenFalse), no, 0);
  }

  /** Leaves it in A. `depth`: how many cells of M[] are in use. */
  #value(value: Value, depth: number, next: Label, missing: Missing): Label {
    const out = this.#out;
    switch (value.kind) {
      case 'number':
        return out.statement(bpf.LD | bpf.IMM, value.value, next);
      case 'length':
        return out.statement(bpf.LD | bpf.LEN, 0, next);
      case 'load': {
        const load = out.statement(bpf.LD | bpf.ABS | bpf.SIZES[value.size], value.offset, next);
        if (value.needed === undefined) return load;
        const { of, end } = value.needed;
        return this.#lengthOf(of, out.branch(bpf.JGE | bpf.K, end, load, missing));
      }
      case 'indexed':
        return this.#indexed(value, depth, next, missing);
      case 'arithmetic': {
        const operation = bpf.ALU | bpf.ARITHMETIC[value.operator];
        if (value.right.kind === 'number') {
          return this.#value(value.left, depth, out.statement(operation | bpf.K, value.right.value, next), missing);
        }
        const label = out.statement(operation | bpf.X, 0, next);
        const divides = value.operator === '/' || value.operator === '%';
        return this.#both(value.left, value.right, depth, label, missing, value.at, divides);
      }
    }
  }

  /** Leaves them in A and X. */
  #both(left: Value, right: Value, depth: number, next: Label, missing: Missing, at: number, divides = false): Label {
    if (depth === bpf.MEMORY_WORDS) throw new Problem(at, `more than ${depth} numbers would have to be kept in mind`);
    const out = this.#out;
    let label = out.statement(bpf.LD | bpf.MEM, depth, next);
    label = out.statement(bpf.MISC | bpf.TAX, 0, label);
    if (divides) label = out.branch(bpf.JEQ | bpf.K, 0, missing, label);
    label = this.#value(right, depth + 1, label, missing);
    return this.#value(left, depth, out.statement(bpf.ST, depth, label), missing);
  }

  // The index is in X while it is looked whether so many bytes are there.
  #indexed(value: Extract<Value, { kind: 'indexed' }>, depth: number, next: Label, missing: Missing): Label {
    const out = this.#out;
    const { offset, size, index, end } = value;
    const load = out.statement(bpf.LD | bpf.IND | bpf.SIZES[size], offset, next);
    let label = out.branch(bpf.JGE | bpf.X, 0, load, missing);
    if (typeof end === 'number') {
      label = out.statement(bpf.LD | bpf.IMM, end - size, label);
    } else {
      const least = (end === 'datagram' ? offset : 0) + size;
      label = out.statement(bpf.ALU | bpf.ARITHMETIC['-'], least, label);
      label = this.#lengthOf(end, out.branch(bpf.JGE | bpf.K, least, label, missing));
    }
    return this.#value(index, depth, out.statement(bpf.MISC | bpf.TAX, 0, label), missing);
  }

  #lengthOf(what: 'datagram' | 'ipv4 header', next: Label): Label {
    const out = this.#out;
    if (what === 'datagram') return out.statement(bpf.LD | bpf.LEN, 0, next);
    let label = out.statement(bpf.ALU | bpf.ARITHMETIC['<<'], 2, next);
    label = out.statement(bpf.ALU | bpf.ARITHMETIC['&'], HEADER_WORDS, label);
    return out.statement(bpf.LD | bpf.ABS | bpf.SIZES[1], bpf.NETWORK_HEADER, label);
  }
}

function tooLong(): never {
  throw new Problem(undefined, `it makes more than the ${bpf.INSTRUCTIONS_MAX} instructions that a filter has at most`);
}
