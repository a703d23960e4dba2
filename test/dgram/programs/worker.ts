// A round trip in a worker thread, and whether ksocket is in there.
import dgram from 'node:dgram';
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  const exited = once(worker, 'exit'); // it may have ended when its message is read
  const [message] = await once(worker, 'message');
  console.log(JSON.stringify(message));
  const [code] = await exited;
  console.log('exit', code);
} else {
  const socket = dgram.createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.send('hello', socket.address().port, '127.0.0.1');
  const [data] = await once(socket, 'message');
  parentPort?.postMessage({ data: `${data}`, ksocket: 'sendMany' in socket, instance: socket instanceof dgram.Socket });
  socket.close();
}
