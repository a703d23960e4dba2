// Answers by rules: what matches decides, and the rules can be swapped (native/core/answer/rule_responder.h).
import { isDeepStrictEqual } from 'node:util';
import { clearInterval, now, setInterval, wallClockNs } from '../../../base/runtime.js';
import type { SocketCounters } from '../counters.js';
import type { LoopGuard } from '../protection/loop-guard.js';
import type { Incoming, Responder } from '../responder.js';
import { Program } from '../rules/program.js';
import { render } from '../rules/reply.js';
import type { Request, RuleSpec } from '../rules/rule.js';
import type { Answers } from './answers.js';
import { Forwarder, type ForwardOptions } from './forwarder.js';

const TICK_MS = 1000;

/** Of one rule; goes on counting in the next set that has a rule of this name. */
interface Tally {
  hits: number;
  replies: number;
}

export interface RuleSurroundings {
  /** Where the server listens. */
  readonly port: number;
  readonly answers: Answers;
  readonly loops: LoopGuard | undefined;
  readonly counters: SocketCounters;
}

export class RuleResponder implements Responder {
  readonly #around: RuleSurroundings;
  #program = new Program({ rules: [], otherwise: 'drop', forwards: 0 });
  #tallies = new Map<string, Tally>(); // in the order of the rules
  #tally: Tally[] = [];
  #forwarders = new Map<string, Forwarder>(); // the same of those that forward
  #forwarder: Forwarder[] = [];
  #retired: Forwarder[] = []; // of former rules, while they have flows
  #timer: NodeJS.Timeout | undefined;

  constructor(around: RuleSurroundings) {
    this.#around = around;
  }

  /** From the next datagram on these rules hold. A rule of the same name keeps its counts, one that forwards with the same
   * options its flows; the others' answers still come back until they are idle. */
  update(spec: RuleSpec, names: readonly string[], forwards: readonly ForwardOptions[]): void {
    this.#program = new Program(spec);
    this.#tallies = new Map(names.map((name) => [name, this.#tallies.get(name) ?? { hits: 0, replies: 0 }]));
    this.#tally = [...this.#tallies.values()];
    const forwarding = names.filter((_, i) => spec.rules[i].action === 'forward');
    const former = this.#forwarders;
    this.#forwarders = new Map(
      forwarding.map((name, i) => {
        const kept = former.get(name);
        return [
          name,
          kept !== undefined && isDeepStrictEqual(kept.options, forwards[i]) ? kept : this.#make(forwards[i]),
        ];
      }),
    );
    this.#forwarder = [...this.#forwarders.values()];
    this.#retired.push(...[...former.values()].filter((each) => !this.#forwarder.includes(each)));
    if (this.#forwarder.length > 0) this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
  }

  #make(options: ForwardOptions): Forwarder {
    const { answers, loops, counters } = this.#around;
    return new Forwarder(options, { toClients: answers, loops, counters, makeRoom: () => this.#makeRoom() });
  }

  /** How often each rule has matched, in their order. */
  hits(): number[] {
    return this.#tally.map(({ hits }) => hits);
  }

  answer(incoming: Incoming): boolean {
    const request = { ...incoming, destinationPort: this.#around.port, timeNs: wallClockNs() };
    const index = this.#program.match(request, (counting) => this.#tally[counting].hits++);
    if (index >= 0) this.#tally[index].hits++;
    const rule = this.#program.rules[index];
    switch (rule?.action ?? this.#program.otherwise) {
      case 'deliver':
        return true;
      case 'echo':
        this.#echo(incoming);
        break;
      case 'reply':
        this.#reply(request, index);
        break;
      case 'forward':
        this.#forwarder[rule.forward].forward({ host: incoming.from, port: incoming.port }, incoming.payload, now());
        break;
      default:
        this.#around.counters.add('ruleDrops');
    }
    return false;
  }

  #echo({ payload, from, port }: Incoming): void {
    const { answers, counters } = this.#around;
    const source = { host: from, port };
    if (!answers.admits(source, payload, 'echo')) return;
    counters.add('replies');
    answers.send(source, payload, 'echo');
  }

  #reply(request: Request, index: number): void {
    const { answers, counters } = this.#around;
    const source = { host: request.from, port: request.port };
    if (!answers.admits(source, request.payload, 'reply')) return;
    const tally = this.#tally[index];
    const reply = render(this.#program.rules[index], request, tally.replies);
    if (reply === undefined) {
      counters.add('refusedReplies');
      return;
    }
    tally.replies++;
    counters.add('replies');
    answers.send(source, reply, 'reply');
  }

  // What former rules have left goes first.
  #makeRoom(): boolean {
    return [...this.#retired, ...this.#forwarder].some((each) => each.makeRoom());
  }

  #tick(): void {
    const time = now();
    for (const each of [...this.#forwarder, ...this.#retired]) each.expire(time);
    this.#retired = this.#retired.filter((each) => each.open > 0);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const each of [...this.#forwarder, ...this.#retired]) each.close();
  }
}
