// The original's answer: the same bytes to every datagram, or the datagram itself (native/core/answer/fixed_responder.h).
import type { Outlet } from '../outlet.js';
import type { AnswerKind } from '../protection/loop-guard.js';
import type { Incoming, Responder } from '../responder.js';
import type { Answers } from './answers.js';

export class FixedResponder implements Responder {
  readonly #reply: Uint8Array | undefined;
  readonly #keepBytesMax: number;
  readonly #answers: Answers;
  readonly #kind: AnswerKind;
  readonly #target: Outlet | undefined;

  /** `reply`: undefined for an echo. `target`: what `answers` leave through, if it is one of its own. */
  constructor(reply: Uint8Array | undefined, keepBytesMax: number, answers: Answers, target: Outlet | undefined) {
    this.#reply = reply;
    this.#keepBytesMax = keepBytesMax;
    this.#answers = answers;
    this.#target = target;
    this.#kind = target !== undefined ? 'elsewhere' : reply === undefined ? 'echo' : 'reply';
  }

  answer({ payload, from, port }: Incoming): boolean {
    const source = { host: from, port };
    if (this.#answers.admits(source, payload, this.#kind)) {
      this.#answers.send(source, this.#reply ?? payload.subarray(0, this.#keepBytesMax), this.#kind);
    }
    return true;
  }

  close(): void {
    this.#target?.close();
  }
}
