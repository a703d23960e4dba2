// Two workers of a cluster, each with a socket whose settings bind(2) does not heed and one whose it does: prints, a line a
// worker, [port, path MTU discovery, mark, port of the other, its device].
import cluster from 'node:cluster';
import { once } from 'node:events';
import { createSocket } from 'ksocket';

if (cluster.isWorker) {
  const shared = createSocket({ type: 'udp4', mtuDiscover: 'do', mark: 9 }).bind(0, '127.0.0.1');
  await once(shared, 'listening');
  const own = createSocket({ type: 'udp4', bindToDevice: 'lo' }).bind(0, '127.0.0.1');
  await once(own, 'listening');
  const byte = (level: number, name: number) => shared.getsockopt(level, name)[0];
  process.send?.([shared.address().port, byte(0, 10), byte(1, 36), own.address().port, `${own.getsockopt(1, 25)}`]);
  await once(process, 'message');
  shared.close();
  own.close();
  process.disconnect?.();
} else {
  const workers = [cluster.fork(), cluster.fork()];
  const told = await Promise.all(workers.map((worker) => once(worker, 'message')));
  for (const [line] of told) console.log(JSON.stringify(line));
  for (const worker of workers) worker.send('end');
}
