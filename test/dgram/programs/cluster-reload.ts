// A reload: a new worker binds, the old one is disconnected, and requests go on all the while, so many at a time. Says how
// many were answered, and how the old worker ended.
import cluster, { type Worker } from 'node:cluster';
import dgram from 'node:dgram';
import { once } from 'node:events';

const REQUESTS = 600;
const AT_A_TIME = 64;
const WORK_MS = 1;
const PATIENCE_MS = 3000;

async function fork(port: number): Promise<Worker> {
  const worker = cluster.fork({ PORT: port });
  await once(worker, 'message');
  return worker;
}

if (cluster.isWorker) {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (data, rinfo) => {
    const end = performance.now() + WORK_MS;
    while (performance.now() < end);
    socket.send(data, rinfo.port, rinfo.address);
  });
  socket.bind(Number(process.env.PORT), '127.0.0.1', () => process.send?.(socket.address().port));
} else {
  const client = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(client, 'listening');
  const first = cluster.fork({ PORT: 0 });
  const [port] = await once(first, 'message');
  const answered = new Set<string>();
  let sent = 0;
  const send = () => {
    if (sent < REQUESTS) client.send(`${sent++}`, port, '127.0.0.1');
  };
  let finish = () => {};
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const timer = setTimeout(() => finish(), PATIENCE_MS);
  client.on('message', (data) => {
    answered.add(`${data}`);
    timer.refresh();
    send();
    if (answered.size === REQUESTS) finish();
  });
  const second = await fork(0);
  for (let i = 0; i < AT_A_TIME; i++) send();
  while (answered.size < REQUESTS / 4) await once(client, 'message');
  const ended = once(first, 'exit');
  first.disconnect();
  await done;
  clearTimeout(timer);
  console.log('answered', answered.size);
  console.log('the old worker', ...(await ended));
  second.disconnect();
  client.close();
}
