// What `ksocket serve` runs: servers that answer alike, their log lines, and their monitor.
import { setTimeout } from 'node:timers/promises';
import type { Monitor } from '../monitor/index.js';
import { handOver } from '../server/handing-over.js';
import type { Server } from '../server/server.js';
import type { AddressInfo } from '../socket/types.js';
import { printable } from './endpoint.js';
import { complain, fail } from './fail.js';
import { keepTelling, tell } from './under-systemd.js';
import { takeOver } from './upgrade.js';

/** How long a monitor waits for its port where the process that has it is about to end. */
const MONITOR_TRIES = 100;
const MONITOR_PAUSE_MS = 50;

/** How long one that comes while the servers go to another process waits for that one. */
const PASSING_TRIES = 40;
const PASSING_PAUSE_MS = 50;

export function log(line: string): void {
  process.stdout.write(`ksocket: ${line}\n`);
}

export function nameOfMonitor(monitor: Monitor): string {
  const { address, family, port } = monitor.address() as AddressInfo;
  return `monitor on http://${family === 'IPv6' ? `[${address}]` : address}:${port}/`;
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

// Where it answers in the kernel, if it was asked to.
function logKernel({ kernel: { state, interfaces, reason } }: Server): void {
  if (state === 'off') return;
  for (const { name, mode, reason } of interfaces) log(`kernel: ${name}: ${mode ?? reason}`);
  if (interfaces.length === 0) log(`kernel: ${reason}`);
}

export class Service {
  readonly servers: readonly Server[];
  readonly #monitor: Monitor | undefined;
  readonly #upgrade: string | undefined;
  readonly #shards: number | 'cores' | undefined;
  readonly #offers = new AbortController();
  #tookOver = false;
  #started: Promise<boolean> = Promise.resolve(false);
  #unloading = false;
  #quiet = true;

  /** `upgrade`: where the servers are taken over from another process, if one hands them over there, and handed over to the next.
   * `shards`: as many are wanted, however many the other process had; undefined: these are left. */
  constructor(servers: readonly Server[], monitor: Monitor | undefined, upgrade?: string, shards?: number | 'cores') {
    this.servers = servers;
    this.#monitor = monitor;
    this.#upgrade = upgrade;
    this.#shards = shards;
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
      await this.#open();
    } catch (error) {
      const { errno, message } = error as NodeJS.ErrnoException;
      if (errno !== undefined) fail(failure(error as NodeJS.ErrnoException));
      return this.#giveUp(message, errno);
    }
    if (this.#monitor !== undefined && !(await this.#watch(this.#monitor))) return false;
    if (this.#unloading) return false;
    void tell({ ready: true, status: this.status }); // who does not read that is no reason to wait
    void keepTelling();
    if (this.#upgrade !== undefined) void this.#handOver(this.#upgrade);
    return true;
  }

  async #open(): Promise<void> {
    if (this.#upgrade !== undefined) this.#tookOver = await this.#takeOver(this.#upgrade);
    for (const server of this.servers) {
      if (this.#unloading) return;
      if (this.#tookOver) await this.#reshard(server);
      if (!server.running) await server.start();
      log(`${this.#tookOver ? 'took over' : 'listening on'} port ${server.address()?.port}`);
      logKernel(server);
    }
  }

  // The process that it comes from has ended: what is refused is no reason to end, too.
  async #reshard(server: Server): Promise<void> {
    if (this.#shards === undefined) return;
    await server.setShards(this.#shards).catch(({ message }: Error) => complain(`shards are as before: ${message}`));
  }

  // Of several that come at once the first takes over, and each other one from the one before. False: nobody hands over.
  async #takeOver(path: string): Promise<boolean> {
    let isPassing = false; // to another process, which does not wait for the next one yet
    for (let left = PASSING_TRIES; ; ) {
      try {
        if (await takeOver(this.servers, path)) return true;
        if (!isPassing || left === 0) {
          for (const server of this.servers) await server.start();
          return false;
        }
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if ((code !== 'ECONNRESET' && code !== 'EADDRINUSE') || left === 0) throw error;
        isPassing ||= code === 'ECONNRESET';
      }
      left--;
      if (this.#unloading) return false;
      await setTimeout(PASSING_PAUSE_MS);
    }
  }

  // To the next process, whenever it comes; then this one ends.
  async #handOver(path: string): Promise<void> {
    const { signal } = this.#offers;
    try {
      await handOver(this.servers, path, { signal });
    } catch (error) {
      if (!this.#unloading) complain(`nobody can take over: ${(error as Error).message}`);
      return;
    }
    log('handed over to the next process');
    await this.unload();
  }

  // Who asked for a monitor does not want to go without.
  async #watch(monitor: Monitor): Promise<boolean> {
    const giveUp = (error: Error) => this.#giveUp(`no monitor: ${error.message}`);
    try {
      await this.#startMonitor(monitor);
    } catch (error) {
      if (!this.#tookOver) return giveUp(error as Error);
      // The process whose clients these are has ended: they would be without a server.
      complain(`no monitor: ${(error as Error).message}`);
      return true;
    }
    if (monitor.address() === null) return false; // stopped meanwhile
    log(nameOfMonitor(monitor));
    monitor.on('error', giveUp);
    return true;
  }

  // The one that was here before stops its own once it has handed over.
  async #startMonitor(monitor: Monitor): Promise<void> {
    for (let left = this.#tookOver ? MONITOR_TRIES : 1; ; ) {
      try {
        await monitor.start();
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || --left === 0) throw error;
      }
      await setTimeout(MONITOR_PAUSE_MS);
    }
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
    this.#offers.abort();
    const told = tell({ stopping: true });
    const wasRunning = this.servers.some(({ running }) => running);
    await this.#monitor?.stop();
    for (const server of this.servers) await server.stop();
    log(wasRunning ? 'successfully killed native thread' : 'no native thread to kill');
    log('module unloaded');
    await told;
  }
}
