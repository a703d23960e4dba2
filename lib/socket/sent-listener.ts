// When a send's callback is called, and with what.
import { AsyncResource } from 'node:async_hooks';
import * as errors from '../base/errors.js';
import type { SendCallback } from '../base/payload.js';
import { nextTick } from '../base/runtime.js';
import type { SentListener } from '../thread/sender.js';
import type { Place } from './place.js';
import type { Address } from './send-arguments.js';

/** The callback runs in the async context of its send(), one tick after the datagram was handed over, or later if the
 * kernel would not take it then. `atOnce`: see `stage` in sending.ts. Its errors name `address` and `port`. */
export function sentListener(
  place: Place,
  callback: SendCallback,
  atOnce: boolean,
  address: Address,
  port: number | undefined,
): SentListener {
  let resource: AsyncResource;
  let result: number | undefined;
  let late = false;
  const report = () => {
    if (result === undefined) {
      late = true;
      return;
    }
    try {
      if (result >= 0) {
        resource.runInAsyncScope(callback, undefined, null, result);
      } else {
        const error = errors.exceptionWithHostPort(result, 'send', address, port);
        resource.runInAsyncScope(callback as (error: Error) => void, undefined, error);
      }
    } finally {
      resource.emitDestroy();
    }
  };
  nextTick(() => {
    if (place.closed && !atOnce) return; // close() has taken the datagram back: nobody is told
    resource = new AsyncResource('UDPSENDWRAP', { requireManualDestroy: true });
    if (result === undefined) place.thread?.sender.hasten();
    if (atOnce) report();
    else nextTick(report);
  });
  return (known) => {
    result = known;
    if (late) nextTick(report);
  };
}
