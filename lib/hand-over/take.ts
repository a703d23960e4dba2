// What the process does that takes something over, whatever it is: the other side of give.ts.
import { ETIMEDOUT } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { now } from '../base/runtime.js';
import { type Channel, closeAll, kinds, type Message } from './channel.js';
import { Decision } from './decision.js';
import { knock } from './door.js';
import { refuse } from './give.js';

/** How long a living giver may be silent. */
const PATIENCE_MS = 10_000;

export interface Taker {
  /** Opens what comes, short of receiving. The descriptors are its own, whatever becomes of it. */
  prepare(state: unknown, fds: number[]): Promise<void>;
  flows(bytes: Buffer, fds: number[]): void;
  table(bytes: Buffer, fds: number[]): void;
  tallies(counted: unknown): void;
  /** Of each socket so many that the kernel has dropped are counted: see Giver.pause(). */
  drops(counted: readonly unknown[]): void;
  /** Does all that can be refused, while neither receives. */
  settle(): void;
  /** Receives from now on. */
  start(): void;
  /** Closes what is open. `again`: prepare() comes again. */
  abandon(again: boolean): void;
}

/** Rejects as send() where nobody waits at the path, with ECONNRESET or ETIMEDOUT where the other ends or hangs before it has said
 * what there is, with ERR_INVALID_STATE where it is something else; then nothing is open. */
export async function take(path: string, taker: Taker): Promise<void> {
  const until = now() + PATIENCE_MS;
  while (!(await takeOnce(path, taker, () => now() < until)));
}

// False: the giver has something to change first.
async function takeOnce(path: string, taker: Taker, mayRepeat: () => boolean): Promise<boolean> {
  let channel: Channel | undefined;
  const said: Said = { state: false };
  try {
    channel = await knock(path);
    if (!(await converse(channel, taker, said))) {
      if (!mayRepeat()) throw errors.errnoException(ETIMEDOUT, 'recvmsg');
      taker.abandon(true);
      return false;
    }
    begin(taker, said.decision);
    await channel.send(kinds.running).catch(() => {}); // the other one sees it, too, by the file that decides
    return true;
  } catch (error) {
    if (channel !== undefined && !channel.hasEnded) await refuse(channel, error as Error);
    taker.abandon(false);
    throw error;
  } finally {
    channel?.close();
    said.decision?.close();
  }
}

/** What the giver has said. */
interface Said {
  decision?: Decision;
  state: boolean;
}

// True: the taker may begin. False: it may knock again.
async function converse(channel: Channel, taker: Taker, said: Said): Promise<boolean> {
  for (;;) {
    let message: Message;
    try {
      message = await channel.next(PATIENCE_MS);
    } catch (error) {
      // It has ended, by no fault of ours: what it had is here, as far as it has said so.
      if (said.state && said.decision !== undefined && (error as NodeJS.ErrnoException).code === 'ECONNRESET')
        return true;
      throw error;
    }
    const { kind, bytes, fds } = message;
    if (kind === kinds.flows) taker.flows(bytes, fds);
    else if (kind === kinds.table) taker.table(bytes, fds);
    else if (kind === kinds.state && !said.state) {
      said.state = true;
      await taker.prepare(parsed(bytes, fds), fds);
    } else if (kind === kinds.decision && said.decision === undefined && fds.length === 1) {
      said.decision = new Decision(fds[0]);
    } else {
      closeAll(fds); // there are none
      if (kind === kinds.tallies) taker.tallies(parsed(bytes));
      // Where it has ended that is said next.
      else if (kind === kinds.prepare) await channel.send(kinds.ready).catch(() => {});
      else if (kind === kinds.refused) throw errors.invalidState(`The other process does not hand over: ${bytes}`);
      else if (kind === kinds.again) return false;
      else if (kind === kinds.go) {
        heedDrops(taker, bytes);
        return true;
      }
    }
  }
}

function heedDrops(taker: Taker, bytes: Buffer): void {
  const { drops } = parsed(bytes) as { drops?: unknown };
  if (Array.isArray(drops)) taker.drops(drops);
}

function parsed(bytes: Buffer, fds: readonly number[] = []): object {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    if (typeof value === 'object' && value !== null) return value;
  } catch {}
  closeAll(fds);
  throw errors.invalidState('The other process says what cannot be understood');
}

function begin(taker: Taker, decision: Decision | undefined): void {
  if (decision === undefined) throw errors.invalidState('The other process hands nothing over');
  taker.settle();
  // Or it has gone on: we were too slow.
  if (!decision.claim('taker')) throw errors.errnoException(ETIMEDOUT, 'recvmsg');
  taker.start();
  decision.begin();
}
