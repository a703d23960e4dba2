// Who of the two has it. Each of them may hang or end at any moment, and what it has said may come late: so they do not only tell
// each other, they write into one file in memory that both have open, with one position for both. Who has written first has it.
import { readSync, writeSync } from 'node:fs';
import { binding } from '../backend/load.js';
import * as errors from '../base/errors.js';

const marks = { giver: 0x47, taker: 0x54, began: 0x42 } as const;
const MARKS_MAX = 8;

export class Decision {
  readonly fd: number;

  /** The descriptor is this object's. */
  constructor(fd: number) {
    this.fd = fd;
  }

  /** Nobody has it yet. @throws EMFILE, … */
  static open(): Decision {
    const fd = binding.memoryFile(new Uint8Array(0));
    if (fd < 0) throw errors.errnoException(fd, 'memfd_create');
    return new Decision(fd);
  }

  #write(mark: number): void {
    writeSync(this.fd, Uint8Array.of(mark)); // at the position that both have, which moves on with it
  }

  #read(): Uint8Array {
    const written = new Uint8Array(MARKS_MAX);
    return written.subarray(0, readSync(this.fd, written, 0, MARKS_MAX, 0));
  }

  /** False: the other one has it. */
  claim(who: 'giver' | 'taker'): boolean {
    this.#write(marks[who]);
    return this.#read()[0] === marks[who];
  }

  /** The taker, which has it, receives. */
  begin(): void {
    this.#write(marks.began);
  }

  get hasBegun(): boolean {
    return this.#read().includes(marks.began);
  }

  close(): void {
    binding.closeFd(this.fd);
  }
}
