// Clock, ticks and timers as a test runner's fakes leave them: nothing that is scheduled ever comes. node:dgram
// schedules by what process has, and is deaf until the real ones are back.
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers';

const swallow = () => ({ ref() {}, unref() {}, hasRef: () => false });

const targets: [object, string, unknown][] = [
  [process, 'nextTick', swallow],
  [process, 'hrtime', Object.assign(() => [0, 0], { bigint: () => 0n })],
  [performance, 'now', () => 0],
  [Date, 'now', () => 0],
  ...['setImmediate', 'setTimeout', 'setInterval', 'clearImmediate', 'clearTimeout', 'queueMicrotask'].flatMap(
    (name): [object, string, unknown][] => [
      [globalThis, name, swallow],
      [timers, name, swallow],
    ],
  ),
];
const real = targets.map(([target, name]) => Object.getOwnPropertyDescriptor(target, name));

export function fakeTimers(on: boolean): void {
  targets.forEach(([target, name, fake], i) => {
    const descriptor = real[i];
    if (on) Object.defineProperty(target, name, { configurable: true, writable: true, value: fake });
    else if (descriptor !== undefined) Object.defineProperty(target, name, descriptor);
    else delete (target as Record<string, unknown>)[name]; // it is the prototype's
  });
  syncBuiltinESMExports();
}
