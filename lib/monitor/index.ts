/**
 * A web server about ksocket servers, tunnels and collectors, on a thread of its own: a live page, Prometheus metrics, a health
 * check. It reads shared memory only, so it answers while the event loop is blocked.
 *
 * @module ksocket/monitor
 */
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { emitAsNode } from '../base/emit.js';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { clearInterval, setInterval } from '../base/runtime.js';
import { validateHost, validateInteger, validateObject, validatePort } from '../base/validate.js';
import type { Collector } from '../collect/collector.js';
import type { Server } from '../server/server.js';
import type { AddressInfo } from '../socket/types.js';
import type { Observation } from '../thread/observation.js';
import { figures, observe } from '../thread/observers.js';
import type { Tunnel } from '../tunnel/tunnel.js';
import { Heartbeat } from './heartbeat.js';
import type { ServerSource } from './observed-server.js';
import type { FromWorker, MonitorWorkerData, ToWorker } from './protocol.js';

/** What createMonitor() takes. */
export interface MonitorOptions {
  /** Where to listen: an IP address or a host name. Default `127.0.0.1`. There is no password: on another address,
   * whoever reaches it can read it. */
  host?: string;
  /** Default 0: any free port. */
  port?: number;
  /** What to show, at least one: servers, tunnels and collectors. They may be started and stopped before or after. */
  servers: readonly (Server | Tunnel | Collector)[];
  /** Milliseconds (1 to 3 600 000) that the event loop may be late before /healthz says 503; 1000 by default. */
  maxLagMs?: number;
}

/** The events of a {@link Monitor}, and what their listeners get. */
export interface MonitorEvents {
  /** The monitor's thread failed, and has ended. */
  error: [error: Error];
  /** stop() has ended its thread, and the port is free. */
  close: [];
}

const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_LAG_MS_MAX = 1000;
const LAG_MS_MAX = 3_600_000;
/** Its whole state is five minutes of samples. */
const HEAP_MB_MAX = 64;

/** How often a collector says its figures, which only the event loop changes. */
const FIGURES_MS = 200;

function checkServers(servers: unknown): readonly (Server | Tunnel | Collector)[] {
  if (!Array.isArray(servers)) throw errors.invalidArgType('options.servers', 'an instance of Array', servers);
  if (servers.length === 0) throw errors.invalidArgValue('options.servers', servers, 'must have a server');
  return Array.from(servers, (server, i) => {
    if (typeof server?.[observe] === 'function') return server;
    throw errors.invalidArgType(`options.servers[${i}]`, 'an instance of Server, Tunnel or Collector', server);
  });
}

function checkMonitorOptions(options: MonitorOptions): Required<MonitorOptions> {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', ['host', 'port', 'servers', 'maxLagMs']);
  const { host = DEFAULT_HOST, port = 0, maxLagMs = DEFAULT_LAG_MS_MAX } = options;
  validateHost(host, 'options.host');
  validateInteger(maxLagMs, 'options.maxLagMs', 1, LAG_MS_MAX);
  return { host, port: validatePort(port, 'options.port', true), maxLagMs, servers: checkServers(options.servers) };
}

function nameOf({ address, family, port }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}

function packageVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}

/** Made by createMonitor(). Events: `'error'`, `'close'`. */
export class Monitor extends EventEmitter<MonitorEvents> {
  readonly #options: Required<MonitorOptions>;
  #worker: Worker | undefined;
  #address: AddressInfo | null = null;
  #release: (() => void)[] = [];
  // Calls of start() and stop() take effect one after the other.
  #latest: Promise<unknown> = Promise.resolve();
  #refd = true;

  /** As {@link createMonitor}. */
  constructor(options: MonitorOptions) {
    super();
    this.#options = checkMonitorOptions(options);
  }

