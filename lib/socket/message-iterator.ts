// `for await (const { data, address, port } of socket)`: a queue between events and a loop.
import type { EventEmitter } from 'node:events';
import type { RemoteInfo } from '../thread/endpoint.js';
import type { SocketEvents } from './types.js';

/** One datagram of a loop over a socket. `data` is the loop's own. */
export interface ReceivedDatagram extends RemoteInfo {
  /** The payload. */
  data: Buffer;
}

/** More than this waiting for the loop are dropped, newest first, and counted in `stats().rxQueueDrops`. */
const QUEUE_DATAGRAMS_MAX = 65536;

/** Ends when the socket closes, throws its 'error'. `onDrop` runs for each datagram that found the queue full. */
export function iterateMessages(
  socket: EventEmitter<SocketEvents>,
  closed: boolean,
  onDrop: (datagram: ReceivedDatagram) => void,
): AsyncIterableIterator<ReceivedDatagram, undefined> {
  let queue: ReceivedDatagram[] = [];
  let first = 0; // index in the queue of the first datagram that is not taken
  let ended = closed;
  let failure: Error | undefined;
  let waiting: PromiseWithResolvers<ReceivedDatagram | undefined>[] = [];

  const onMessage = (data: Buffer, rinfo: RemoteInfo) => {
    const datagram = { data, ...rinfo };
    const taker = waiting.shift();
    if (taker !== undefined) taker.resolve(datagram);
    else if (queue.length - first < QUEUE_DATAGRAMS_MAX) queue.push(datagram);
    else onDrop(datagram);
  };
  const end = () => {
    ended = true;
    socket.off('message', onMessage);
    socket.off('error', onError);
    socket.off('close', end);
    for (const taker of waiting) taker.resolve(undefined);
    waiting = [];
  };
  const onError = (error: Error) => {
    const taker = waiting.shift();
    if (taker !== undefined) taker.reject(error);
    else failure ??= error;
    end();
  };
  if (!ended) {
    socket.on('message', onMessage);
    socket.on('error', onError);
    socket.on('close', end);
  }

  const take = async (): Promise<ReceivedDatagram | undefined> => {
    if (first < queue.length) {
      const datagram = queue[first++];
      if (first === queue.length || first === 4096) {
        queue = queue.slice(first);
        first = 0;
      }
      return datagram;
    }
    if (failure !== undefined) {
      const error = failure;
      failure = undefined;
      throw error;
    }
    if (ended) return undefined;
    const taker = promiseWithResolvers<ReceivedDatagram | undefined>();
    waiting.push(taker);
    return taker.promise;
  };

  return {
    async next() {
      const value = await take();
      return value === undefined ? { value, done: true } : { value, done: false };
    },
    async return() {
      for (let i = first; i < queue.length; i++) onDrop(queue[i]);
      queue = [];
      first = 0;
      end();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

interface PromiseWithResolvers<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: unknown): void;
}

// Promise.withResolvers came with Node 22.
function promiseWithResolvers<T>(): PromiseWithResolvers<T> {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((resolved, rejected) => {
    resolve = resolved;
    reject = rejected;
  });
  return { promise, resolve, reject };
}
