// What the process does that takes something over, whatever it is: the other side of give.ts.
import * as errors from '../base/errors.js';
import { type Channel, kinds, type Message } from './channel.js';
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
  /** Receives from now on. */
  start(): void;
  /** Closes what is open. */
  abandon(): void;
}

/** Rejects as send() where nobody waits at the path, with ECONNRESET or ETIMEDOUT where the other ends or hangs before it has said
 * what there is, with ERR_INVALID_STATE where it is something else; then nothing is open. */
export async function take(path: string, taker: Taker): Promise<void> {
  let channel: Channel | undefined;
  try {
    channel = await knock(path);
    await converse(channel, taker);
    taker.start();
  } catch (error) {
    taker.abandon();
    throw error;
  } finally {
    channel?.close();
  }
}

// Returns when the taker may begin.
async function converse(channel: Channel, taker: Taker): Promise<void> {
  let isReady = false;
  for (;;) {
    let message: Message;
    try {
      message = await channel.next(PATIENCE_MS);
    } catch (error) {
      // It has ended, by no fault of ours: what it had is here, as far as it has said so.
      if (isReady && (error as NodeJS.ErrnoException).code === 'ECONNRESET') return;
      throw error;
    }
    const { kind, bytes, fds } = message;
    if (kind === kinds.state) await prepare(channel, taker, message);
    else if (kind === kinds.flows) taker.flows(bytes, fds);
    else if (kind === kinds.table) taker.table(bytes, fds);
    else if (kind === kinds.tallies) taker.tallies(JSON.parse(bytes.toString()));
    else if (kind === kinds.prepare) await channel.send(kinds.ready);
    else if (kind === kinds.refused) throw errors.invalidState(`The other process does not hand over: ${bytes}`);
    isReady ||= kind === kinds.state;
    if (kind !== kinds.go) continue;
    await channel.send(kinds.running); // or it goes on by itself
    return;
  }
}

async function prepare(channel: Channel, taker: Taker, { bytes, fds }: Message): Promise<void> {
  try {
    await taker.prepare(JSON.parse(bytes.toString()), fds);
  } catch (error) {
    await refuse(channel, error as Error);
    throw error;
  }
}
