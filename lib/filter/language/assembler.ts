// Writes a program from its end to its beginning, as native/core/bpf/assembler.h does: jumps go forward only, so that where they
// lead is known.
import type { BpfInstruction } from '../types.js';
import { JA, JMP, RET } from './operations.js';

/** An instruction, by how many there are from it to the end of the program. */
export type Label = number;
/** Where a comparison leads: to an instruction, or to the end. */
export type Target = Label | 'accept' | 'reject';

/** How far a comparison can jump. */
const REACH = 0xff;
/** Leaves room for what comes between here and the jump. */
const NEAR = REACH >> 1;
const WHOLE = 0xffff_ffff;

export class Assembler {
  readonly #reversed: BpfInstruction[] = [];
  readonly #verdicts = { accept: 0, reject: 0 };

  /** After which `next` is executed. */
  statement(code: number, k: number, next: Target): Label {
    const label = this.#resolve(next);
    if (this.#distance(label) !== 0) this.#jump(label);
    return this.#put({ code, jt: 0, jf: 0, k });
  }

  branch(comparison: number, k: number, yes: Target, no: Target): Label {
    const whenTrue = this.#within(this.#resolve(yes));
    const whenFalse = this.#within(this.#resolve(no)); // a jump moves the other one an instruction farther away
    return this.#put({ code: JMP | comparison, jt: this.#distance(whenTrue), jf: this.#distance(whenFalse), k });
  }

  /** The program, which begins at `start`. */
  finish(start: Target): BpfInstruction[] {
    const label = this.#resolve(start);
    if (this.#distance(label) !== 0) this.#jump(label);
    return this.#reversed.reverse();
  }

  get length(): number {
    return this.#reversed.length;
  }

  // The instruction that ends the program is shared by all who can reach it.
  #resolve(target: Target): Label {
    if (typeof target === 'number') return target;
    const known = this.#verdicts[target];
    if (known !== 0 && this.#distance(known) <= NEAR) return known;
    const label = this.#put({ code: RET, jt: 0, jf: 0, k: target === 'accept' ? WHOLE : 0 });
    this.#verdicts[target] = label;
    return label;
  }

  #distance(label: Label): number {
    return this.#reversed.length - label;
  }

  #within(label: Label): Label {
    return this.#distance(label) < REACH ? label : this.#jump(label);
  }

  #jump(label: Label): Label {
    return this.#put({ code: JMP | JA, jt: 0, jf: 0, k: this.#distance(label) });
  }

  #put(instruction: BpfInstruction): Label {
    return this.#reversed.push(instruction);
  }
}
