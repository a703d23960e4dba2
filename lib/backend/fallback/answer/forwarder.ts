// Forwards datagrams to back ends and their answers back to the clients, as a NAT does, with a socket towards the back end
// for each client: native/core/answer/forwarder.h. How many hops a datagram has come is not known here, nor how many
// descriptors the process may have.
import { EMFILE, ENFILE, ENOBUFS, ENOMEM } from '../../../base/errno.js';
import { now } from '../../../base/runtime.js';
import type { SocketCounters } from '../counters.js';
import { Host } from '../hosts.js';
import { bindNow, connectNow, makeSocket } from '../node-socket.js';
import { Outlet } from '../outlet.js';
import { finish, mix } from '../protection/hash.js';
import type { LoopGuard, Place } from '../protection/loop-guard.js';
import type { Answers } from './answers.js';

export interface ForwardOptions {
  readonly targets: readonly { readonly family: 4 | 6; readonly address: string; readonly port: number }[];
  readonly balance: 'source' | 'round-robin' | 'all';
  readonly idleMs: number;
  readonly flows: number;
}

/** What its responder does for it. */
export interface ForwardSurroundings {
  readonly toClients: Answers;
  readonly loops: LoopGuard | undefined;
  readonly counters: SocketCounters;
  /** Closes a flow of any forwarder. Is there room now? */
  makeRoom(): boolean;
}

/** Answered requests after which a flow is not evicted. */
const ANSWERS_TO_STAY = 2;
/** A target that is decided when the flow opens. */
const NEXT_TARGET = -1;

interface Flow {
  readonly key: string;
  readonly client: Place;
  readonly outlet: Outlet;
  /** Where it sends from. */
  readonly own: Place;
  used: number;
  requests: number;
  answers: number;
}

export class Forwarder {
  readonly options: ForwardOptions;
  readonly #around: ForwardSurroundings;
  readonly #flows = new Map<string, Flow>();
  // By answered requests, the least recently used first.
  readonly #evictable: readonly Set<Flow>[] = Array.from({ length: ANSWERS_TO_STAY }, () => new Set<Flow>());
  #next = 0;

  constructor(options: ForwardOptions, around: ForwardSurroundings) {
    this.options = options;
    this.#around = around;
  }

  /** How many flows there are. */
  get open(): number {
    return this.#flows.size;
  }

  forward(client: Place, payload: Uint8Array, time: number): void {
    const { targets, balance } = this.options;
    if (balance === 'all') for (const target of targets.keys()) this.#sendTo(target, client, payload, time);
    else if (balance === 'round-robin') this.#sendTo(NEXT_TARGET, client, payload, time);
    else {
      // By the address alone: all ports of a client go to one back end.
      const hash = finish(client.host.words.reduce((sum, word) => mix(sum, word), client.host.family));
      this.#sendTo(hash % targets.length, client, payload, time);
    }
  }

  #sendTo(target: number, client: Place, payload: Uint8Array, time: number): void {
    const key = `${target} ${client.host.text} ${client.port}`;
    const flow = this.#flows.get(key) ?? this.#openFlow(key, target, client, payload, time);
    if (flow === undefined) {
      this.#around.counters.add('forwardDrops');
      return;
    }
    flow.requests++;
    this.#touch(flow, time);
    this.#around.counters.add('forwarded');
    flow.outlet.answer(payload, 0, '');
  }

  // A client that is a flow of ours would be another one's client next, and so on.
  #openFlow(key: string, target: number, client: Place, payload: Uint8Array, time: number): Flow | undefined {
    const { loops, counters, makeRoom } = this.#around;
    if (loops?.hasOwn(client)) {
      counters.add('loopSources');
      return undefined;
    }
    const repeated = loops?.flowRepeats?.repeats(target, payload) ?? false;
    const mayEvict = () => {
      if (!repeated || loops?.flowRepeats?.mayEvict(client.host, time)) return true;
      counters.add('loopRepeats');
      return false;
    };
    if (this.#flows.size >= this.options.flows && !(mayEvict() && this.makeRoom())) return undefined;
    const number = target === NEXT_TARGET ? this.#next++ % this.options.targets.length : target;
    let flow = this.#connect(key, number, client, time);
    if (flow === 'exhausted') flow = mayEvict() && makeRoom() ? this.#connect(key, number, client, time) : undefined;
    if (flow === undefined || flow === 'exhausted') return undefined;
    this.#flows.set(key, flow);
    this.#evictable[0].add(flow);
    loops?.addOwn(flow.own);
    counters.add('flowsOpened');
    return flow;
  }

  #connect(key: string, target: number, client: Place, time: number): Flow | 'exhausted' | undefined {
    const { family, address, port } = this.options.targets[target];
    const socket = makeSocket({ type: family === 4 ? 'udp4' : 'udp6' });
    socket.unref();
    const errno = bindNow(socket, family === 4 ? '0.0.0.0' : '::', 0) || connectNow(socket, address, port);
    if (errno !== 0) {
      socket.close();
      return [EMFILE, ENFILE, ENOBUFS, ENOMEM].includes(errno) ? 'exhausted' : undefined;
    }
    const outlet = new Outlet(socket, this.#around.counters);
    const own = socket.address();
    const place = { host: new Host(own.address), port: own.port };
    const flow = { key, client, outlet, own: place, used: time, requests: 0, answers: 0 };
    socket.on('message', (payload) => this.#returned(flow, payload));
    // That nobody is there (ECONNREFUSED): the back end may come back, and the clients will ask again.
    socket.on('error', () => {});
    return flow;
  }

  #returned(flow: Flow, payload: Uint8Array): void {
    if (this.#flows.get(flow.key) !== flow) return;
    const { counters, toClients } = this.#around;
    flow.answers++;
    this.#touch(flow, now());
    counters.add('returned');
    if (toClients.admits(flow.client, payload, 'reply')) toClients.send(flow.client, payload, 'reply');
  }

  // Something has come from one of its sides.
  #touch(flow: Flow, time: number): void {
    flow.used = time;
    for (const list of this.#evictable) list.delete(flow);
    this.#evictable[Math.min(flow.requests, flow.answers)]?.add(flow);
  }

  /** Closes a flow, if there is one that may be. Is there room now? */
  makeRoom(): boolean {
    const list = this.#evictable.find(({ size }) => size > 0);
    if (list === undefined) return false;
    const [oldest] = list;
    this.#closeFlow(oldest);
    this.#around.counters.add('flowsEvicted');
    return true;
  }

  /** Closes the flows that have been idle for too long. */
  expire(time: number): void {
    for (const flow of this.#flows.values()) {
      if (time - flow.used < this.options.idleMs) continue;
      this.#closeFlow(flow);
      this.#around.counters.add('flowsExpired');
    }
  }

  close(): void {
    for (const flow of this.#flows.values()) this.#closeFlow(flow);
  }

  #closeFlow(flow: Flow): void {
    this.#flows.delete(flow.key);
    for (const list of this.#evictable) list.delete(flow);
    this.#around.loops?.removeOwn(flow.own);
    flow.outlet.close();
  }
}
