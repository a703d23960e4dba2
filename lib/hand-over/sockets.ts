// A UDP socket goes to another process, or comes from one.
import * as errors from '../base/errors.js';
import { setTimeout } from '../base/runtime.js';
import { receive, setUp, takeDescriptor } from '../socket/binding.js';
import type { SocketCore } from '../socket/core.js';
import type { Place } from '../socket/place.js';
import { backlog } from '../socket/sending.js';
import type { Shards } from '../socket/shards.js';
import { growBuffer } from './buffer.js';
import { type Channel, checkDescriptors, closeAll } from './channel.js';
import { type Giver, give } from './give.js';
import { allRead, type Given, offerState, pauseAll, tellDrops } from './offering.js';
import { type Taker, take } from './take.js';

/** How often it is looked whether all is sent. */
const DRAIN_MS = 2;

type Division = Shards['division'];

interface State {
  what: 'socket';
  type: string;
  connected: boolean;
  /** Of a socket with shards. */
  division?: Division | undefined;
  /** Of a local one: what it takes away when it closes. */
  file: string;
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

/** Those that have a descriptor; none of a socket that has closed meanwhile. */
function placesOf(core: SocketCore): Place[] {
  return core.closed ? [] : [core, ...(core.shards?.others ?? [])];
}

function giverOf(core: SocketCore): Giver {
  let file = '';
  return {
    exclusively: (action) => core.shards?.turns.offer(action) ?? action(),
    offer: (channel) => offer(core, channel),
    pause() {
      if (core.closed) return [];
      const { native } = core.running();
      file = native.getFile(core.id);
      native.keepFile(core.id); // from now on also a program that closes this socket would take it from the other one
      return pauseAll(givenOf(core));
    },
    settle: async () => {},
    goOn() {
      for (const place of placesOf(core)) place.running().changing().watchAgain(place.id);
      if (file !== '' && !core.closed) core.running().native.takeFile(core.id, file);
    },
    finish: () => finish(core),
  };
}

/** The same as the threads have them. */
function givenOf(core: SocketCore): Given[] {
  return placesOf(core).map((place) => ({ thread: place.running(), id: place.id }));
}

async function offer(core: SocketCore, channel: Channel): Promise<void> {
  const all = givenOf(core);
  if (core.family.isIp) for (const { thread, id } of all) growBuffer(thread, id);
  const state: State = {
    what: 'socket',
    type: core.family.type,
    connected: core.connectState === 'connected',
    division: core.shards?.division,
    file: core.running().native.getFile(core.id),
  };
  await offerState(channel, all, Buffer.from(JSON.stringify(state)));
}

async function finish(core: SocketCore): Promise<void> {
  while (!core.closed && backlog(core)[0] > 0) await new Promise<void>((resolve) => setTimeout(resolve, DRAIN_MS));
  await allRead(givenOf(core).slice(1)); // and of the first one as it closes
  if (core.closed) return;
  await new Promise<void>((resolve) => {
    core.face.once('close', resolve);
    core.closeWhenRead(undefined);
  });
}

/** The socket's `bindState` is 'binding'. See take(). */
export async function takeSocket(core: SocketCore, path: string): Promise<void> {
  let connected = false;
  let file = '';
  const taker: Taker = {
    async prepare(given, fds) {
      try {
        const state = given as State;
        checkKind(core, state, fds.length);
        if (core.family.isIp) checkDescriptors(fds, core.family.number); // of a local one its descriptor is looked at when it is taken
        ({ connected, file } = state);
        const refused = openAll(core, fds, state.division);
        if (refused !== undefined) throw refused;
        tellDrops(givenOf(core));
      } finally {
        closeAll(fds); // the socket has copies
      }
    },
    flows: (_bytes, fds) => closeAll(fds), // a socket has none
    table: (_bytes, fds) => closeAll(fds),
    tallies() {},
    drops: (counted) => tellDrops(givenOf(core), counted),
    settle() {
      core.checkRunning();
      if (connected) core.connectState = 'connected';
      const refused = setUp(core, true);
      if (refused !== undefined) throw refused;
    },
    start() {
      const refused = receive(core, '', 0);
      if (refused !== undefined) throw refused;
      core.shards?.startReceiving();
      if (file !== '') core.running().native.takeFile(core.id, file);
    },
    abandon(again) {
      if (core.closed) return;
      core.abandon();
      core.bindState = again ? 'binding' : 'unbound';
      if (!again) core.closeIfDeferred();
    },
  };
  await take(path, taker);
  core.face.emit('listening');
}

function openAll(core: SocketCore, fds: readonly number[], division: Division | undefined): Error | undefined {
  if (core.closed) return errors.notRunning();
  const refused = takeDescriptor(core, fds[0]);
  if (refused !== undefined || division === undefined) return refused;
  return core.shards?.takeOver(fds, division);
}

/** @throws ERR_INVALID_STATE for what this socket cannot become */
function checkKind(core: SocketCore, { what, type, division }: State, count: number): void {
  const isSharded = division !== undefined;
  if (what === 'socket' && type === core.family.type && isSharded === (core.shards !== undefined) && count > 0) return;
  const found = what === 'socket' ? `a ${type} socket with${isSharded ? '' : 'out'} shards` : 'a server';
  throw errors.invalidState(`The other process hands ${found} over`);
}
