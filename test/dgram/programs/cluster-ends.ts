// How workers with UDP sockets end: one case after the other, each with workers of its own. Every process writes lines
// with its name before them, as they come; those of several processes come in any order.
//
// `node cluster-ends.js` runs all cases, `node cluster-ends.js orphan` is a primary that exits before its workers.
import cluster, { type Worker } from 'node:cluster';
import dgram, { type Socket } from 'node:dgram';
import { once } from 'node:events';
import { writeSync } from 'node:fs';

const HOST = '127.0.0.1';
const SHARED_FD = 3; // in the primary: a UDP socket that is bound to 127.0.0.1
// Both may be missing in the running Node.
const hasReusePort = Number.parseInt(process.versions.node, 10) >= 24;

function logAs(name: string): (...words: unknown[]) => void {
  return (...words) => writeSync(1, `${[name, ...words].join(' ')}\n`);
}

interface Case {
  worker(log: (...words: unknown[]) => void, port: number): unknown;
  /** What the primary does when so many workers are ready; else it disconnects them all. */
  primary?(workers: Worker[], log: (...words: unknown[]) => void, port: number): unknown;
  workers?: number;
}

// ---- a worker's side

function open(type: 'udp4' | 'udp6', log: (...words: unknown[]) => void, name: string, options = {}): Socket {
  const socket = dgram.createSocket({ type, ...options });
  for (const event of ['listening', 'connect', 'close']) socket.on(event, () => log(name, event));
  socket.on('error', (error: NodeJS.ErrnoException) => log(name, 'error', error.message.replace(/:\d+$/, ':PORT')));
  const close = socket.close;
  socket.close = function (...args) {
    log(name, 'is told to close', args.length, typeof args[0]);
    return close.apply(this, args);
  };
  return socket;
}

const ready = () => process.send?.('ready');

/** Once this worker is disconnected: is the socket still open? Then closes it, so that the process can end. */
function closeLate(socket: Socket, log: (...words: unknown[]) => void): void {
  process.once('disconnect', () => {
    setTimeout(() => {
      log('still bound', socket.address().address);
      socket.close();
    }, 20);
  });
}

// ---- the primary's side

const exits = (workers: Worker[]) => Promise.all(workers.map((worker) => once(worker, 'exit')));

