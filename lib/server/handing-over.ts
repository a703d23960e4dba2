// Servers go to another process, or come from one: all of them, or none. What does it is loaded when it is called.
import * as errors from '../base/errors.js';
import { checkHandOver } from '../socket/hand-over.js';
import { inside, type ServerInside } from './inside.js';

export const hasStopped = () => errors.invalidState('The server has stopped');

interface Handed {
  [inside]: ServerInside;
}

/** See Server.handOver(). */
export async function handOver(
  all: readonly Handed[],
  path: string,
  options?: { signal?: AbortSignal },
): Promise<void> {
  const signal = checkHandOver(path, options);
  const servers = all.map((server) => server[inside]);
  for (const { parts, giving } of servers) {
    if (parts().length === 0) throw errors.invalidState('The server does not run');
    if (giving !== undefined) throw errors.invalidState('The server is being handed over already');
  }
  const stopped = new AbortController();
  for (const server of servers) server.giving = stopped;
  try {
    const { giveServers } = await import('../hand-over/hand-over.js');
    await giveServers(servers, path, AbortSignal.any([signal, stopped.signal]));
  } finally {
    for (const server of servers) server.giving = undefined;
  }
}

/** See Server.takeOver(). As many as there are there. */
export async function takeOver(all: readonly Handed[], path: string): Promise<void> {
  checkHandOver(path);
  const servers = all.map((server) => server[inside]);
  // Each of them waits for its turn, and keeps it until all have begun.
  const inTurn = async (index: number): Promise<void> => {
    if (index < servers.length) return servers[index].turns.change(() => inTurn(index + 1));
    if (servers.some(({ parts }) => parts().length > 0)) throw errors.invalidState('The server runs already');
    const { takeServers } = await import('../hand-over/hand-over.js');
    const taken = await takeServers(servers, path);
    for (const [i, { started, hashed }] of taken.entries()) await servers[i].begin(started, hashed);
  };
  await inTurn(0);
}
