// Two workers on one port, then on ports of their own.
import cluster, { type Worker } from 'node:cluster';
import dgram from 'node:dgram';
import { once } from 'node:events';

interface Report {
  shared: number;
  exclusive: number;
  inUse: string;
  ksocket: boolean;
}

const WORKERS = 2;
const DATAGRAMS = 40;

if (cluster.isWorker) {
  // Node itself needs the message for workers that are told to share the primary's port.
  const shared = dgram.createSocket('udp4');
  shared.on('message', (data, rinfo) => shared.send(`${process.pid} ${data}`, rinfo.port, rinfo.address));
  shared.bind({ port: 0, address: '127.0.0.1' });
  await once(shared, 'listening');
  const exclusive = dgram.createSocket('udp4');
  exclusive.bind({ port: 0, address: '127.0.0.1', exclusive: true });
  await once(exclusive, 'listening');
  const late = dgram.createSocket('udp4');
  late.bind({ port: exclusive.address().port, address: '127.0.0.1' });
  const [error] = await once(late, 'error');
  const closed = dgram.createSocket('udp4'); // before its handle is there
  closed.bind({ port: 0, address: '127.0.0.1' });
  closed.close();
  const report: Report = {
    shared: shared.address().port,
    exclusive: exclusive.address().port,
    inUse: `${error.code} ${error.syscall} ${error.address}`,
    ksocket: 'sendMany' in shared,
  };
  process.send?.(report);
  await once(process, 'message');
  for (const socket of [shared, exclusive, late]) socket.close();
  process.disconnect?.();
} else {
  const workers: Worker[] = Array.from({ length: WORKERS }, () => cluster.fork());
  const reports: Report[] = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
  console.log('one port', new Set(reports.map(({ shared }) => shared)).size);
  console.log('ports of their own', new Set(reports.map(({ exclusive }) => exclusive)).size);
  console.log('in use', ...reports.map(({ inUse }) => inUse));
  if (process.argv[2] === 'whose') console.log('ksocket', ...reports.map(({ ksocket }) => ksocket));

  const answers: string[] = [];
  const socket = dgram.createSocket('udp4');
  socket.on('message', (data) => answers.push(data.toString()));
  for (let i = 0; i < DATAGRAMS; i++) {
    socket.send(`${i}`, reports[0].shared, '127.0.0.1');
    while (answers.length <= i) await once(socket, 'message');
  }
  const pids = new Set(workers.map(({ process }) => `${process.pid}`));
  console.log(
    'answers',
    answers.length,
    'by workers',
    answers.every((answer) => pids.has(answer.split(' ')[0])),
  );
  socket.close();
  for (const worker of workers) worker.send('end');
  const codes = await Promise.all(workers.map(async (worker) => (await once(worker, 'exit'))[0]));
  console.log('exit', ...codes);
}