const cases: Record<string, Case> = {
  'a shared bind': {
    worker(log, port) {
      open('udp4', log, 'a').bind(port, HOST, ready);
    },
  },
  'workers disconnect by themselves': {
    workers: 2,
    worker(log, port) {
      process.on('message', () => cluster.worker?.disconnect());
      open('udp4', log, 'a').bind(port, HOST, ready);
    },
    primary(workers) {
      for (const worker of workers) worker.send('end');
    },
  },
  'cluster.disconnect() of three': {
    workers: 3,
    worker(log, port) {
      open('udp4', log, 'a').bind(port, HOST, ready);
    },
    async primary(_, log) {
      await new Promise<void>((resolve) => cluster.disconnect(resolve));
      log('all disconnected');
    },
  },
  'an exclusive bind': {
    worker(log) {
      const socket = open('udp4', log, 'a');
      socket.bind({ port: 0, address: HOST, exclusive: true }, ready);
      closeLate(socket, log);
    },
  },
  'an exclusive bind, unref': {
    worker(log) {
      const socket = open('udp4', log, 'a');
      socket.bind({ port: 0, address: HOST, exclusive: true }, ready);
      socket.unref();
    },
  },
  'an implicit bind by send()': {
    worker(log, port) {
      const socket = open('udp4', log, 'a');
      socket.send('x', port, HOST, ready);
      closeLate(socket, log);
    },
  },
  'an implicit bind by connect()': {
    worker(log, port) {
      const socket = open('udp4', log, 'a');
      socket.connect(port, HOST, ready);
      closeLate(socket, log);
    },
  },
  'a shared bind, unref before and after': {
    worker(log, port) {
      const [before, after] = [open('udp4', log, 'before'), open('udp4', log, 'after')];
      before.unref();
      before.bind(port, HOST, () => {
        after.bind(0, HOST, () => {
          after.unref();
          ready();
        });
      });
    },
  },
  'a shared bind, connected': {
    worker(log, port) {
      const socket = open('udp4', log, 'a');
      socket.bind(0, HOST, () => socket.connect(port, HOST, ready));
    },
  },
  'a bind that fails': {
    worker(log, port) {
      const taken = open('udp4', log, 'taken');
      taken.bind({ port, address: HOST, exclusive: true }, () => {
        const socket = open('udp4', log, 'a');
        socket.bind(port, HOST).once('error', () => {
          taken.close(ready);
        });
      });
    },
  },
  'bound after a bind that failed': {
    worker(log) {
      const socket = open('udp4', log, 'a');
      socket.bind(0, '192.0.2.77').once('error', () => socket.bind(0, HOST, ready));
    },
  },
  'a group is joined before a shared bind': {
    worker(log, port) {
      const socket = open('udp4', log, 'a');
      socket.addMembership('239.7.7.7', HOST);
      socket.bind(port, HOST, () => {
        log('bound', socket.address().address, socket.address().port === port);
        ready();
      });
    },
  },
  'an address that is not there': {
    worker(log) {
      open('udp4', log, 'a').bind(0, '192.0.2.77').once('error', ready);
    },
  },
  udp6: {
    worker(log, port) {
      open('udp6', log, 'a').bind(port, '::1', ready);
    },
  },
  'udp6 only, and udp4 beside it': {
    worker(log, port) {
      open('udp6', log, 'a', { ipv6Only: true }).bind(port, () => open('udp4', log, 'b').bind(port, ready));
    },
  },
  'ports of workers that ask for none': {
    workers: 2,
    async worker(log) {
      const ports: number[] = [];
      // Node 26 aborts on a second one without a port.
      for (const [name, port] of [
        ['a', undefined],
        ['b', 0],
        ['c', 0],
      ] as const) {
        const socket = open('udp4', log, name);
        socket.bind({ port, address: HOST });
        await once(socket, 'listening');
        ports.push(socket.address().port);
      }
      process.send?.(ports);
    },
    primary(workers, log) {
      const [one, two] = workers.map((worker) => worked.get(worker) as number[]);
      log('shared', ...one.map((port) => two.indexOf(port)));
      for (const worker of workers) worker.disconnect();
    },
  },
  'a port given as text': {
    worker(log, port) {
      open('udp4', log, 'a').bind({ port: `${port}` as unknown as number, address: HOST }, ready);
    },
  },
  'sockets closed before': {
    worker(log, port) {
      const [a, b] = [open('udp4', log, 'a'), open('udp4', log, 'b')];
      a.bind(port, HOST, () => b.bind(0, HOST, () => a.close(ready)));
    },
  },
  'closed and bound again': {
    worker(log, port) {
      const first = open('udp4', log, 'first');
      first.bind(port, HOST, () => first.close(() => open('udp4', log, 'second').bind(port, HOST, ready)));
    },
  },
  'the port is free when all have closed': {
    workers: 2,
    worker(log, port) {
      const socket = open('udp4', log, 'a');
      socket.bind(port, HOST, ready);
      socket.on('close', () => process.send?.('closed'));
      process.on('message', () => socket.close());
    },
    async primary(workers, log, port) {
      const closed = workers.map((worker) => once(worker, 'message'));
      for (const worker of workers) worker.send('close');
      await Promise.all(closed);
      const socket = dgram.createSocket('udp4').bind(port, HOST);
      await once(socket, 'listening');
      log('bound');
      socket.close();
      for (const worker of workers) worker.disconnect();
    },
  },
  'disconnected while the bind is under way': {
    worker(log, port) {
      const socket = open('udp4', log, 'a');
      socket.on('listening', () => socket.close());
      socket.bind(port, HOST);
      setImmediate(() => cluster.worker?.disconnect());
    },
    primary() {},
  },
  'closed while the bind is under way': {
    worker(log, port) {
      open('udp4', log, 'a').bind(port, HOST).close();
      setImmediate(() => cluster.worker?.disconnect());
    },
    primary() {},
  },
  'disconnected in a listener': {
    worker(log, port) {
      const socket = open('udp4', log, 'a');
      socket.on('message', (data) => {
        log('message', data);
        cluster.worker?.disconnect();
      });
      socket.bind(port, HOST, ready);
    },
    primary(_, __, port) {
      const socket = dgram.createSocket('udp4');
      socket.send('end', port, HOST, () => socket.close());
    },
  },
  'worker.kill() in the primary': {
    worker(log, port) {
      open('udp4', log, 'a').bind(port, HOST, ready);
    },
    primary([worker]) {
      worker.kill();
    },
  },
  'worker.kill() in the worker': {
    worker(log, port) {
      process.on('message', () => cluster.worker?.kill());
      open('udp4', log, 'a').bind(port, HOST, ready);
    },
    primary([worker]) {
      worker.send('end');
    },
  },
  'process.exit() in the worker': {
    worker(log, port) {
      open('udp4', log, 'a').bind(port, HOST, () => process.exit(3));
    },
    primary() {},
  },
  'SIGTERM disconnects': {
    workers: 2,
    worker(log, port) {
      process.on('SIGTERM', () => cluster.worker?.disconnect());
      open('udp4', log, 'a').bind(port, HOST, ready);
    },
    primary(workers) {
      for (const worker of workers) process.kill(worker.process.pid as number, 'SIGTERM');
    },
  },
  'a descriptor of the primary': {
    workers: 2,
    async worker(log) {
      const bad = open('udp4', log, 'bad');
      bad.bind({ fd: 1_000_000 });
      await once(bad, 'error');
      const exclusive = open('udp4', log, 'exclusive');
      try {
        exclusive.bind({ fd: 1_000_000, exclusive: true });
      } catch (error) {
        log((error as NodeJS.ErrnoException).code);
      }
      const socket = open('udp4', log, 'a');
      process.on('message', (fd: number) => {
        socket.bind({ fd }, () => log(socket.address().address));
        try {
          socket.bind(0);
        } catch (error) {
          log(`again ${(error as NodeJS.ErrnoException).code}`);
        }
      });
      ready();
      process.once('disconnect', () => exclusive.close());
    },
    async primary(workers) {
      const listening = workers.map((worker) => once(worker, 'listening'));
      for (const worker of workers) worker.send(SHARED_FD);
      await Promise.all(listening);
      for (const worker of workers) worker.disconnect();
    },
  },
  ...(hasReusePort && {
    reusePort: {
      workers: 2,
      worker(log: (...words: unknown[]) => void, port: number) {
        const socket = open('udp4', log, 'a', { reusePort: true });
        socket.bind(port, HOST, ready);
        closeLate(socket, log);
      },
    },
  }),
};

