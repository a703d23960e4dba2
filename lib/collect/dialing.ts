// The sockets of a client that connects. The one of NATS closes none on which a server does not answer in time, and says nothing of it.
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/** https://nodejs.org/api/diagnostics_channel.html#built-in-channels */
const CHANNEL = 'net.client.socket';

/** What `connect` resolves with, by the last socket that it has opened: those before it are closed, and all of them when it rejects. */
export async function dialing<Result>(connect: () => Promise<Result>): Promise<Result> {
  const opened: Socket[] = [];
  const here = new AsyncLocalStorage<true>(); // not for longer than it takes: each promise of the process costs more meanwhile
  const onSocket = (message: unknown) => {
    if (here.getStore()) opened.push((message as { socket: Socket }).socket);
  };
  subscribe(CHANNEL, onSocket);
  try {
    const result = await here.run(true, connect);
    opened.pop();
    return result;
  } finally {
    unsubscribe(CHANNEL, onSocket);
    here.disable();
    for (const socket of opened) socket.destroy();
  }
}
