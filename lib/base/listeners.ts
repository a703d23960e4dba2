// What an emitter does when its listeners change.
import { EventEmitter } from 'node:events';

const METHODS = ['on', 'addListener', 'prependListener', 'off', 'removeListener', 'removeAllListeners'] as const;

/** Every method that changes the listeners of such an emitter then calls this. */
export function whenListenersChange<Emitter extends object>(
  prototype: Emitter,
  look: (emitter: Emitter) => void,
): void {
  for (const name of METHODS) {
    const original = EventEmitter.prototype[name] as (...args: unknown[]) => unknown;
    Object.defineProperty(prototype, name, {
      configurable: true,
      writable: true,
      value(this: Emitter, ...args: unknown[]) {
        const result = original.apply(this, args);
        look(this);
        return result;
      },
    });
  }
}