/** What each worker sent. */
const worked = new Map<Worker, unknown>();

// Below those that the kernel gives to sockets which ask for any.
let nextPort = 16_000 + ((process.pid * 97) % 16_000);

async function freePort(): Promise<number> {
  for (;;) {
    const port = nextPort++;
    const socket = dgram.createSocket('udp6').bind(port); // of both families
    const free = await once(socket, 'listening').then(
      () => true,
      () => false,
    );
    await new Promise<void>((resolve) => socket.close(resolve));
    if (free) return port;
  }
}

async function runCase(name: string, { primary, workers: count = 1 }: Case): Promise<void> {
  const log = logAs(`${name}: primary:`);
  const port = await freePort();
  const workers = Array.from({ length: count }, (_, i) =>
    cluster.fork({ CASE: name, NAME: `worker ${i}`, PORT: port }),
  );
  for (const [i, worker] of workers.entries()) {
    const of = logAs(`${name}: worker ${i} in the primary:`);
    worker.on('disconnect', () => of('disconnect'));
    worker.on('exit', (code, signal) => of('exit', code, signal, worker.exitedAfterDisconnect));
  }
  const ended = exits(workers);
  const reports = Promise.all(workers.map(async (worker) => worked.set(worker, (await once(worker, 'message'))[0])));
  if (primary === undefined || primary.length > 0) await reports;
  if (primary !== undefined) await primary(workers, log, port);
  else for (const worker of workers) worker.disconnect();
  await ended;
}

if (cluster.isWorker) {
  const { CASE = '', NAME, PORT } = process.env;
  const log = logAs(`${CASE}: ${NAME}:`);
  process.on('disconnect', () => log('disconnect'));
  process.on('exit', (code) => log('exit', code));
  if (CASE === 'orphan') open('udp4', log, 'a').bind(Number(PORT), HOST, ready);
  else cases[CASE].worker(log, Number(PORT));
} else if (process.argv[2] === 'orphan') {
  const port = await freePort();
  const worker = cluster.fork({ CASE: 'orphan', NAME: 'worker', PORT: port });
  // Also what node:cluster itself says of it: a worker ends with EPIPE that has not said that yet.
  await Promise.all([once(worker, 'message'), once(worker, 'listening')]);
  process.exit(0);
} else {
  for (const [name, each] of Object.entries(cases)) await runCase(name, each);
}
