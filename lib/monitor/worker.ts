// The monitor's thread: an event loop of its own, which answers whatever the observed one does.
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { HeartbeatReader } from './heartbeat.js';
import { History, SAMPLE_MS } from './history.js';
import { createHttpServer } from './http.js';
import { createRegistry } from './metrics.js';
import { ObservedServer } from './observed-server.js';
import type { FromWorker, MonitorWorkerData, ToWorker } from './protocol.js';
import { routesFor } from './routes.js';

const { host, port, maxLagMs, version, heartbeat: cells, servers: sources }: MonitorWorkerData = workerData;
const tell = (message: FromWorker) => parentPort?.postMessage(message);

const heartbeat = new HeartbeatReader(cells);
const servers = sources.map((source) => new ObservedServer(source));
const history = new History(servers, heartbeat);
const registry = createRegistry(servers, heartbeat, history, version);

parentPort?.on('message', (message: ToWorker) => {
  const server = servers[message.index];
  if ('source' in message) server.source = message.source;
  else server.figures = message.figures;
});
history.take(); // what the next one is compared with
setInterval(() => history.take(), SAMPLE_MS);

const server = createHttpServer(routesFor({ servers, heartbeat, history, registry, maxLagMs, version }));
server.on('error', (error) => tell({ error: { ...error, message: error.message } }));
server.listen(port, host, () => tell({ listening: server.address() as AddressInfo }));
