// What leaves as an answer: asked about loops first (native/core/answer/answers.h).
import { now } from '../../../base/runtime.js';
import type { Outlet } from '../outlet.js';
import type { AnswerKind, LoopGuard, Place } from '../protection/loop-guard.js';

export class Answers {
  readonly #outlet: Outlet;
  readonly #loops: LoopGuard | undefined;

  /** `loops`: undefined where nobody is refused. */
  constructor(outlet: Outlet, loops: LoopGuard | undefined) {
    this.#outlet = outlet;
    this.#loops = loops;
  }

  /** May an answer to what `source` has said leave? To be asked before `send`. */
  admits(source: Place, payload: Uint8Array, kind: AnswerKind): boolean {
    return this.#loops === undefined || this.#loops.admits(source, payload, kind, now());
  }

  /** Of an echo the guard knows already: it says what was asked. */
  send(to: Place, payload: Uint8Array, kind: AnswerKind): void {
    if (kind === 'reply') this.#loops?.said(payload);
    this.#outlet.answer(payload, to.port, to.host.text);
  }
}
