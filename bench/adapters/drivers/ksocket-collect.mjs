// Collectors: what has been received counts when the stream has said that it has it. The server (Debian's nats-server) is a process of
// its own on the same machine, which is not measured and takes its share of the processors.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Unavailable } from '../unavailable.mjs';

const dir = process.env.KSOCKET_DIR ?? join(import.meta.dirname, '../../..');
const load = async (entry) => {
  const file = join(dir, 'dist', entry);
  if (!existsSync(file)) throw new Unavailable(`${file} is missing: run \`npm run build\``);
  return import(pathToFileURL(file).href);
};
const { createSocket } = await load('index.js');
const { createCollector, jetstream } = await load('collect/index.js');
const [clients, streams] = await Promise.all([import('@nats-io/transport-node'), import('@nats-io/jetstream')]).catch(
  ({ message }) => {
    throw new Unavailable(message);
  },
);

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// It ends with this process, however that ends: then the shell's input does.
const UNTIL_INPUT_ENDS = 'nats-server "$@" 2>/dev/null & cat >/dev/null; kill $!; wait';

async function startStream() {
  const store = mkdtempSync(join(tmpdir(), 'ksocket-bench-'));
  const port = await freePort();
  const args = ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', store];
  spawn('sh', ['-c', UNTIL_INPUT_ENDS, 'sh', ...args], { stdio: ['pipe', 'ignore', 'ignore'] });
  process.on('exit', () => rmSync(store, { recursive: true, force: true }));
  const servers = `127.0.0.1:${port}`;
  for (let attempt = 0; ; attempt++) {
    try {
      const connection = await clients.connect({ servers });
      const manager = await streams.jetstreamManager(connection);
      // Small enough that a long run fits into memory and on the disk.
      await manager.streams.add({ name: 'BENCH', subjects: ['bench.>'], max_bytes: 512 * 1024 * 1024 });
      return { servers, connection };
    } catch (error) {
      if (attempt === 50) throw new Unavailable(`nats-server does not start: ${error.message}`);
      await sleep(100);
    }
  }
}

export const roles = {
  async collect(options, tally) {
    const { servers, connection } = await startStream();
    await connection.close();
    const sink = jetstream({ servers, stream: 'BENCH', subject: 'bench.{source}', ...options.sinkOptions });
    const collector = createCollector({ address: '127.0.0.1', sink, ...options.collectorOptions });
    await collector.start();
    Object.defineProperty(tally, 'count', { get: () => collector.stats().acknowledgedDatagrams });
    return { ports: [collector.address().port], stats: () => collector.stats() };
  },

  // What a program does that knows nothing else: each datagram is a message, and so many wait for their acknowledgement.
  async 'collect-each'({ outstanding = 4096 }, tally) {
    const { servers } = await startStream();
    const client = streams.jetstream(await clients.connect({ servers }));
    const socket = createSocket({ type: 'udp4', thread: 'dedicated', onFull: 'drop' });
    let waiting = 0;
    const done = () => {
      waiting--;
      tally.count++;
    };
    const failed = () => {
      waiting--;
      tally.errors++;
    };
    socket.on('batch', (batch) => {
      for (let i = 0; i < batch.length && waiting < outstanding; i++) {
        waiting++;
        client.publish('bench.each', Buffer.from(batch.data(i))).then(done, failed);
      }
    });
    socket.bindSync({ address: '127.0.0.1' });
    return { ports: [socket.address().port], stats: () => socket.stats() };
  },

  // The same socket as the collector's, and nobody who takes anything.
  'batch-alone'(options, tally) {
    const more = { thread: 'dedicated', receiveTimes: 'auto' };
    const socket = createSocket({ type: 'udp4', ...more, ...options.socketOptions });
    socket.on('batch', (batch) => {
      tally.count += batch.length;
      for (let i = 0; i < batch.length; i++) tally.bytes += batch.size(i);
    });
    socket.bindSync({ address: '127.0.0.1' });
    return { ports: [socket.address().port], stats: () => socket.stats() };
  },
};
