// Says with which hop limit datagrams have come, on the backend of the test or, where that cannot tell, on the addon in a
// thread of its own: run as a worker this module is that thread.
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { createSocket } from 'ksocket';
import { onDgram } from './backend.js';
import { bound, Inbox, type Sockets } from './peer.js';

export interface Witness {
  port: number;
  /** The first `count`, each as `text@ttl`. */
  take(count: number): Promise<string[]>;
}

async function witness(socket: ReturnType<typeof createSocket>): Promise<Witness> {
  const inbox = new Inbox(socket);
  return {
    port: await bound(socket),
    take: async (count) => (await inbox.take(count)).map(({ data, rinfo }) => `${data}@${rinfo.ttl}`),
  };
}

async function witnessElsewhere(sockets: Sockets): Promise<Witness> {
  const { KSOCKET_BACKEND: _, ...env } = process.env;
  const worker = new Worker(new URL(import.meta.url), { env });
  sockets.onEnd(() => worker.terminate());
  const [port] = await once(worker, 'message');
  return {
    port,
    take: async (count) => {
      worker.postMessage(count);
      return (await once(worker, 'message'))[0];
    },
  };
}

export function ttlWitness(sockets: Sockets): Promise<Witness> {
  return onDgram ? witnessElsewhere(sockets) : witness(sockets.make({ type: 'udp4', receiveTtl: true }));
}

if (!isMainThread) {
  const { port, take } = await witness(createSocket({ type: 'udp4', receiveTtl: true }));
  parentPort?.postMessage(port);
  parentPort?.on('message', async (count: number) => parentPort?.postMessage(await take(count)));
}
