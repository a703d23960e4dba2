// Plays a scenario from its beginning to its end, and throws where something does not hold.

import { IoThread } from '../../build-lib/thread/io-thread.js';
import { defaultThreadOptions } from '../../build-lib/thread/options.js';
import { budget } from '../../build-lib/thread/turns.js';
import { setRingSize } from './memory.js';
import { stepping } from './native.js';
import { type Action, type Scenario, SIZES, STEPS, TIMES_NS } from './scenario.js';
import { collectSent } from './sent.js';
import { type SocketKind, TestSocket } from './socket.js';
import { fail, shared, Thrown, world } from './world.js';

/** Room for the longest datagram: without it no socket would ever be read that waits for room. */
const ARENA_MIN = 65_535;
const SOCKETS_MAX = 6;
const EPERM = 1;
const EAGAIN = 11;
const ENOMEM = 12;
const EINVAL = 22;
const ENOBUFS = 105;
const ECONNREFUSED = 111;
const REFUSALS = [EAGAIN, EPERM, EINVAL, ENOBUFS, ECONNREFUSED];

export function play(scenario: Scenario): void {
  const player = new Player(scenario);
  try {
    player.run();
  } finally {
    player.end();
  }
}

class Player {
  readonly #scenario: Scenario;
  readonly #thread: IoThread;
  readonly #sockets: TestSocket[] = [];
  readonly #reactions: (Action | null)[];
  #depth = 0; // of listeners on the stack
  #ending = false;
  #key = 0; // of the latest payload

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    this.#reactions = [...scenario.reactions];
    world.begin(scenario.pauses);
    this.#prepareBudget();
    const anyWaits = scenario.sockets.some(({ drops }) => !drops);
    setRingSize(scenario.slots, (anyWaits ? ARENA_MIN : 1) + scenario.arena);
    stepping.share(scenario.shares);
    this.#thread = IoThread.start({ ...defaultThreadOptions, rxUsecs: scenario.rxUsecs }, () => {});
    for (const kind of scenario.sockets) this.#open(kind);
  }

  run(): void {
    const actions = [...this.#scenario.actions];
    while (actions.length > 0) world.call(() => this.#performSome(actions));
    if (this.#scenario.stops) {
      world.see('stopped at some moment');
      return;
    }
    world.hush();
    this.#comeToRest();
    this.#collect();
    for (const socket of this.#sockets) if (!socket.closed) socket.checkAtRest();
    if (shared('base') !== 0) world.see('rings that start over');
    const waiting = (shared('head') - shared('tail')) | 0;
    if (waiting !== 0) fail(`${waiting} records wait in the ring, and nobody comes`);
    if (shared('wakePending') !== 0) fail('the flag says that a wake-up is under way, and none is');
    if (shared('crowding') !== 0) fail('a socket has the most to do, and there is nothing to do');
  }

  /** Also of what has failed. */
  end(): void {
    world.hush();
    for (const socket of this.#sockets) {
      if (!socket.closed) stepping.forget(socket.fd);
    }
    this.#thread.stop();
    world.clear();
  }

  // As if the process had just begun, or had run for long.
  #prepareBudget(): void {
    budget.begin();
    world.advance(2e6);
    budget.look();
    if (this.#scenario.practised) {
      for (let i = 0; i < 500; i++) budget.look();
    }
    budget.renew();
    world.advance(1e8);
  }

  #open(kind: SocketKind): void {
    if (this.#sockets.length === SOCKETS_MAX) return;
    // Where nothing may be lost, a cut super-datagram has to fit whole: native/core/memory/rx_ring.h.
    const keepBytesMax = kind.drops || this.#scenario.slots >= 128 ? kind.keepBytesMax : ARENA_MIN;
    this.#sockets.push(new TestSocket(this.#thread, { ...kind, keepBytesMax }, (socket) => this.#react(socket)));
  }

  #react(socket: TestSocket): void {
    if (shared('crowding') !== 0) world.see('sockets in turn');
    this.#depth++;
    try {
      this.#performSome(this.#reactions, socket);
    } finally {
      this.#depth--;
    }
  }

  // Those at the front that happen in one callback.
  #performSome(actions: (Action | null)[], own?: TestSocket): void {
    let action: Action | null | undefined;
    do {
      action = actions.shift();
      if (action) this.#perform(action, own);
    } while (action?.more);
  }

  #collect(): void {
    collectSent((fd) => this.#sockets.find((socket) => !socket.closed && socket.fd === fd)?.sent);
  }

  #perform(action: Action, own?: TestSocket): void {
    const { kind, count, socket: which } = action;
    const size = SIZES[action.size];
    const open = this.#sockets.filter(({ closed }) => !closed);
    const socket = which === 0 && own !== undefined && !own.closed ? own : open[which % open.length];
    switch (kind) {
      case 'step':
        world.step(STEPS[count]);
        return;
      case 'wake':
        if (this.#depth > 0) world.see('event loop turned by a listener');
        world.wake();
        return;
      case 'turn':
        world.turn();
        return;
      case 'poll':
        world.poll();
        return;
      case 'wait':
      case 'spend':
        world.advance(TIMES_NS[count]);
        return;
      case 'throw':
        if (own !== undefined) throw new Thrown();
        return;
      case 'open':
        this.#open(this.#scenario.sockets[which % this.#scenario.sockets.length]);
        return;
    }
    if (socket !== undefined) this.#performOn(socket, kind, count, size);
  }

  #performOn(socket: TestSocket, kind: Action['kind'], count: number, size: number): void {
    switch (kind) {
      case 'arrive':
        for (let i = 0; i <= count >> 1; i++) this.#arrive(socket, size + (count & 1 ? 0 : i), 0);
        break;
      case 'arrive joined':
        this.#arrive(socket, size + 2, Math.ceil((size + 2) / (2 + count)));
        break;
      case 'fail':
        socket.received.fail(count % 2 === 0 ? ECONNREFUSED : ENOMEM);
        break;
      case 'full':
        if (!this.#ending) socket.setFull(true);
        break;
      case 'writable':
        socket.setFull(false);
        break;
      case 'refuse':
        stepping.refuse(socket.fd, count & 3, REFUSALS[size % REFUSALS.length]);
        break;
      case 'send':
        for (let i = 0; i <= count >> 1; i++) {
          const key = ++this.#key;
          socket.send(this.#port(key, count, size), key, size, (key & 1) === 0, (key & 2) === 0);
        }
        break;
      case 'send run':
        // Empty ones cannot be told from each other.
        socket.sendRun(9000 + (count % 3), this.#key + 1, count + 2, Math.max(1, size));
        this.#key += count + 2;
        break;
      case 'answer':
        socket.answer(++this.#key, size);
        break;
      case 'detach':
        socket.received.detach();
        break;
      case 'mode':
        socket.wantsBatches = !socket.wantsBatches;
        break;
      case 'close':
        world.see(this.#depth > 0 ? 'closed by a listener' : 'closed');
        socket.close(() => this.#collect());
        break;
    }
  }

  // Empty ones are told from each other by where they go.
  #port(key: number, count: number, size: number): number {
    return size === 0 ? 20_000 + key : 9000 + (count % 3);
  }

  #arrive(socket: TestSocket, size: number, segmentSize: number): void {
    const key = ++this.#key;
    socket.received.arrive(1024 + key, key, Math.min(size, 65_507), segmentSize < size ? segmentSize : 0);
  }

  #arrivalsWaiting(): number {
    return this.#sockets.reduce((sum, { closed, fd }) => sum + (closed ? 0 : stepping.waiting(fd)), 0);
  }

  // Everybody goes on, in turn, until nobody has anything to do.
  #comeToRest(): void {
    this.#ending = true;
    for (const socket of this.#sockets) {
      if (!socket.closed) socket.setFull(false);
    }
    for (let round = 0; round < 2000; round++) {
      let busy = world.step(100) > 0;
      busy = world.wake() || busy;
      busy = world.turn() || busy;
      const waiting = this.#arrivalsWaiting();
      if (waiting > 0) world.poll();
      busy ||= this.#arrivalsWaiting() !== waiting;
      if (busy) continue;
      const at = stepping.wakesAt();
      if (at === Number.POSITIVE_INFINITY) return;
      world.advance(Math.max(1, at - world.ns));
    }
    fail('it does not come to an end');
  }
}
