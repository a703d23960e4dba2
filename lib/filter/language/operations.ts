// The operations of classic BPF (linux/bpf_common.h, linux/filter.h), and how long a program may be.

/** BPF_MAXINSNS */
export const INSTRUCTIONS_MAX = 4096;
/** BPF_MEMWORDS: cells of M[]. */
export const MEMORY_WORDS = 16;
/** SKF_NET_OFF: from here on a load counts from the IP header. Otherwise it does from UDP's, as a UDP socket's filter sees a
 * datagram. */
export const NETWORK_HEADER = -0x10_0000 >>> 0;

// Classes, and what is said beside them.
export const LD = 0x00;
export const LDX = 0x01;
export const ST = 0x02;
export const STX = 0x03;
export const ALU = 0x04;
export const JMP = 0x05;
export const RET = 0x06;
export const MISC = 0x07;

/** Sizes of a load. */
export const SIZES = { 4: 0x00, 2: 0x08, 1: 0x10 } as const;
export const IMM = 0x00;
export const ABS = 0x20;
export const IND = 0x40;
export const MEM = 0x60;
export const LEN = 0x80;
export const MSH = 0xa0;

export const ARITHMETIC = {
  '+': 0x00,
  '-': 0x10,
  '*': 0x20,
  '/': 0x30,
  '|': 0x40,
  '&': 0x50,
  '<<': 0x60,
  '>>': 0x70,
  '%': 0x90,
  '^': 0xa0,
} as const;
export const NEG = 0x80;

export const JA = 0x00;
export const JEQ = 0x10;
export const JGT = 0x20;
export const JGE = 0x30;
export const JSET = 0x40;

/** The operand is `k`, or X. */
export const K = 0x00;
export const X = 0x08;
/** What RET returns, beside K and X. */
export const A = 0x10;

export const TAX = 0x00;
export const TXA = 0x80;
