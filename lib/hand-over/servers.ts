// A server goes to another process, or comes from one: its sockets, what it answers by, what its rules have counted, and the
// flows of those that forward.
import { closeSync } from 'node:fs';
import { binding } from '../backend/load.js';
import * as errors from '../base/errors.js';
import type { ServerInside } from '../server/inside.js';
import type { Answering, CheckedServerOptions } from '../server/options.js';
import type { ServerPart } from '../server/part.js';
import { openTaken, type Started } from '../server/parts.js';
import type { CheckedShards } from '../thread/shards.js';
import { growBuffer } from './buffer.js';
import { checkDescriptors, kinds } from './channel.js';
import { GivenFlows, takeFlows } from './flows.js';
import { type Giver, give } from './give.js';
import { allRead, offerState, pauseAll, tellDrops } from './offering.js';
import { type Taker, take } from './take.js';

/** How a server answers, and whom. */
type Answers = Pick<CheckedServerOptions, 'answering' | 'protection' | 'maxBytes'>;

interface State extends Answers {
  what: 'server';
  /** Of the layouts of what is not JSON. */
  layout: number;
  guarded: boolean;
  /** How the kernel divides among shards, whatever the options of a later one say. */
  shards: CheckedShards | undefined;
  hashed: boolean;
}

// Bytes are no JSON.
const BYTES = '\0bytes';

function toJson(state: State): Buffer {
  const withBytes = (_key: string, value: unknown) =>
    value instanceof Uint8Array ? { [BYTES]: Buffer.from(value).toString('base64') } : value;
  return Buffer.from(JSON.stringify({ ...state, answering: plain(state.answering) }, withBytes));
}

// A Buffer would become an object by itself.
function plain(answering: Answering): Answering {
  return answering.by === 'reply' ? { ...answering, reply: Uint8Array.from(answering.reply) } : answering;
}

function withoutJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const bytes = (value as Record<string, unknown>)[BYTES];
  if (typeof bytes === 'string') return Uint8Array.from(Buffer.from(bytes, 'base64'));
  if (Array.isArray(value)) return value.map(withoutJson);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withoutJson(each)]));
}

/** See give(). */
export async function giveServer(server: ServerInside, path: string, signal: AbortSignal): Promise<void> {
  const flows = new GivenFlows();
  const hasRules = server.options().answering.by === 'rules';
  const giver: Giver = {
    exclusively: (action) => server.exclusively(action),
    async offer(channel) {
      for (const { thread, id } of server.parts()) growBuffer(thread, id);
      await offerState(channel, server.parts(), toJson(stateOf(server)));
      flows.forget();
      if (!hasRules) return;
      for (const [i, part] of server.parts().entries()) await flows.send(channel, i, part);
    },
    pause: () => pauseAll(server.parts()),
    async settle(channel) {
      if (!hasRules) return;
      const sent = [channel.send(kinds.tallies, Buffer.from(JSON.stringify(talliesOf(server))))];
      for (const [i, part] of server.parts().entries()) sent.push(flows.sendAll(channel, i, part));
      await Promise.all(sent);
    },
    goOn() {
      const parts = server.parts();
      for (const [i, part] of parts.entries()) {
        part.filterAgain(server.guarded(), server.options().protection, i, parts.length); // the other one may have put in its own
        part.thread.native.watchAgain(part.id);
      }
    },
    async finish() {
      await allRead(server.parts());
      server.end();
    },
  };
  await give(path, giver, signal);
}

function stateOf(server: ServerInside): State {
  const { answering, protection, maxBytes, shards } = server.options();
  return {
    what: 'server',
    layout: binding.layoutHash,
    guarded: server.guarded(),
    answering,
    protection,
    maxBytes,
    shards,
    hashed: server.hashed(),
  };
}

/** Of each part, and each rule by its name. */
type Tallies = Record<string, [matches: number, answers: number]>[];

function namesOf(answering: Answering): readonly string[] {
  return answering.by === 'rules' ? answering.rules.names : [];
}

function talliesOf(server: ServerInside): Tallies {
  const names = namesOf(server.options().answering);
  const past = server.pastHits();
  return server.parts().map(({ thread, id }, part) => {
    const counted = thread.native.getTallies(id);
    const before = (name: string) => (part === 0 ? (past.get(name) ?? 0) : 0);
    return Object.fromEntries(names.map((name, i) => [name, [counted[i * 2] + before(name), counted[i * 2 + 1]]]));
  });
}

function setTallies(part: ServerPart, names: readonly string[], tallies: Tallies[number]): void {
  const counted = names.flatMap((name) => (Object.hasOwn(tallies, name) ? tallies[name] : [0, 0]));
  part.thread.native.setTallies(part.id, Float64Array.from(counted));
}

/** The parts receive. See take(). */
export async function takeServer(server: ServerInside, path: string): Promise<{ started: Started; hashed: boolean }> {
  const before = server.options();
  const wasGuarded = server.guarded();
  let started: Started | undefined;
  let hashed = false;
  const parts = () => started?.parts ?? [];
  let isSame = false; // of flows, a row is what it is there
  const taker: Taker = {
    async prepare(given, fds) {
      try {
        const state = withoutJson(given) as State;
        if (state.what !== 'server') throw errors.invalidState('The other process hands a socket over');
        checkDescriptors(fds);
        isSame = state.layout === binding.layoutHash;
        become(server, state, isSame);
        hashed = state.hashed;
        started = await openTaken(server.options(), fds);
        tellDrops(parts());
      } finally {
        for (const fd of fds) closeSync(fd);
      }
    },
    flows: (bytes, fds) => takeFlows(isSame ? parts() : [], bytes, fds, false),
    table: (bytes, fds) => takeFlows(isSame ? parts() : [], bytes, fds, true),
    tallies(counted) {
      const names = namesOf(server.options().answering);
      parts().forEach((part, i) => void setTallies(part, names, (counted as Tallies)[i] ?? {}));
    },
    drops: (counted) => tellDrops(parts(), counted),
    settle() {
      const { protection } = server.options();
      for (const [i, part] of parts().entries()) part.filterAgain(server.guarded(), protection, i, parts().length);
    },
    start() {
      for (const part of parts()) {
        const errno = part.watch(server.delivers());
        if (errno !== 0) throw errors.errnoException(errno, 'epoll_ctl');
      }
      // Which takes longer: meanwhile answers wait in the kernel.
      for (const { thread, id } of parts()) thread.native.beginFlows(id);
    },
    abandon() {
      for (const part of parts()) part.release(true);
      server.become(before, wasGuarded);
    },
  };
  await take(path, taker);
  return { started: started as unknown as Started, hashed };
}

// The options are as before, but for what they leave to the other process, and for what its sockets are.
function become(server: ServerInside, state: State, isSame: boolean): void {
  const changed: Partial<CheckedServerOptions> = {};
  if (!server.says) {
    if (state.answering.by === 'rules' && !isSame) {
      throw errors.invalidState('The other process has another version of ksocket: give this server its rules');
    }
    changed.answering = state.answering;
    changed.maxBytes = state.maxBytes;
  }
  if (!server.guarded()) changed.protection = state.protection;
  changed.shards = state.shards;
  server.become(changed, server.guarded() || state.guarded);
}
