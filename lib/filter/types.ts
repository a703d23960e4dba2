// What a filter is made of, for both halves of this room: the language, which is loaded when a program first uses it, and what
// loads it.

/** An instruction of classic BPF, `struct sock_filter` of linux/filter.h. */
export interface BpfInstruction {
  /** What to do: an operation of linux/bpf_common.h, 0 to 65 535. */
  code: number;
  /** How many instructions a comparison that holds skips, 0 to 255. */
  jt: number;
  /** How many one that does not hold skips, 0 to 255. */
  jf: number;
  /** The operand, 32 bits; negative numbers are two's complement, as the SKF_ offsets. */
  k: number;
}

export interface FilterProgram {
  instructions: BpfInstruction[];
  /** Does it look at nothing but what all datagrams have in common that the kernel joins (UDP_GRO, udp(7)): addresses, ports
   * and the version of IP? */
  ofFlows: boolean;
}

/** lib/filter/language/index.ts, which is a bundle of its own. */
export interface FilterLanguage {
  /** @throws FilterProblem */
  compile(expression: string, family: 4 | 6): FilterProgram;
  /** A copy of them, checked as the kernel does. @throws FilterProblem */
  checkInstructions(given: readonly unknown[]): BpfInstruction[];
  /** As the kernel takes it: an array of `struct sock_filter`. */
  encode(instructions: readonly BpfInstruction[]): Uint8Array;
}

/** What is wrong, and where. Not one of Node's errors: those have the house's words and are made outside of the language. */
export interface FilterProblem {
  reason: string;
  /** The character of an expression, or the instruction, counted from 0; undefined where it is about all of it. */
  at: number | undefined;
}
