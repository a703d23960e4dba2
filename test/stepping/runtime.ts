// In place of lib/base/runtime.ts: the world's clock, ticks and immediates.
import { world } from './world.js';

export const hasLibuv = true;
export const development = false;

export function nextTick(callback: () => void): void {
  world.nextTick(callback);
}

export interface Immediate {
  ref?(): unknown;
  unref?(): unknown;
}

export function setImmediate(callback: () => void): Immediate {
  world.setImmediate(callback);
  return {};
}

// Of a loop that sleeps; the world's does not.
export function setInterval(): object {
  return {};
}
export function clearInterval(): void {}

export function tickCallback(): void {
  world.runTicks();
}

export function now(): number {
  return world.ms;
}

export const { setTimeout } = globalThis;
export const { getBuiltinModule } = process;

export function detach(): never {
  throw new Error('nothing is detached but in development');
}
