// From what a program gives as a filter to what the kernel takes.
import * as errors from '../base/errors.js';
import { type Family, familyOfType, type SocketType } from '../base/family.js';
import { validateString } from '../base/validate.js';
import { filterLanguage } from './load.js';
import type { BpfInstruction, FilterProblem, FilterProgram } from './types.js';

/**
 * What `socket.filter(expression)` gives the kernel, to look at or to change: classic BPF for sockets of this type, which sees a
 * datagram from its UDP header on.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_SOCKET_BAD_TYPE, ERR_INVALID_ARG_VALUE with `position`, the character that is wrong,
 * from 0
 */
export function compileFilter(expression: string, type: SocketType): BpfInstruction[] {
  validateString(expression, 'expression');
  const family = familyOfType(type);
  if (family === undefined) throw errors.badType();
  return compile(expression, 'expression', family).instructions;
}

/** A filter as native code takes it; `name`: the argument that it was. */
export function encodeFilter(filter: unknown, name: string, family: Family): { program: Uint8Array; ofFlows: boolean } {
  if (typeof filter === 'string') {
    const { instructions, ofFlows } = compile(filter, name, family);
    return { program: filterLanguage().encode(instructions), ofFlows };
  }
  if (!Array.isArray(filter)) {
    throw errors.invalidArgType(name, 'of type string, an instance of Array, or null', filter);
  }
  // What they look at is not found out.
  return { program: filterLanguage().encode(checkInstructions(filter, name)), ofFlows: false };
}

function compile(expression: string, name: string, { number }: Family): FilterProgram {
  try {
    return filterLanguage().compile(expression, number);
  } catch (error) {
    const { reason, at } = problemOf(error);
    const place = at === undefined ? '' : ` at character ${at + 1}`;
    throw invalid(name, expression, `is no filter${place}: ${reason}`, at);
  }
}

function checkInstructions(given: readonly unknown[], name: string): BpfInstruction[] {
  try {
    return filterLanguage().checkInstructions(given);
  } catch (error) {
    const { reason, at } = problemOf(error);
    if (at === undefined) throw invalid(name, given, reason, at);
    throw invalid(`${name}[${at}]`, given[at], reason, at);
  }
}

function problemOf(error: unknown): FilterProblem {
  if (typeof (error as Partial<FilterProblem>).reason !== 'string') throw error;
  return error as FilterProblem;
}

function invalid(name: string, value: unknown, reason: string, position: number | undefined): Error {
  return Object.assign(errors.invalidArgValue(name, value, reason, 'argument'), { position });
}
