// A UDP socket goes to another process, or comes from one.
import { closeSync } from 'node:fs';
import * as errors from '../base/errors.js';
import { setTimeout } from '../base/runtime.js';
import { listen, takeDescriptor } from '../socket/binding.js';
import type { SocketCore } from '../socket/core.js';
import { backlog } from '../socket/sending.js';
import { growBuffer } from './buffer.js';
import { type Channel, kinds } from './channel.js';
import { type Giver, give } from './give.js';
import { type Taker, take } from './take.js';

/** How often it is looked whether all is sent. */
const DRAIN_MS = 2;

interface State {
  what: 'socket';
  type: string;
  connected: boolean;
}

const giving = new WeakSet<SocketCore>();

/** @throws ERR_INVALID_STATE; see give() */
export async function giveSocket(core: SocketCore, path: string, signal: AbortSignal): Promise<void> {
  if (giving.has(core)) throw errors.invalidState('The socket is being handed over already');
  giving.add(core);
  const stopping = new AbortController();
  const closed = () => stopping.abort(errors.notRunning());
  core.face.once('close', closed);
  try {
    await give(path, giverOf(core), AbortSignal.any([signal, stopping.signal]));
  } finally {
    core.face.removeListener('close', closed);
    giving.delete(core);
  }
}

function giverOf(core: SocketCore): Giver {
  const { face } = core;
  return {
    exclusively: (action) => action(),
    async offer(channel: Channel) {
      if (!core.options.recvBufferSize) growBuffer(core.running(), core.id);
      const fd = core.running().changing().copyFd(core.id);
      if (fd < 0) throw errors.errnoException(fd, 'dup');
      const connected = core.connectState === 'connected';
      const state: State = { what: 'socket', type: core.family.type, connected };
      try {
        await channel.send(kinds.state, Buffer.from(JSON.stringify(state)), [fd]);
      } finally {
        closeSync(fd);
      }
    },
    pause: () => core.running().changing().unwatch(core.id),
    settle: async () => {},
    goOn() {
      if (!core.closed) core.running().changing().watchAgain(core.id);
    },
    async finish() {
      while (!core.closed && backlog(core)[0] > 0) await new Promise<void>((resolve) => setTimeout(resolve, DRAIN_MS));
      if (core.closed) return;
      await new Promise<void>((resolve) => {
        face.once('close', resolve);
        core.closeWhenRead(undefined);
      });
    },
  };
}

/** The socket's `bindState` is 'binding'. See take(). */
export async function takeSocket(core: SocketCore, path: string): Promise<void> {
  let connected = false;
  const taker: Taker = {
    async prepare(given, fds) {
      const state = given as State;
      if (state.what !== 'socket' || state.type !== core.family.type || fds.length !== 1) {
        for (const fd of fds) closeSync(fd);
        const what = state.what === 'socket' ? `a ${state.type} socket` : 'a server';
        throw errors.invalidState(`The other process hands ${what} over`);
      }
      connected = state.connected;
      const refused = core.closed ? errors.notRunning() : takeDescriptor(core, fds[0]);
      closeSync(fds[0]); // the socket has a copy
      if (refused !== undefined) throw refused;
    },
    flows() {},
    table() {},
    tallies() {},
    start() {
      core.checkRunning();
      if (connected) core.connectState = 'connected';
      const refused = listen(core, '', 0, true);
      if (refused !== undefined) throw refused;
    },
    abandon() {
      if (core.closed) return;
      core.abandon();
      core.bindState = 'unbound';
    },
  };
  await take(path, taker);
  core.face.emit('listening');
}
