// A collector as a process of its own: `node collector-program.js SERVERS SUBJECT`. Says where it receives, and every 50 ms what it has
// counted, as lines of JSON. Its input's end stops it.
import { createCollector, jetstream } from 'ksocket/collect';

const [servers, subject] = process.argv.slice(2);
const collector = createCollector({
  address: '127.0.0.1',
  sink: jetstream({ servers: servers.split(','), stream: 'LOGS', subject, timeoutMs: 1000 }),
  recvBufferSize: 1 << 20,
  batch: { bytes: 128 * 1024, ms: 20 },
  inFlight: 16,
});
collector.on('failing', (error) => console.error('failing', error.message));
collector.on('recovered', () => console.error('recovered'));
const say = (more: object) => {
  const { socket, ...stats } = collector.stats();
  const drops = socket.rxKernelDrops + socket.rxRingDrops + socket.rxCloseDrops;
  console.log(JSON.stringify({ ...more, ...stats, drops, rss: process.memoryUsage().rss }));
};
await collector.start();
say({ port: collector.address().port });
const timer = setInterval(say, 50, {});
process.stdin.resume().on('end', async () => {
  clearInterval(timer);
  const result = await collector.stop({ timeoutMs: 30_000 });
  say({ result });
});
