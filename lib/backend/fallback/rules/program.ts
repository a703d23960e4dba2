// Which rule decides about a datagram: the first that matches. Those that say how the payload begins are looked at only
// where its first byte is theirs.
import { holds } from './conditions.js';
import type { Action, Request, Rule, RuleSpec } from './rule.js';

const NONE: number[] = [];

export class Program {
  readonly rules: readonly Rule[];
  readonly otherwise: Action;
  // Indices, ascending.
  readonly #byFirst: number[][] = [];
  readonly #others: number[] = [];

  constructor({ rules, otherwise }: RuleSpec) {
    this.rules = rules;
    this.otherwise = otherwise;
    rules.forEach(({ match: { payload } }, i) => {
      if (payload.length === 0) this.#others.push(i);
      else {
        this.#byFirst[payload[0]] ??= [];
        this.#byFirst[payload[0]].push(i);
      }
    });
  }

  /** The index of the rule that decides, or -1: `otherwise` does. `count` is called for each `count` rule before it. */
  match(request: Request, count: (index: number) => void): number {
    const keyed = (request.payload.length > 0 && this.#byFirst[request.payload[0]]) || NONE;
    const others = this.#others;
    for (let k = 0, o = 0; k < keyed.length || o < others.length; ) {
      const index = o >= others.length || (k < keyed.length && keyed[k] < others[o]) ? keyed[k++] : others[o++];
      const rule = this.rules[index];
      if (!holds(rule.match, request)) continue;
      if (rule.action !== 'count') return index;
      count(index);
    }
    return -1;
  }
}