  /** Resolves when it answers. Rejects with `code`, `syscall`, `address`, `port` (EADDRINUSE, EACCES, EADDRNOTAVAIL,
   * ENOTFOUND, …) and leaves nothing open. One that runs stays as it is. */
  start(): Promise<void> {
    return this.#afterwards(async () => {
      if (this.#worker === undefined) await this.#start();
    });
  }

  /** Resolves when its thread has ended and the port is free. */
  stop(): Promise<void> {
    return this.#afterwards(async () => {
      const worker = this.#worker;
      if (worker === undefined) return;
      this.#forget();
      await worker.terminate();
      emitAsNode(() => this.emit('close'));
    });
  }

  /** Where it listens, or null when it does not. */
  address(): AddressInfo | null {
    return this.#address && { ...this.#address };
  }

  /** Lets the monitor keep the event loop running (the default). */
  ref(): this {
    this.#refd = true;
    this.#worker?.ref();
    return this;
  }

  /** Lets the program end though the monitor runs. */
  unref(): this {
    this.#refd = false;
    if (this.#address !== null) this.#worker?.unref(); // a start under way is waited for
    return this;
  }

  #afterwards(action: () => Promise<void>): Promise<void> {
    const done = this.#latest.then(action);
    this.#latest = done.catch(() => {}); // the caller has the rejected promise
    return done;
  }

  async #start(): Promise<void> {
    const { host, port, maxLagMs } = this.#options;
    const heartbeat = new Heartbeat();
    this.#release.push(() => heartbeat.stop());
    const servers = this.#follow();
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      name: 'ksocket-monitor',
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
      workerData: {
        host,
        port,
        maxLagMs,
        servers,
        heartbeat: heartbeat.cells,
        version: packageVersion(),
      } satisfies MonitorWorkerData,
    });
    this.#worker = worker;
    try {
      this.#address = await listening(worker);
    } catch (error) {
      this.#forget();
      await worker.terminate();
      throw error;
    }
    worker.on('message', (message: FromWorker) => {
      if ('error' in message) this.#fail(worker, systemError(message.error));
    });
    worker.on('error', (error: Error) => this.#fail(worker, error));
    if (!this.#refd) worker.unref(); // last: a listener for messages is a reference
  }

  /** Observes the servers: how they are now is returned, what changes is told to the worker. */
  #follow(): ServerSource[] {
    return this.#options.servers.map((server, index) => {
      let source: ServerSource = {
        name: `server ${index + 1}`,
        tunnel: !('update' in server || figures in server), // it has neither rules nor figures
        running: false,
        observation: null,
        figures: undefined,
      };
      const observer = (observation: Observation | null) => {
        const address = observation && server.address();
        source = {
          ...source,
          name: address ? nameOf(address) : source.name,
          running: observation !== null,
          observation: observation ?? source.observation,
          figures: figures in server ? server[figures]() : undefined,
        };
        this.#worker?.postMessage({ index, source } satisfies ToWorker);
      };
      this.#release.push(server[observe](observer));
      if (figures in server) {
        this.#repeat(() => this.#worker?.postMessage({ index, figures: server[figures]() } satisfies ToWorker));
      }
      return source;
    });
  }

  #repeat(tell: () => void): void {
    const timer = setInterval(tell, FIGURES_MS).unref();
    this.#release.push(() => clearInterval(timer));
  }

  #fail(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return; // stopped
    this.#forget();
    void worker.terminate();
    this.emit('error', error);
  }

  #forget(): void {
    this.#worker = undefined;
    this.#address = null;
    for (const release of this.#release.splice(0)) release();
  }
}

function systemError({ message, ...rest }: Extract<FromWorker, { error: unknown }>['error']): Error {
  return Object.assign(new Error(message), rest);
}

/** The worker's address, once it has one. */
function listening(worker: Worker): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error('the monitor’s thread has ended'));
    worker.once('error', reject);
    worker.once('exit', onExit);
    worker.once('message', (message: FromWorker) => {
      worker.off('error', reject).off('exit', onExit);
      if ('error' in message) reject(systemError(message.error));
      else resolve(message.listening as AddressInfo);
    });
  });
}

/**
 * Makes a monitor; `start()` starts it.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_SOCKET_BAD_PORT, ERR_OUT_OF_RANGE
 */
export function createMonitor(options: MonitorOptions): Monitor {
  return new Monitor(options);
}
