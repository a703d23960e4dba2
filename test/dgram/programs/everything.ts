// Uses every part of the package, in a worker thread, too, for what Node has to say about it: with --throw-deprecation
// that ends the program.
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { isMainThread, Worker } from 'node:worker_threads';
import { createServer, createSocket, type Socket } from 'ksocket';
import { createMonitor } from 'ksocket/monitor';

async function bound(options: { thread?: 'dedicated' } = {}): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', ...options });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

/** Many at once: then there are several events in one turn of the event loop. */
async function messages(from: Socket, to: Socket, event: 'message' | 'batch'): Promise<void> {
  const { port } = to.address();
  let left = 100;
  const all = new Promise<void>((resolve) => {
    const count = (n: number) => {
      left -= n;
      if (left <= 0) resolve();
    };
    if (event === 'message') to.on('message', () => process.nextTick(count, 1));
    else to.on('batch', ({ length }) => queueMicrotask(() => count(length)));
  });
  for (let i = 0; i < 100; i++) from.send(`${i}`, port, '127.0.0.1', () => {});
  await all;
  to.removeAllListeners(event);
}

async function sockets(): Promise<void> {
  const [a, b] = [await bound(), await bound({ thread: 'dedicated' })];
  await messages(a, b, 'message');
  await messages(b, a, 'batch');
  a.sendMany(['one', b.address().port, '127.0.0.1']);
  for await (const { data } of b) {
    if (`${data}` === 'one') break;
  }
  a.connect(b.address().port, '127.0.0.1');
  await once(a, 'connect');
  a.send('two', (error) => {
    if (error) throw error;
    a.close();
    b.close();
  });
  await Promise.all([once(a, 'close'), once(b, 'close')]);
}

async function server(): Promise<void> {
  const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
  await server.start();
  const monitor = createMonitor({ port: 0, servers: [server] });
  await monitor.start();
  const client = await bound();
  client.send('ping', server.address()?.port, '127.0.0.1');
  await once(client, 'message');
  client.close();
  const response = await fetch(`http://127.0.0.1:${monitor.address()?.port}/metrics`);
  if (!(await response.text()).includes('ksocket_')) throw new Error('no metrics');
  await monitor.stop();
  await server.stop();
}

createRequire(import.meta.url)('ksocket');
await sockets();
await server();
if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  await once(worker, 'exit');
  console.log('done');
}
