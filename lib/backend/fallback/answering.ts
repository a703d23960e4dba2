// Who answers on a socket, as the façade's server says it (native/bridge/server_calls.cc).
import { EBADF, EINVAL } from '../../base/errno.js';
import { now } from '../../base/runtime.js';
import type { NativeAddress, NativeForward } from '../contract.js';
import { Answers } from './answer/answers.js';
import { FixedResponder } from './answer/fixed-responder.js';
import type { ForwardOptions } from './answer/forwarder.js';
import { GuardedResponder } from './answer/guarded-responder.js';
import { RuleResponder } from './answer/rule-responder.js';
import type { SocketCounters } from './counters.js';
import type { Endpoint } from './endpoint.js';
import { Host } from './hosts.js';
import { bindNow, connectNow, makeSocket } from './node-socket.js';
import { Outlet } from './outlet.js';
import { AddressSet } from './protection/address-set.js';
import { LocalAddresses, LoopGuard, listensOn, type Place } from './protection/loop-guard.js';
import type { RateLimit } from './protection/token-buckets.js';
import { decodeRules } from './rules/decode.js';

const BALANCES = ['source', 'round-robin', 'all'] as const;

function forwardOf({ targets, balance, idleMs, flows }: NativeForward): ForwardOptions {
  return {
    targets: targets.map(({ family, address, port }) => ({ family: family === 4 ? 4 : 6, address, port })),
    balance: BALANCES[balance],
    idleMs,
    flows,
  };
}

/** The way out of a socket connected to the target, or -errno. */
function connectedTo({ family, address, port }: NativeAddress, counters: SocketCounters): Outlet | number {
  const socket = makeSocket({ type: family === 4 ? 'udp4' : 'udp6' });
  socket.unref();
  const errno = bindNow(socket, family === 4 ? '0.0.0.0' : '::', 0) || connectNow(socket, address, port);
  if (errno !== 0) {
    socket.close();
    return errno;
  }
  socket.on('error', () => {}); // that nobody is there
  return new Outlet(socket, counters, { toPeer: true });
}

export interface Guard {
  servicePorts: number[];
  servicesGetReplies: boolean;
  repeats?: RateLimit;
}

export interface Fixed {
  echo: boolean;
  reply: Uint8Array;
  keepBytesMax: number;
  target?: NativeAddress;
}

export interface Protection {
  deny: Uint8Array;
  allow?: Uint8Array;
  perSource?: RateLimit & { sources: number };
  total?: RateLimit;
}

/** Of one socket. */
export class Answering {
  readonly #endpoint: Endpoint;
  #loops: LoopGuard | undefined;
  #byRules: RuleResponder | undefined;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  #own(): Place | undefined {
    if (!this.#endpoint.bound) return undefined;
    const { address, port } = this.#endpoint.socket.address();
    return { host: new Host(address), port };
  }

  /** 0 or -errno, as what follows. */
  guardLoops({ servicePorts, servicesGetReplies, repeats }: Guard): number {
    const own = this.#own();
    if (own === undefined) return EBADF;
    this.#loops = new LoopGuard({ own, servicePorts, servicesGetReplies, repeats }, this.#endpoint.counters);
    return 0;
  }

  /** Which of these is where the socket itself listens, or -1. */
  findOwn(targets: NativeAddress[]): number {
    const own = this.#own();
    const local = new LocalAddresses();
    if (own === undefined) return -1;
    return targets.findIndex(({ address, port }) => listensOn(own, { host: new Host(address), port }, local, now()));
  }

  respond({ echo, reply, keepBytesMax, target }: Fixed): number {
    const { outlet, counters } = this.#endpoint;
    const other = target && connectedTo(target, counters);
    if (typeof other === 'number') return other;
    const answers = new Answers(other ?? outlet, this.#loops);
    const said = echo ? undefined : reply.slice();
    this.#endpoint.responder = new FixedResponder(said, keepBytesMax, answers, other);
    return 0;
  }

  setRules({ bytes, names, forwards }: { bytes: Uint8Array; names: string[]; forwards: NativeForward[] }): number {
    const own = this.#own();
    if (own === undefined) return EBADF;
    const spec = decodeRules(bytes);
    if (names.length !== spec.rules.length || forwards.length !== spec.forwards) return EINVAL;
    if (this.#byRules === undefined) {
      const { outlet, counters } = this.#endpoint;
      const answers = new Answers(outlet, this.#loops);
      this.#byRules = new RuleResponder({ port: own.port, answers, loops: this.#loops, counters });
      this.#endpoint.responder = this.#byRules;
    }
    this.#byRules.update(spec, names, forwards.map(forwardOf));
    return 0;
  }

  getRuleHits(): number[] {
    return this.#byRules?.hits() ?? [];
  }

  protect({ deny, allow, perSource, total }: Protection): number {
    const { responder, counters } = this.#endpoint;
    const options = { deny: new AddressSet(deny), allow: allow && new AddressSet(allow), perSource, total };
    if (responder instanceof GuardedResponder) responder.update(options);
    else this.#endpoint.responder = new GuardedResponder(options, responder, counters);
    return 0;
  }
}
