// nginx in front of one back end: `nginx.mjs nginx forward JSON-OPTIONS`, run by Node. The stream module, one worker.
import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen, say } from './protocol.mjs';

const HOST = '127.0.0.1';
/** Where a distribution builds it as a module of its own. */
const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';
const WORKER_MS = 5000;

const { target } = JSON.parse(process.argv[4]);
const directory = mkdtempSync(join(tmpdir(), 'ksocket-bench-nginx-'));
const port = await unusedPort();
writeFileSync(
  join(directory, 'nginx.conf'),
  `${existsSync(STREAM_MODULE) ? `load_module ${STREAM_MODULE};` : ''}
  daemon off;
  worker_processes 1;
  pid ${directory}/pid;
  error_log stderr;
  events { worker_connections 4096; }
  stream { server { listen ${HOST}:${port} udp; proxy_pass ${HOST}:${target}; proxy_timeout 60s; } }`,
);
const nginx = spawn('nginx', ['-p', directory, '-c', join(directory, 'nginx.conf'), '-e', 'stderr'], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
nginx.on('exit', (code) => process.exit(code ?? 1));
process.on('exit', () => {
  nginx.kill('SIGTERM');
  rmSync(directory, { recursive: true, force: true });
});

async function unusedPort() {
  const socket = dgram.createSocket('udp4');
  await new Promise((resolve) => socket.bind(0, HOST, resolve));
  const { port } = socket.address();
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

/** The one that does the work. */
async function workerOf(pid) {
  for (let waited = 0; waited < WORKER_MS; waited += 20) {
    const [worker] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    if (worker) return worker;
    await sleep(20);
  }
  throw new Error('nginx has started no worker');
}

const worker = await workerOf(nginx.pid);
/** Its time on a processor, in µs: sched_debug's run time is exact where the ticks of stat are hundredths. */
const cpuUs = () => Number(readFileSync(`/proc/${worker}/schedstat`, 'utf8').split(' ')[0]) / 1000;
const now = () => ({ cpu: cpuUs(), ms: performance.now() });
let from = now();
listen({
  start: () => {
    from = now();
    say({ event: 'started' });
  },
  stop: () => {
    const to = now();
    const seconds = (to.ms - from.ms) / 1000;
    say({ event: 'result', count: 0, bytes: 0, seconds, cpuUserUs: to.cpu - from.cpu, cpuSysUs: 0, extra: {} });
  },
  exit: () => process.exit(0),
});
say({ event: 'ready', port, ports: [port] });
