// The other side of a test: a plain node:dgram socket, and what both kinds of socket share.
import dgram from 'node:dgram';
import { once } from 'node:events';
import { createSocket, type RemoteInfo, type Socket, type SocketOptions, type SocketType } from 'ksocket';
import { waitFor } from './wait.js';

/** ksocket's, or node:dgram's. */
export type AnySocket = Socket | dgram.Socket;

/** Both, for what must hold for either: node:dgram shows that the test is right. Its sockets are given ksocket's type,
 * of which they have what the tests use. */
export const kinds: [name: string, make: (options?: SocketType | SocketOptions) => Socket][] = [
  ['node:dgram', (options = 'udp4') => dgram.createSocket(options as SocketType) as unknown as Socket],
  ['ksocket', (options = 'udp4') => createSocket(options)],
];

export interface Received {
  data: Buffer;
  rinfo: RemoteInfo;
}

/** Binds to a free loopback port and returns it. */
export async function bound(socket: AnySocket, address?: string): Promise<number> {
  const one = socket as Socket; // a union of overloads cannot be called
  const listening = once(one, 'listening');
  one.bind(0, address ?? (one.type === 'udp6' ? '::1' : '127.0.0.1'));
  await listening;
  return one.address().port;
}

export async function closed(socket: AnySocket): Promise<void> {
  const done = once(socket, 'close');
  socket.close();
  await done;
}

export function sent(
  socket: AnySocket,
  msg: string | Uint8Array,
  port: number,
  address = '127.0.0.1',
): Promise<number> {
  return new Promise((resolve, reject) => {
    (socket as Socket).send(msg, port, address, (error, bytes) => (error ? reject(error) : resolve(bytes)));
  });
}

/** Keeps what a socket receives. */
export class Inbox {
  readonly all: Received[] = [];

  constructor(socket: AnySocket) {
    (socket as Socket).on('message', (data, rinfo) => this.all.push({ data, rinfo }));
  }

  get texts(): string[] {
    return this.all.map(({ data }) => data.toString());
  }

  /** Waits until there are `count`; returns them. */
  async take(count: number): Promise<Received[]> {
    await waitFor(
      () => this.all.length >= count,
      () => `${this.all.length} of ${count} datagrams`,
    );
    return this.all;
  }
}

/** Sockets that end with the test. */
export class Sockets {
  readonly #all: AnySocket[] = [];
  readonly #others: (() => unknown)[] = [];

  /** What else ends then. */
  onEnd(end: () => unknown): void {
    this.#others.push(end);
  }

  /** An unbound ksocket. */
  make(options: SocketType | SocketOptions = 'udp4'): Socket {
    return this.add(createSocket(options));
  }

  /** An unbound node:dgram socket. */
  makePeer(type: SocketType = 'udp4'): dgram.Socket {
    return this.add(dgram.createSocket(type));
  }

  add<T extends AnySocket>(socket: T): T {
    this.#all.push(socket);
    return socket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#all) {
      try {
        await closed(socket);
      } catch {} // closed by the test
    }
    for (const end of this.#others) await end();
  }
}

// Ports that the kernel does not give to sockets which ask for any, so that nobody takes one of these by chance.
// Test processes that run at the same time begin at different places.
const FIRST_PORT = 16_000;
const PORTS = 16_000;
let nextPort = (process.pid * 97) % PORTS;

/** A port where nobody listens. */
export async function unusedPort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + (nextPort++ % PORTS);
    const socket = dgram.createSocket('udp4');
    try {
      const listening = once(socket, 'listening');
      socket.bind(port, '0.0.0.0');
      await listening;
      return port;
    } catch {
      // Somebody does.
    } finally {
      await closed(socket);
    }
  }
}
