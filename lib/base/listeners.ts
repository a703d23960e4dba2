// What an emitter does when its listeners change.
import { EventEmitter } from 'node:events';

const METHODS = ['on', 'addListener', 'prependListener', 'off', 'removeListener', 'removeAllListeners'] as const;

/** Every method that changes the listeners of such an emitter then calls this, with the event; undefined: of any. */
export function whenListenersChange<Emitter extends object>(
  prototype: Emitter,
  look: (emitter: Emitter, event: string | symbol | undefined) => void,
): void {
  for (const name of METHODS) {
    const value = function (this: Emitter, ...args: [event?: string | symbol, ...unknown[]]) {
      try {
        return (EventEmitter.prototype[name] as (...args: unknown[]) => unknown).apply(this, args);
      } finally {
        look(this, args[0]); // also where a listener for 'newListener' or 'removeListener' throws
      }
    };
    Object.defineProperties(value, { name: { value: name }, length: { value: EventEmitter.prototype[name].length } });
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true, enumerable: true });
  }
}
