// What `ksocket serve` runs: servers that answer alike, their log lines, and their monitor.
import type { Monitor } from '../monitor/index.js';
import type { Server } from '../server/server.js';
import { printable } from './endpoint.js';
import { fail } from './fail.js';
import { keepTelling, tell } from './under-systemd.js';

export function log(line: string): void {
  process.stdout.write(`ksocket: ${line}\n`);
}

// The line that the original has for what failed.
function failure(error: NodeJS.ErrnoException): string {
  const number = Math.abs(error.errno ?? 0);
  if (error.syscall === 'pthread_create') return `unable to start native thread, error = ${number}`;
  if (error.syscall === 'socket') return `Could not create a datagram socket, error = ${number}`;
  return `Could not bind or connect to socket, error = ${number}`;
}

function logDatagram(data: Buffer): void {
  log(`received ${data.length} bytes`);
  process.stdout.write(` data: ${printable(data)}\n`);
}

export class Service {
  readonly servers: readonly Server[];
  readonly #monitor: Monitor | undefined;
  #started: Promise<boolean> = Promise.resolve(false);
  #unloading = false;
  #quiet = true;

  constructor(servers: readonly Server[], monitor: Monitor | undefined) {
    this.servers = servers;
    this.#monitor = monitor;
    for (const server of servers) {
      server.on('error', (error: NodeJS.ErrnoException) => {
        log(`error getting datagram, ${error.syscall} error = ${Math.abs(error.errno ?? 0)}`);
      });
    }
  }

  /** Does it not log each datagram? */
  set quiet(quiet: boolean) {
    if (quiet === this.#quiet) return;
    this.#quiet = quiet;
    for (const server of this.servers) server[quiet ? 'off' : 'on']('datagram', logDatagram);
  }

  /** One line for `systemctl status`. */
  get status(): string {
    return `listening on port ${this.servers.map((server) => server.address()?.port).join(', ')}`;
  }

  /** Resolves when it has started, has failed and said so, or is unloaded. */
  async start(): Promise<void> {
    this.#started = this.#start();
    await this.#started;
  }

  /** Does it run? Waits until that is decided. */
  async runs(): Promise<boolean> {
    return (await this.#started) && !this.#unloading;
  }

  async #start(): Promise<boolean> {
    try {
      for (const server of this.servers) {
        await server.start();
        log(`listening on port ${server.address()?.port}`);
      }
    } catch (error) {
      const { errno, message } = error as NodeJS.ErrnoException;
      if (errno !== undefined) fail(failure(error as NodeJS.ErrnoException));
      return this.#giveUp(message, errno);
    }
    if (this.#monitor !== undefined && !(await this.#watch(this.#monitor))) return false;
    if (this.#unloading) return false;
    await tell({ ready: true, status: this.status });
    await keepTelling();
    return true;
  }

  // Who asked for a monitor does not want to go without.
  async #watch(monitor: Monitor): Promise<boolean> {
    const giveUp = (error: Error) => this.#giveUp(`no monitor: ${error.message}`);
    try {
      await monitor.start();
    } catch (error) {
      return giveUp(error as Error);
    }
    const listening = monitor.address();
    if (listening === null) return false; // stopped meanwhile
    const { address, family, port } = listening;
    log(`monitor on http://${family === 'IPv6' ? `[${address}]` : address}:${port}/`);
    monitor.on('error', giveUp);
    return true;
  }

  async #giveUp(message: string, errno?: number): Promise<false> {
    fail(message);
    await tell({ status: message, errno: errno && -errno });
    await this.unload();
    return false;
  }

  /** Ends it, once. */
  async unload(): Promise<void> {
    if (this.#unloading) return;
    this.#unloading = true;
    const told = tell({ stopping: true });
    const wasRunning = this.servers.some(({ running }) => running);
    await this.#monitor?.stop();
    for (const server of this.servers) await server.stop();
    log(wasRunning ? 'successfully killed native thread' : 'no native thread to kill');
    log('module unloaded');
    await told;
  }
}
