// A server goes to another process, or comes from one: its sockets, what it answers by, what its rules have counted, and the
// flows of those that forward.
import { binding } from '../backend/load.js';
import * as errors from '../base/errors.js';
import type { ServerInside } from '../server/inside.js';
import type { Answering, CheckedServerOptions } from '../server/options.js';
import type { ServerPart } from '../server/part.js';
import { openTaken, type Started } from '../server/parts.js';
import type { CheckedShards } from '../thread/shards.js';
import { growBuffer } from './buffer.js';
import { checkDescriptors, closeAll, kinds } from './channel.js';
import { GivenFlows, takeFlows } from './flows.js';
import { type Giver, give } from './give.js';
import { allRead, offerState, pauseAll, tellDrops } from './offering.js';
import { type Taker, take } from './take.js';

/** How a server answers, and whom. */
type Answers = Pick<CheckedServerOptions, 'answering' | 'protection' | 'maxBytes'>;

interface State extends Answers {
  /** It has so many descriptors. */
  parts: number;
  guarded: boolean;
  /** How the kernel divides among shards, whatever the options of a later one say. */
  shards: CheckedShards | undefined;
  hashed: boolean;
  /** KernelPart.restriction; earlier versions do not say. */
  restriction?: string;
}

interface All {
  what: 'servers';
  /** Of the layouts of what is not JSON. */
  layout: number;
  servers: State[];
}

// Bytes are no JSON.
const BYTES = '\0bytes';

