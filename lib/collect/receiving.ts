// The socket of a collector: bound, paused while there is no place for what it has, and read to its end.
import { once } from 'node:events';
import { backend } from '../backend/load.js';
import { now } from '../base/runtime.js';
import type { Place } from '../socket/place.js';
import { coreOf, Socket } from '../socket/socket.js';
import type { Batch } from '../thread/batch.js';
import type { ObservedPart } from '../thread/observers.js';
import { untilEmpty } from '../thread/shards.js';
import { dropAll } from '../thread/steering.js';
import type { CheckedCollectorOptions } from './options.js';
import { sleep, within } from './time.js';

const LOOK_MS = 2;

export class Receiving {
  readonly socket: Socket;

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Rejects with what bind() says; then nothing is open. Nothing is received until `begin`. */
  static async bind(options: CheckedCollectorOptions): Promise<Receiving> {
    const socket = new Socket(options.socket);
    // The event loop would look for room in the ring again and again while nobody takes anything out of it; the thread sleeps.
    const { thread } = coreOf(socket).options;
    if (thread !== undefined) thread.sharded = true;
    try {
      const listening = once(socket, 'listening'); // of a given descriptor it comes at once
      socket.bind(options.bind);
      await listening;
    } catch (error) {
      await socket[Symbol.asyncDispose]();
      throw error;
    }
    return new Receiving(socket);
  }

  begin(onBatch: (batch: Batch) => void): void {
    this.socket.on('batch', onBatch);
  }

  #places(): readonly Place[] {
    const core = coreOf(this.socket);
    return core.closed ? [] : [core, ...(core.shards?.others ?? [])];
  }

  /** Its sockets, for who watches them. */
  get parts(): ObservedPart[] {
    return this.#places().flatMap(({ thread, id }) => (thread === undefined ? [] : [{ thread, id }]));
  }

  pause(on: boolean): void {
    for (const place of this.#places()) place.thread?.pause(on);
  }

  /** From now on nothing comes in that has not come yet; resolves when all that has is read, or at `deadline`. */
  async readToEnd(deadline: number): Promise<void> {
    const places = this.#places();
    const filter = { program: dropAll, lock: false, ofFlows: true };
    // Where the kernel takes no filter, what is in its buffer stays there.
    const filtered = places.filter((place) => {
      if (backend !== 'dgram' && place.running().changing().setFilter(place.id, filter) === 0) return true;
      place.running().changing().unwatch(place.id);
      return false;
    });
    const read = Promise.all(filtered.map((place) => untilEmpty(place)));
    await within(deadline - now(), read);
    await sleep(LOOK_MS); // the thread puts what it has read into the ring
    while (now() < deadline && this.#places().some((place) => place.thread?.waiting(place.id))) await sleep(LOOK_MS);
  }

  close(): Promise<void> {
    return this.socket[Symbol.asyncDispose]();
  }
}
