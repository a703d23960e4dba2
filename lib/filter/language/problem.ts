// What is wrong with a filter, and where.
import type { FilterProblem } from '../types.js';

export class Problem extends Error implements FilterProblem {
  readonly reason: string;
  readonly at: number | undefined;

  constructor(at: number | undefined, reason: string) {
    super(reason);
    this.reason = reason;
    this.at = at;
  }
}
