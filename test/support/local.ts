// Local sockets for tests: in a directory of their own, closed with it.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createSocket,
  type UnixBindOptions,
  type UnixRemoteInfo,
  type UnixSocket,
  type UnixSocketOptions,
} from 'ksocket';
import { waitFor } from './wait.js';

export class LocalSockets {
  readonly directory = mkdtempSync(join(tmpdir(), 'ksocket-'));
  readonly #all: UnixSocket[] = [];

  path(name: string): string {
    return join(this.directory, name);
  }

  make(options: Omit<UnixSocketOptions, 'type'> = {}): UnixSocket {
    const socket = createSocket({ type: 'unix_dgram', ...options });
    this.#all.push(socket);
    return socket;
  }

  /** Bound to that name in the directory. */
  bound(name: string, options: Omit<UnixSocketOptions, 'type'> = {}, bind: Partial<UnixBindOptions> = {}): UnixSocket {
    const socket = this.make(options);
    socket.bindSync({ path: this.path(name), ...bind });
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#all) await socket[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Keeps what a local socket receives. */
export class LocalInbox {
  readonly all: { text: string; rinfo: UnixRemoteInfo }[] = [];

  constructor(socket: UnixSocket) {
    socket.on('message', (data, rinfo) => this.all.push({ text: data.toString(), rinfo }));
  }

  get texts(): string[] {
    return this.all.map(({ text }) => text);
  }

  async take(count: number): Promise<LocalInbox['all']> {
    await waitFor(
      () => this.all.length >= count,
      () => `${this.all.length} of ${count} datagrams`,
    );
    return this.all;
  }
}

/** What the callback is told. */
export function sentTo(socket: UnixSocket, msg: string | Uint8Array, path?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, bytes: number) => (error ? reject(error) : resolve(bytes));
    if (path === undefined) socket.send(msg, done);
    else socket.send(msg, path, done);
  });
}

/** The error that a socket emits. */
export async function errorOf(socket: UnixSocket): Promise<NodeJS.ErrnoException & { address?: string }> {
  const [error] = await once(socket, 'error');
  return error;
}
