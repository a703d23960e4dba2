// In place of lib/backend/load.ts: the stepped addon. The I/O thread may take steps before each call.
import type { Binding } from '../../build-lib/backend/binding.js';
import type { NativeIoThreadOptions, OnLone, OnLoneBatch } from '../../build-lib/backend/contract.js';
import { CHUNKS } from '../../build-lib/backend/layout.js';
import { OwnedPayloads } from '../../build-lib/thread/payloads.js';
import { ReceivedRecords } from '../../build-lib/thread/records.js';
import { addon } from './native.js';
import { world } from './world.js';

const calls = ['resume', 'send', 'sendFrom', 'watch', 'unwatch', 'close', 'notifyDrained', 'stop'] as const;

class IoThread extends addon.IoThread {
  #given = 0;

  constructor(options: NativeIoThreadOptions) {
    super(options);
    world.control = options.control;
  }

  override start(
    onWake: () => void,
    onLone: OnLone,
    onLoneBatch: OnLoneBatch,
    resource: { hasRef(): boolean },
  ): number {
    const seen: OnLone = (...told) => {
      const taken = onLone(...told);
      world.see(taken ? 'a lone datagram is taken' : 'a lone datagram is for the ring');
      return taken;
    };
    const seenBatch: OnLoneBatch = (...told) => {
      const taken = onLoneBatch(...told);
      if (taken) world.see('a lone datagram is taken as a batch');
      return taken;
    };
    return super.start(onWake, seen, seenBatch, resource);
  }

  override giveChunk(chunks: ArrayBuffer[], place: number, id: number): number {
    world.point();
    // The first ones are in exchange for none.
    if (place < CHUNKS && ++this.#given > CHUNKS) world.see('received into memory of a listener');
    return super.giveChunk?.(chunks, place, id) ?? 0;
  }
}
for (const name of calls) {
  const call = addon.IoThread.prototype[name] as (...args: unknown[]) => unknown;
  Object.defineProperty(IoThread.prototype, name, {
    value(this: IoThread, ...args: unknown[]) {
      world.point();
      if (name === 'send' || name === 'sendFrom') world.stage++;
      return call.apply(this, args);
    },
  });
}

OwnedPayloads.ownFirst = 2; // a schedule has few

const { leaveChunk } = ReceivedRecords.prototype;
ReceivedRecords.prototype.leaveChunk = function (at) {
  world.see('given up for the ring');
  leaveChunk.call(this, at);
};

export const backend = 'addon';
export const binding: Binding = { ...addon, IoThread };
export const engineWanted = '';
