// A server on the backend that KSOCKET_BACKEND names, in a thread of its own: what it is asked it does, and says what came
// of it.
import { parentPort } from 'node:worker_threads';
import { createServer, type DefaultAction, features, type Rule, type Server, type ServerOptions } from 'ksocket';

export type Order =
  | { do: 'start'; options: ServerOptions }
  | { do: 'update'; rules: Rule[]; otherwise: DefaultAction }
  | { do: 'tell' }
  | { do: 'end' };

export interface Told {
  /** What it was refused with. */
  code?: string;
  backend?: string;
  port?: number;
  hits?: Record<string, number>;
  answering?: Record<string, number>;
  delivered?: string[];
}

let server: Server | undefined;
const delivered: string[] = [];

async function start(options: ServerOptions): Promise<Told> {
  await server?.stop();
  server = createServer({ address: '127.0.0.1', port: 0, ...options });
  server.on('datagram', (data, { size }) => delivered.push(`${data.toString('latin1')} ${size}`));
  await server.start();
  return { backend: features().backend, port: server.address()?.port };
}

function tell(): Told {
  return { hits: server?.ruleHits(), answering: server?.stats().answering, delivered: delivered.splice(0) };
}

async function end(): Promise<Told> {
  await server?.stop();
  parentPort?.close();
  return {};
}

async function follow(order: Order): Promise<Told> {
  if (order.do === 'start') return start(order.options);
  if (order.do === 'tell') return tell();
  if (order.do === 'end') return end();
  await server?.update(order.rules, order.otherwise);
  return {};
}

parentPort?.on('message', async (order: Order) => {
  try {
    parentPort?.postMessage(await follow(order));
  } catch (error) {
    parentPort?.postMessage({ code: (error as NodeJS.ErrnoException).code } satisfies Told);
  }
});
