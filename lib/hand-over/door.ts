// Where a giver waits for takers: a local socket at a path that both know, to which a taker sends its ends of a channel.
import { statSync } from 'node:fs';
import { binding } from '../backend/load.js';
import { EACCES } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { pathError } from '../unix/options.js';
import { UnixSocket } from '../unix/socket.js';
import { Channel, closeAll, isKnock, isTrusted } from './channel.js';

/** Of those who may send to the path, only this process's user may send. */
const MODE = 0o600;
/** Takers and givers of different versions: what a taker sends. */
const KNOCK = 'ksocket hand-over 1';

/** A giver's. */
export class Door {
  readonly #path: string;
  #socket: UnixSocket | undefined;
  #knocks: number[][] = [];
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /** @throws as bindSync() */
  constructor(path: string) {
    this.#path = path;
    this.open();
  }

  open(): void {
    if (this.#socket !== undefined) return;
    const socket = new UnixSocket({ type: 'unix_dgram', receiveCredentials: true, receiveDescriptors: true });
    const mode = this.#path.startsWith('\0') ? undefined : MODE;
    try {
      socket.bindSync({ path: this.#path, mode, replaceStale: true });
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.on('error', (error) => this.fail(error));
    socket.on('message', (data, rinfo) => {
      if (data.toString() === KNOCK && isKnock(rinfo)) this.#knocks.push(rinfo.descriptors as number[]);
      else closeAll(rinfo.descriptors ?? []);
      this.#wake?.();
    });
    socket.unref(); // what is given keeps the program running, or does not
    this.#socket = socket;
  }

  /** Of who has knocked. Rejects with what fail() was given. */
  async next(): Promise<Channel> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const knock = this.#knocks.shift();
      if (knock !== undefined) {
        try {
          return new Channel(knock[0], knock[1]);
        } catch {
          continue; // these are no sockets
        }
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  /** Another process may wait there from now on. */
  close(): void {
    for (const knock of this.#knocks.splice(0)) closeAll(knock);
    this.#socket?.close();
    this.#socket = undefined;
  }
}

function pair(stream: boolean): Int32Array {
  const fds = binding.socketPair(stream);
  if (typeof fds === 'number') throw errors.errnoException(fds, 'socketpair');
  return fds;
}

/** A taker's: the channel to whoever waits at the path.
 * Rejects as send(): ENOENT, ECONNREFUSED (nobody waits there), EACCES, also of what is another user's. */
export async function knock(path: string): Promise<Channel> {
  // What somebody else says there would not be heard, and waited for.
  const there = path.startsWith('\0') ? undefined : statSync(path, { throwIfNoEntry: false });
  if (there !== undefined && !isTrusted(there.uid)) throw pathError(EACCES, 'send', path);
  const datagrams = pair(false);
  let stream: Int32Array;
  try {
    stream = pair(true);
  } catch (error) {
    closeAll([...datagrams]);
    throw error;
  }
  const channel = new Channel(datagrams[0], stream[0]);
  const socket = new UnixSocket({ type: 'unix_dgram' });
  const descriptors = [datagrams[1], stream[1]];
  try {
    await new Promise<void>((resolve, reject) => {
      socket.send(KNOCK, { path, descriptors }, (error) => (error ? reject(error) : resolve()));
      closeAll(descriptors.splice(0)); // it has copies; a worker may be ended while it waits
    });
    return channel;
  } catch (error) {
    channel.close();
    throw error;
  } finally {
    socket.close();
    closeAll(descriptors);
  }
}
