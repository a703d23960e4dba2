// Compiles filters. A bundle of its own (scripts/build-ts.mjs): a program that has no filters loads nothing of it.
import type { BpfInstruction, FilterLanguage, FilterProgram } from '../types.js';
import { checkInstructions } from './check.js';
import { Generator } from './generate.js';
import { parse } from './parser.js';
import type { Condition } from './syntax.js';
import { type Test, testOf } from './tests.js';

function compile(expression: string, family: 4 | 6): FilterProgram {
  const condition = parse(expression);
  const ofFlows = isOfFlows(condition);
  const ipv4 = testOf(condition, 4);
  const instructions = generate(ipv4);
  if (family === 4) return { instructions, ofFlows };
  // A dual-stack socket gets IPv4's packets as they are.
  const ipv6 = testOf(condition, 6);
  const same = isSame(instructions, generate(ipv6));
  return { instructions: same ? instructions : generate(ipv4, ipv6), ofFlows };
}

function generate(test: Test, ipv6?: Test): BpfInstruction[] {
  const generator = new Generator();
  const start = generator.test(test, 'accept', 'reject');
  if (ipv6 === undefined) return generator.finish(start);
  return generator.finish(generator.versions(start, generator.test(ipv6, 'accept', 'reject')));
}

function isSame(one: readonly BpfInstruction[], other: readonly BpfInstruction[]): boolean {
  const keys = ['code', 'jt', 'jf', 'k'] as const;
  return one.length === other.length && one.every((each, i) => keys.every((key) => each[key] === other[i][key]));
}

function isOfFlows(condition: Condition): boolean {
  const rest = [condition];
  for (let each = rest.pop(); each !== undefined; each = rest.pop()) {
    if (each.kind === 'relation' || each.kind === 'payload') return false;
    if (each.kind === 'not') rest.push(each.of);
    if (each.kind === 'and' || each.kind === 'or') rest.push(each.left, each.right);
  }
  return true;
}

const INSTRUCTION_BYTES = 8;

/** In this machine's byte order. */
function encode(instructions: readonly BpfInstruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * INSTRUCTION_BYTES);
  const halves = new Uint16Array(bytes.buffer);
  const words = new Uint32Array(bytes.buffer);
  instructions.forEach(({ code, jt, jf, k }, i) => {
    halves[4 * i] = code;
    bytes[INSTRUCTION_BYTES * i + 2] = jt;
    bytes[INSTRUCTION_BYTES * i + 3] = jf;
    words[2 * i + 1] = k;
  });
  return bytes;
}

export const language: FilterLanguage = { compile, checkInstructions, encode };
