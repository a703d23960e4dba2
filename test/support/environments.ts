// For programs of several environments: workers that receive, and what the process holds. test/lifecycle/ runs them.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ioThreadCount, openFds } from './process.js';
import { waitFor } from './wait.js';

export interface WorkerData {
  /** A server, not a socket. */
  server?: boolean;
  /** Of the socket. */
  options?: object;
  /** It tells of every so many datagrams; 1000 when nothing is said. */
  every?: number;
  /** What it does when it has received so many, or at once. */
  does?: 'exit in a listener' | 'throw in a listener' | 'close in a listener' | 'unref';
}

/** It posts `{ port }` when it is bound, then `{ received }`. */
const source = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { server, options, does, every = 1000 } = workerData;
  import('ksocket').then(async ({ createServer, createSocket }) => {
    let received = 0;
    const count = () => {
      if (++received % every === 0) parentPort.postMessage({ received });
      if (received !== every) return;
      if (does === 'exit in a listener') process.exit(4);
      if (does === 'throw in a listener') throw new Error('thrown in a worker');
      if (does === 'close in a listener') (receiver.close ?? receiver.stop).call(receiver);
    };
    let receiver;
    if (server) {
      receiver = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
      receiver.on('datagram', count);
      await receiver.start();
    } else {
      receiver = createSocket({ type: 'udp4', ...options }, count);
      await new Promise((resolve) => receiver.bind(0, '127.0.0.1', resolve));
    }
    if (does === 'unref') receiver.unref();
    parentPort.postMessage({ port: receiver.address().port });
  });
`;

export function createWorker(workerData: WorkerData): Worker {
  return new Worker(source, { eval: true, execArgv: [], workerData });
}

/** A worker whose socket is bound. */
export async function startWorker(workerData: WorkerData): Promise<{ worker: Worker; port: number }> {
  const worker = createWorker(workerData);
  const [{ port }] = await once(worker, 'message');
  return { worker, port };
}

/** Without source files: Node's module loader leaves the one open that it was reading when its worker is terminated. */
function fdCount(): number {
  return openFds().filter((name) => !name.endsWith('.js')).length;
}

/** Until the descriptors are as few as they were and no I/O thread is left. */
export async function settled(fdsBefore: number): Promise<void> {
  await waitFor(
    () => fdCount() === fdsBefore && ioThreadCount() === 0,
    () => `${fdCount()} descriptors, not ${fdsBefore}; ${ioThreadCount()} I/O threads. ${openFds().join(', ')}`,
  );
}

export { fdCount, ioThreadCount, once };
