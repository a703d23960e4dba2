// `ksocket consume`: what collectors have handed to NATS JetStream, as lines of JSON.
import type { Command } from 'commander';
import type { PackedBatch, Sink } from '../collect/index.js';
import type { BadMessage, Consumption } from '../consume/index.js';
import { complain } from './fail.js';
import { integer } from './numbers.js';
import { onEnding } from './signals.js';
import { defineNatsAccess, type NatsAccess, natsOptions, parseServers } from './target.js';

/** Who runs it for somebody else may pass a signal on that has come already (npx). */
const SAME_SIGNAL_MS = 250;
const DRAIN_S = 10;

interface ConsumeOptions extends NatsAccess {
  from: string[];
  stream: string;
  durable: string;
  subject?: string[];
  new?: boolean;
  unordered?: boolean;
  ackWait?: number;
  skipBad?: boolean;
  drain: number;
}

const examples = `
Examples:
  ksocket consume --from nats://127.0.0.1 --stream LOGS --durable grep | jq -r .text
  ksocket consume --from nats://a:4222,b:4222 --stream LOGS --durable archive --subject 'syslog.>'

Batches are acknowledged when their lines are written: all who say the same --durable share them, and one that comes back goes on where
it was. What was not acknowledged comes again. docs/collect.md
The first SIGTERM, SIGINT or SIGHUP has the present batch written, and ends with 0; or with 1, when that was not possible within --drain
seconds. Another one ends it at once, with 1.`;

export function defineConsume(program: Command): void {
  const command = program
    .command('consume')
    .description('print what collectors have handed to NATS JetStream, as lines of JSON')
    .requiredOption('-f, --from <servers>', 'nats://HOST:PORT, several of one cluster with commas', parseServers)
    .requiredOption('--stream <name>', 'the stream')
    .requiredOption('--durable <name>', 'the consumer; it is made if it is not there')
    .option('--subject <subjects...>', 'only these, with wildcards; of several each has a consumer of its own')
    .option('--new', 'a consumer that is made begins with what comes, not with what the stream has')
    .option('--unordered', 'several batches of a subject may be under way at a time, at all who share the consumer')
    .option('--ack-wait <seconds>', 'after which a batch comes again when this process hangs', integer(1, 86_400))
    .option('--skip-bad', 'pass over messages that are none of a collector’s, for good, instead of ending')
    .option('--drain <seconds>', 'that writing may take at the end', integer(0, 2_147_483), DRAIN_S);
  defineNatsAccess(command).addHelpText('after', examples).action(consume);
}

async function consume(options: ConsumeOptions): Promise<void> {
  const { from, stream, durable, subject, unordered, ackWait, skipBad, drain } = options;
  const [{ lines }, entry] = await Promise.all([import('../collect/index.js'), import('../consume/index.js')]);
  const consumption = entry.consume({
    ...natsOptions(from, options),
    stream,
    durable,
    subject: subject?.length === 1 ? subject[0] : subject,
    ordered: !unordered,
    from: options.new ? 'new' : 'first',
    ...(ackWait === undefined ? {} : { ackWaitMs: ackWait * 1000 }),
    ...(skipBad ? { onBad: passedOver } : {}),
  });
  const printing = new Printing(consumption, lines(), drain * 1000);
  onEnding(() => printing.onSignal());
  await printing.run(`consuming ${stream} as ${durable} from ${from.join(', ')}`);
}

function passedOver({ message }: Error, { subject, sequence }: BadMessage): void {
  complain(`passed over: ${subject}, message ${sequence}: ${message}`);
}

class Printing {
  readonly #consumption: Consumption;
  readonly #sink: Sink;
  readonly #drainMs: number;
  readonly #late = new AbortController();
  #opened = false;
  #stoppingSince: number | undefined;
  #present: PackedBatch | undefined;

  constructor(consumption: Consumption, sink: Sink, drainMs: number) {
    this.#consumption = consumption;
    this.#sink = sink;
    this.#drainMs = drainMs;
  }

  /** Resolves when it has ended as it was told to. Rejects with what is wrong. */
  async run(what: string): Promise<void> {
    const { signal } = this.#late;
    await this.#sink.open({ signal, batchBytes: 0, inFlight: 1 });
    await this.#consumption.open();
    this.#opened = true;
    complain(what);
    try {
      for await (const batch of this.#consumption.batches()) {
        this.#present = batch;
        await this.#sink.write(batch, signal);
        this.#present = undefined;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      this.#endNow(); // what standard output has not taken would keep the process
    }
    const { batches, datagrams } = this.#consumption.stats();
    complain(`${datagrams} datagrams of ${batches} batches are printed and acknowledged`);
  }

  onSignal(): void {
    const now = performance.now();
    if (!this.#opened) process.exit(); // nothing has come
    if (this.#stoppingSince === undefined) {
      this.#stoppingSince = now;
      this.#consumption.end();
      setTimeout(() => this.#late.abort(), this.#drainMs).unref();
    } else if (now - this.#stoppingSince > SAME_SIGNAL_MS) {
      this.#endNow();
    }
  }

  #endNow(): never {
    const count = this.#present?.count ?? 0;
    complain(`a batch of ${count} datagrams is not acknowledged, and comes again`);
    process.exit(1);
  }
}
