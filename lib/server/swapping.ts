// What a server answers by, and whom, swapped while it runs: rules, lists and limits. Calls that come while others load are one:
// compiling and loading for the kernel takes up to half a second, and what is not the latest by then nobody would meet.
import type { NativeForward } from '../backend/contract.js';
import { askKernelNoMore } from './ask-kernel.js';
import type { ServerInside } from './inside.js';
import type { CheckedServerOptions } from './options.js';
import type { ServerPart } from './part.js';
import { resolveForwards } from './places.js';
import type { CheckedProtection } from './protection.js';
import type { Resizing } from './resizing.js';
import type { EncodedRules } from './rules/encode.js';

/** What a call is given, or several are, one over the other. */
interface Change {
  rules?: EncodedRules;
  /** With rules: what names have been looked up for them. */
  forwards?: NativeForward[];
  protection?: CheckedProtection;
}

const done: PromiseSettledResult<void> = { status: 'fulfilled', value: undefined };

export class Swapping {
  readonly #server: ServerInside;
  readonly #resizing: Resizing;

  constructor(server: ServerInside, resizing: Resizing) {
    this.#server = server;
    this.#resizing = resizing;
  }

  /** Resolves when what is given is in force, or what came behind it and has taken its place.
   * @throws what is refused: of it there is nothing in force then */
  change(change: Change): Promise<void> {
    return this.#server.turns.gather(change, (changes) => this.#all(changes));
  }

  // What is wrong with the targets of one is its own, also where another one takes its place.
  async #all(changes: readonly Change[]): Promise<PromiseSettledResult<void>[]> {
    const results = await Promise.allSettled(changes.map((change) => this.#lookUp(change)));
    const right = changes.flatMap((_, i) => (results[i].status === 'fulfilled' ? [i] : []));
    const changeOf = (i: number) => (results[i] as PromiseFulfilledResult<Change>).value;
    const latest: Change = Object.assign({}, ...right.map(changeOf));
    const said = right.length > 0 ? await this.#tried(latest) : done;
    const all = results.map((result) => (result.status === 'fulfilled' ? said : result));
    if (said.status === 'fulfilled' || right.length === 1) return all;
    // Who has given what was refused is to hear of it, and nobody else.
    for (const i of right) all[i] = await this.#tried(changeOf(i));
    return all;
  }

  async #lookUp(change: Change): Promise<Change> {
    const { rules } = change;
    if (rules === undefined) return change;
    const forwards = await resolveForwards(rules);
    for (const part of this.#parts) part.refuseOwn(rules, forwards);
    return { ...change, forwards };
  }

  async #tried(change: Change): Promise<PromiseSettledResult<void>> {
    const [result] = await Promise.allSettled([this.#set(change)]);
    return result;
  }

  async #set({ rules, forwards = [], protection }: Change): Promise<void> {
    const changed: Partial<CheckedServerOptions> = {};
    if (rules !== undefined) changed.answering = { by: 'rules', rules };
    if (protection !== undefined) changed.protection = protection;
    const commit = await this.#server.kernel.prepare({ ...this.#server.options(), ...changed });
    if (rules !== undefined && this.#server.parts().length > 0) this.#swapRules(rules, forwards);
    if (protection !== undefined) this.#protect(protection);
    commit();
    this.#server.become(changed, this.#server.guarded());
  }

  #protect(protection: CheckedProtection): void {
    const count = this.#server.parts().length;
    this.#parts.forEach((part, i) => {
      part.protect(protection, i, count);
    });
  }

  // Whichever rules hold afterwards, the kernel is asked for what they need, and for no more.
  #swapRules(rules: EncodedRules, forwards: NativeForward[]): void {
    const { answering } = this.#server.options();
    const present = answering.by === 'rules' ? answering.rules : rules;
    const parts = this.#parts;
    try {
      for (const part of parts) part.prepareRules(rules, forwards); // which can be refused
      for (const part of parts) part.setRules(rules, forwards);
    } catch (error) {
      for (const { thread, id } of parts) askKernelNoMore(thread, id, rules, present);
      throw error;
    }
    for (const { thread, id } of parts) askKernelNoMore(thread, id, present, rules);
    this.#resizing.heed(rules.names, forwards);
  }

  // In the kernel's order.
  get #parts(): readonly ServerPart[] {
    return [...this.#server.parts(), ...this.#resizing.leaving];
  }
}
