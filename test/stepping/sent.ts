// What has to become of what a socket sends: each datagram leaves once, behind those that it sent to the same place
// before, or it is said why not; who wants to know is told once.
import type { Stats } from '../../build-lib/thread/counters.js';
import { stepping } from './native.js';
import { hashOf } from './payloads.js';
import { fail, world } from './world.js';

/** What the listeners of sends are told that a socket gives up when it closes. */
export const ECANCELED = 125;

interface Send {
  port: number;
  hash: number;
  size: number;
  wantsResult: boolean;
  /** close() may take it back, at this stage. */
  revocable: boolean;
  stage: number;
  takenBack: boolean;
  /** Bytes or -errno; ECANCELED: given up by close(). */
  result?: number;
  left: boolean;
}

export class Sent {
  readonly #sends: Send[] = [];
  readonly #left: { port: number; size: number; hash: number }[] = [];
  #refused = 0; // too long for UDP
  #waitsForDrain = false;

  /** The datagram is staged; returns who is to be told. */
  add(port: number, key: number, size: number, wantsResult: boolean, revocable: boolean): (result: number) => void {
    const send: Send = {
      port,
      size,
      hash: hashOf(key, size),
      wantsResult,
      revocable,
      stage: world.stage,
      takenBack: false,
      left: false,
    };
    this.#sends.push(send);
    return (result) => {
      if (send.takenBack) fail('the result of a send that was taken back is told');
      if (send.result !== undefined) fail('the result of a send is told twice');
      send.result = result;
    };
  }

  /** The latest `count` were not taken. */
  takeBack(count: number): void {
    this.#sends.splice(this.#sends.length - count);
  }

  hasEmpty(port: number): boolean {
    return this.#sends.some((send) => send.port === port && send.size === 0);
  }

  refuse(): void {
    this.#refused++;
  }

  leave(port: number, size: number, hash: number): void {
    this.#left.push({ port, size, hash });
  }

  waitForDrain(): void {
    this.#waitsForDrain = true;
    world.see('waits for drain');
  }

  drained(): void {
    this.#waitsForDrain = false;
    world.see('drained');
  }

  /** Before close(): what has to be taken back. Returns a check, for behind it. */
  revoke(): () => void {
    const taken = this.#sends.filter((send) => send.revocable && send.stage === world.stage);
    for (const send of taken) send.takenBack = true;
    world.see('taken back', taken.length);
    return () => {
      if (taken.some((send) => send.left)) fail('what was taken back has left');
    };
  }

  /** `closed`: what waited, or could still be taken back, may not have left. */
  check(stats: Stats, closed: boolean): void {
    // Where sends are handed over early, those that may be taken back stay (Sender.handOver): the others overtake them.
    const byPort = new Map<number, [Send[], Send[]]>();
    for (const send of this.#sends) {
      const lists = byPort.get(send.port) ?? [[], []];
      byPort.set(send.port, lists);
      lists[send.revocable ? 1 : 0].push(send);
    }
    for (const { port, size, hash } of this.#left) {
      const list = byPort.get(port)?.find((sends) => sends.some((send) => send.hash === hash && send.size === size));
      const send = list?.splice(0, 1 + list.findIndex((each) => each.hash === hash && each.size === size)).pop();
      if (send === undefined) fail(`${size} bytes to port ${port} left twice, too early, or were never sent`);
      else send.left = true;
    }
    const { txDatagrams, txErrors, txDropped, txDeferred } = stats;
    world.see('deferred', txDeferred);
    world.see('joined for the kernel', stats.txGsoSegments);
    world.see('sent again singly', stats.txGsoFallbacks);
    const left = this.#left.length;
    const total = this.#sends.length + this.#refused;
    if (txDatagrams !== left) fail(`txDatagrams is ${txDatagrams}, not ${left}`);
    const lost = total - left - txErrors - txDropped;
    const revocable = closed ? this.#sends.filter((send) => send.revocable && !send.left).length : 0;
    if (lost < 0 || lost > revocable) {
      fail(`${total} sent: ${left} left, ${txErrors} failed, ${txDropped} dropped, ${revocable} may be taken back`);
    }
    for (const send of this.#sends) this.#checkResult(send, closed);
    if (!closed && this.#waitsForDrain) fail('nothing waits to be sent, and it is not told');
  }

  #checkResult({ result, wantsResult, revocable, left, size }: Send, closed: boolean): void {
    if (!wantsResult) return;
    if (result === undefined) {
      if (!closed || left || !revocable) fail('the result of a send is never told');
    } else if (!(closed && result === -ECANCELED) && (left ? result !== size : result >= 0)) {
      fail(`the result of a send of ${size} bytes is ${result}, and it has ${left ? '' : 'not '}left`);
    }
  }
}

/** Gives what has left to whom it belongs. */
export function collectSent(of: (fd: number) => Sent | undefined): void {
  const all = stepping.takeSent();
  for (let i = 0; i < all.length; i += 4) of(all[i])?.leave(all[i + 1], all[i + 2], all[i + 3]);
}
