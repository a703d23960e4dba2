// What a program's listeners do is the program's.
import { nextTick } from './runtime.js';

function raise(error: unknown): never {
  throw error;
}

/** Runs `emit`, which calls listeners. What one of them throws is uncaught, as where Node calls them, and changes nothing for who
 * emits: of a start that has succeeded a listener makes no failure. */
export function emitAsNode(emit: () => void): void {
  try {
    emit();
  } catch (error) {
    nextTick(raise, error);
  }
}