function toJson(all: All): Buffer {
  const withBytes = (_key: string, value: unknown) =>
    value instanceof Uint8Array ? { [BYTES]: Buffer.from(value).toString('base64') } : value;
  return Buffer.from(JSON.stringify(all, withBytes));
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

type Exclusively = Giver['exclusively'];

/** Runs an action while nothing changes any of them. */
function exclusivelyOf(servers: readonly ServerInside[]): Exclusively {
  const [first, ...others] = servers;
  if (others.length === 0) return (action) => first.turns.offer(action);
  const rest = exclusivelyOf(others);
  return (action) =>
    first.turns.offer((one) => rest((other) => action(other === undefined ? one : AbortSignal.any([one, other]))));
}

/** See give(): all of them, or none. A part is of one of them. */
export async function giveServers(servers: readonly ServerInside[], path: string, signal: AbortSignal): Promise<void> {
  const flows = new GivenFlows();
  const parts = () => servers.flatMap((server) => server.parts());
  const forwarding = () =>
    servers.flatMap((server) => server.parts().map((part) => (hasRules(server) ? part : undefined)));
  const giver: Giver = {
    exclusively: exclusivelyOf(servers),
    async offer(channel) {
      for (const { thread, id } of parts()) growBuffer(thread, id);
      const all: All = { what: 'servers', layout: binding.layoutHash, servers: servers.map(stateOf) };
      await offerState(channel, parts(), toJson(all));
      flows.forget();
      for (const [i, part] of forwarding().entries()) if (part !== undefined) await flows.send(channel, i, part);
    },
    pause() {
      for (const { kernel } of servers) kernel.pause();
      return pauseAll(parts());
    },
    async settle(channel) {
      // Behind those of the parts, which is all that earlier versions look at.
      const tallies = [
        ...servers.flatMap((server) => talliesOf(server)),
        ...servers.map(({ kernel }) => kernel.numbers),
      ];
      const sent = [channel.send(kinds.tallies, Buffer.from(JSON.stringify(tallies)))];
      for (const [i, part] of forwarding().entries())
        if (part !== undefined) sent.push(flows.sendAll(channel, i, part));
      await Promise.all(sent);
    },
    async goOn() {
      for (const server of servers) {
        filterAgain(server, server.parts()); // the other one may have put in its own
        for (const { thread, id } of server.parts()) thread.native.watchAgain(id);
      }
      for (const { kernel, options } of servers) await kernel.goOn(options());
    },
    async finish() {
      await allRead(parts());
      for (const server of servers) server.end();
    },
  };
  await give(path, giver, signal);
}

function hasRules(server: ServerInside): boolean {
  return server.options().answering.by === 'rules';
}

/** Nobody else answers there: the kernel's filter is as the server's lists are. */
function filterAgain(server: ServerInside, parts: readonly ServerPart[]): void {
  const { protection } = server.options();
  for (const [i, part] of parts.entries()) part.filterAgain(server.guarded(), protection, i, parts.length);
}

function stateOf(server: ServerInside): State {
  const { answering, protection, maxBytes, shards } = server.options();
  return {
    parts: server.parts().length,
    guarded: server.guarded(),
    answering: plain(answering),
    protection,
    maxBytes,
    shards,
    hashed: server.hashed(),
    restriction: server.kernel.restriction,
  };
}

/** Of a rule by its name: how many replies it has made in the kernel. */
type Numbers = Record<string, number>;

function numbersOf(given: unknown): Numbers {
  const isOne = ([, number]: [string, unknown]) => Number.isSafeInteger(number) && (number as number) >= 0;
  return Object.fromEntries(Object.entries(given ?? {}).filter(isOne));
}

/** Of each part, and each rule by its name. */
type Tallies = Record<string, [matches: number, answers: number]>[];

function namesOf(answering: Answering): readonly string[] {
  return answering.by === 'rules' ? answering.rules.names : [];
}

function talliesOf(server: ServerInside): Tallies {
  const names = namesOf(server.options().answering);
  const past = server.pastHits();
  const inKernel = server.kernel.hits();
  return server.parts().map(({ thread, id }, part) => {
    const counted = thread.native.getTallies(id);
    const before = (name: string, i: number) => (part === 0 ? (past.get(name) ?? 0) + (inKernel[i] ?? 0) : 0);
    return Object.fromEntries(names.map((name, i) => [name, [counted[i * 2] + before(name, i), counted[i * 2 + 1]]]));
  });
}

function setTallies(part: ServerPart, names: readonly string[], tallies: Tallies[number]): void {
  const counted = names.flatMap((name) => (Object.hasOwn(tallies, name) ? tallies[name] : [0, 0]));
  part.thread.native.setTallies(part.id, Float64Array.from(counted));
}

/** One of those that take over. */
class Taking {
  readonly server: ServerInside;
  readonly #before: CheckedServerOptions;
  readonly #wasGuarded: boolean;
  started: Started | undefined;
  hashed = false;

  constructor(server: ServerInside) {
    this.server = server;
    this.#before = server.options();
    this.#wasGuarded = server.guarded();
  }

  get parts(): readonly ServerPart[] {
    return this.started?.parts ?? [];
  }

  /** Opens copies of the descriptors. */
  async prepare(state: State, fds: readonly number[], isSame: boolean): Promise<void> {
    checkDescriptors(fds);
    become(this.server, state, isSame);
    this.hashed = state.hashed;
    this.server.kernel.lookAtTaken(fds, state.restriction, state.shards !== undefined);
    this.started = await openTaken(this.server.options(), fds);
    tellDrops(this.parts);
  }

  heed(tallies: Tallies): void {
    const names = namesOf(this.server.options().answering);
    this.parts.forEach((part, i) => void setTallies(part, names, tallies[i] ?? {}));
  }

  watch(): void {
    for (const part of this.parts) {
      const errno = part.watch(this.server.delivers());
      if (errno !== 0) throw errors.errnoException(errno, 'epoll_ctl');
    }
  }

  abandon(): void {
    for (const part of this.parts) part.release(true);
    this.started = undefined;
    this.server.become(this.#before, this.#wasGuarded);
  }
}

interface Taken {
  started: Started;
  hashed: boolean;
}

/** The parts of each receive. See take(). */
export async function takeServers(servers: readonly ServerInside[], path: string): Promise<Taken[]> {
  const all = servers.map((server) => new Taking(server));
  const parts = () => all.flatMap((taking) => taking.parts);
  let isSame = false; // of flows, a row is what it is there
  const taker: Taker = {
    async prepare(given, fds) {
      try {
        const states = statesOf(given, all.length);
        isSame = (given as All).layout === binding.layoutHash;
        let from = 0;
        for (const [i, state] of states.entries()) {
          await all[i].prepare(state, fds.slice(from, from + state.parts), isSame);
          from += state.parts;
        }
      } finally {
        closeAll(fds);
      }
    },
    flows: (bytes, fds) => takeFlows(isSame ? parts() : [], bytes, fds, false),
    table: (bytes, fds) => takeFlows(isSame ? parts() : [], bytes, fds, true),
    tallies(counted) {
      if (!Array.isArray(counted)) return;
      let from = 0;
      for (const taking of all) {
        taking.heed((counted as Tallies).slice(from, from + taking.parts.length));
        from += taking.parts.length;
      }
      for (const [i, { server }] of all.entries()) server.kernel.numbers = numbersOf(counted[from + i]);
    },
    drops: (counted) => tellDrops(parts(), counted),
    settle() {
      for (const taking of all) filterAgain(taking.server, taking.parts);
    },
    start() {
      for (const taking of all) taking.watch();
      // Which takes longer: meanwhile answers wait in the kernel.
      for (const { thread, id } of parts()) thread.native.beginFlows(id);
    },
    abandon() {
      for (const taking of all) taking.abandon();
    },
  };
  await take(path, taker);
  return all.map(({ started, hashed }) => ({ started: started as Started, hashed }));
}

/** @throws ERR_INVALID_STATE for what is no such number of servers */
function statesOf(given: unknown, expected: number): State[] {
  const { what, servers } = withoutJson(given) as Partial<All>;
  if (what !== 'servers' || servers === undefined) throw errors.invalidState('The other process hands a socket over');
  const found = servers.length;
  if (found === expected) return servers;
  throw errors.invalidState(`The other process hands ${found} server${found === 1 ? '' : 's'} over, not ${expected}`);
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
