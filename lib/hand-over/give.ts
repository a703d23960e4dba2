// What the process does that has something to give, whatever it is.
//
//   waits at a path ─knock─▶ decision, state, flows, … ─▶ prepare ─ready─▶ stops ─▶ table ─▶ go ─running─▶ ends
//
// It serves until it has said `table` and `go`, and goes on where no `running` comes, unless the taker has decided that it is its:
// of two processes that are alive one receives.
import { ECANCELED } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { type Channel, kinds } from './channel.js';
import { Decision } from './decision.js';
import { Door } from './door.js';

/** How long a living taker may take to prepare, and then to begin. */
const PREPARING_MS = 10_000;
const BEGINNING_MS = 2_000;

export interface Giver {
  /** Runs the action while nothing changes what is given. `changing`: something is to change it, and waits for the action. */
  exclusively<Result>(action: (changing?: AbortSignal) => Promise<Result>): Promise<Result>;
  /** Says what there is. */
  offer(channel: Channel): Promise<void>;
  /** Receives no more; nothing is lost, it waits in the kernel. Of each socket, how many the kernel has dropped that are counted:
   * those from now on are the taker's. */
  pause(): number[];
  /** Says what has changed since it was offered, and what is only known now. */
  settle(channel: Channel): Promise<void>;
  /** Takes pause() back. */
  goOn(): void | Promise<void>;
  /** Somebody else has it: what was received is delivered, what waits is sent, and then it ends. */
  finish(): Promise<void>;
}

/** Waits at the path until somebody has taken all. Rejects with the reason of `signal`, and where the path cannot be bound; then
 * everything goes on as before. */
export async function give(path: string, giver: Giver, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const door = new Door(path);
  const onAbort = () => door.fail(signal.reason as Error);
  signal.addEventListener('abort', onAbort);
  try {
    for (let given = false; !given; ) {
      const channel = await door.next();
      try {
        given = await giver.exclusively(async (changing) => {
          if (!(await offer(channel, giver, door, { signal, changing }))) return false;
          await giver.finish();
          return true;
        });
      } finally {
        channel.close();
      }
      if (!given) door.open();
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    door.close();
  }
}

/** What takes an offer back: for ever, or until something has changed. */
interface Ending {
  signal: AbortSignal;
  changing: AbortSignal | undefined;
}

// True: it is the other's.
async function offer(channel: Channel, giver: Giver, door: Door, ending: Ending): Promise<boolean> {
  let decision: Decision;
  try {
    decision = Decision.open();
  } catch (error) {
    await refuse(channel, error as Error);
    return false;
  }
  try {
    return (await prepare(channel, giver, decision, ending)) && (await pass(channel, giver, door, decision));
  } finally {
    decision.close();
  }
}

// True: the taker could begin. Until then the offer may be taken back.
async function prepare(
  channel: Channel,
  giver: Giver,
  decision: Decision,
  { signal, changing }: Ending,
): Promise<boolean> {
  const end = changing ? AbortSignal.any([signal, changing]) : signal;
  const onAbort = () => channel.fail(end.reason as Error);
  end.addEventListener('abort', onAbort);
  try {
    end.throwIfAborted();
    await channel.send(kinds.decision, undefined, [decision.fd]);
    await giver.offer(channel);
    await channel.send(kinds.prepare);
    if ((await channel.nextKind(PREPARING_MS)) === kinds.ready) return true;
    decision.claim('giver');
  } catch (error) {
    decision.claim('giver'); // or what closes the channel looks like an end
    if (changing?.aborted && !signal.aborted) await channel.sendLast(kinds.again);
    else await refuse(channel, error as Error);
  } finally {
    end.removeEventListener('abort', onAbort);
  }
  return false;
}

async function pass(channel: Channel, giver: Giver, door: Door, decision: Decision): Promise<boolean> {
  door.close(); // whoever has it all next may wait there at once
  const drops = giver.pause();
  channel.patienceMs = BEGINNING_MS;
  let failure: Error = errors.errnoException(ECANCELED, 'recvmsg');
  try {
    await giver.settle(channel);
    await channel.send(kinds.go, Buffer.from(JSON.stringify({ drops })));
    if ((await channel.nextKind(BEGINNING_MS)) === kinds.running) return true;
  } catch (error) {
    failure = error as Error;
  }
  // Where it has decided and then ended before it received anything, nobody else is there.
  if (!decision.claim('giver') && (decision.hasBegun || !channel.hasEnded)) return true;
  await refuse(channel, failure);
  await giver.goOn();
  return false;
}

/** Tells the other one, if it is there, why nothing becomes of it. */
export async function refuse(channel: Channel, error: Error): Promise<void> {
  await channel.sendLast(kinds.refused, Buffer.from(error.message));
}
