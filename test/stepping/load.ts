// In place of lib/backend/load.ts: the stepped addon. The I/O thread may take steps before each call.
import type { Binding } from '../../build-lib/backend/binding.js';
import type { NativeIoThreadOptions, OnLone } from '../../build-lib/backend/contract.js';
import { addon } from './native.js';
import { world } from './world.js';

const calls = ['resume', 'send', 'sendFrom', 'watch', 'unwatch', 'close', 'notifyDrained', 'stop'] as const;

class IoThread extends addon.IoThread {
  constructor(options: NativeIoThreadOptions) {
    super(options);
    world.control = options.control;
  }

  override start(onWake: () => void, onLone: OnLone, resource: { hasRef(): boolean }): number {
    const seen: OnLone = (...told) => {
      const taken = onLone(...told);
      world.see(taken ? 'a lone datagram is taken' : 'a lone datagram is for the ring');
      return taken;
    };
    return super.start(onWake, seen, resource);
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

export const backend = 'addon';
export const binding: Binding = { ...addon, IoThread };
export const engineWanted = '';
