// A loop over what collectors have published: messages are pulled from consumers that the stream keeps, and each is acknowledged when
// the loop asks for what is behind it.
import type { JetStreamManager, JsMsg } from '@nats-io/jetstream';
import * as errors from '../base/errors.js';
import { clearInterval, setInterval } from '../base/runtime.js';
import { expandFrame, FrameError, readFrame } from '../collect/frame.js';
import { Nats } from '../collect/nats.js';
import { SinkError } from '../collect/sink.js';
import type { CollectedDatagram, PackedBatch } from '../collect/types.js';
import { type CheckedConsume, type ConsumeOptions, checkConsumeOptions, type Source } from './options.js';
import { Places } from './places.js';
import { Pulling } from './pulling.js';

/** How many messages are under way here, if order does not matter: so many of a consumer's, or two of each. */
const UNORDERED = 16;
/** Batches that are expanded at a time, of all subjects: a short message may say that it has 64 MiB. */
const EXPANDED_MAX = 4;
const NS_PER_MS = 1_000_000;

/** A batch, with what the stream says of it. */
export interface ConsumedBatch extends PackedBatch {
  /** Its number in the stream. */
  readonly sequence: number;
  /** How often it has been delivered, this time included: more than 1, and somebody may have worked on it before. */
  readonly deliveries: number;
}

/** What a {@link Consumption} has counted. */
export interface ConsumptionStats {
  /** Batches that were worked on and acknowledged. */
  batches: number;
  /** The datagrams in them. */
  datagrams: number;
  /** Of their payloads. */
  bytes: number;
  /** Batches that came again. */
  redelivered: number;
  /** Messages that are none of a collector's. */
  bad: number;
  /** How often the connection was made anew. */
  reconnects: number;
}

interface Held {
  readonly message: JsMsg;
  readonly batch: ConsumedBatch;
  /** It has been worked on, or given back. */
  release(): void;
}

/** What collectors have published, to be looped over, once: by datagram, or by batch. Made by {@link consume}. */
export class Consumption implements AsyncIterable<CollectedDatagram> {
  readonly #options: CheckedConsume;
  #nats: Nats | undefined;
  readonly #pulling: Pulling[] = [];
  readonly #ready: Held[] = [];
  /** What has come, and is neither acknowledged nor passed over. */
  readonly #under = new Set<JsMsg>();
  readonly #places = new Places(EXPANDED_MAX);
  #held: Held | undefined; // by the loop
  #wake: (() => void) | undefined;
  #failure: unknown;
  #opening: Promise<void> | undefined;
  #begun = false;
  #closed = false;
  #ending = false;
  readonly #stats = { batches: 0, datagrams: 0, bytes: 0, redelivered: 0, bad: 0, reconnects: 0 };

  /** @internal */
  constructor(options: ConsumeOptions) {
    this.#options = checkConsumeOptions(options);
  }

  /** Connects, and makes the consumers that are not there; the loop does it otherwise. Rejects with what is wrong and where, as
   * `jetstream()` does, or ERR_KSOCKET_CONSUMER: a consumer of that name is another one. Then nothing is open. ERR_INVALID_STATE:
   * it is closed, or was meanwhile. */
  async open(): Promise<void> {
    this.#refuseClosed();
    this.#opening ??= this.#open();
    try {
      await this.#opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  #refuseClosed(): void {
    if (this.#closed) throw errors.invalidState('The consumption is closed');
  }

  async #open(): Promise<void> {
    const { nats: checked, stream, sources, signal } = this.#options;
    signal?.throwIfAborted();
    const nats = await Nats.connect(checked);
    try {
      const { manager } = await nats.stream(stream);
      for (const source of sources) await this.#provide(nats, manager, source);
      signal?.throwIfAborted();
      this.#refuseClosed();
    } catch (error) {
      await nats.close();
      throw error;
    }
    nats.onReconnect = () => {
      for (const each of this.#pulling) each.again();
    };
    // Else each message would come again and again.
    nats.onForbidden = (error) =>
      this.#fail(nats.failed(error, `acknowledge or ask for messages of the stream ${stream}`));
    this.#nats = nats;
    signal?.addEventListener('abort', this.#abort, { once: true });
  }

  #abort = (): void => {
    this.#fail(this.#options.signal?.reason);
  };

  // The consumer, if it is not there, and of one that is, whether it is the one that is meant.
  async #provide(nats: Nats, manager: JetStreamManager, { durable, filter }: Source): Promise<void> {
    const { stream, ordered, from, ackWaitMs, maxPending } = this.#options;
    const { AckPolicy, DeliverPolicy, JetStreamApiError, JetStreamApiCodes } = nats.clients;
    const pending = ordered ? 1 : maxPending;
    try {
      const { config } = await manager.consumers.info(stream, durable);
      const wrong =
        (config.filter_subject ?? '') !== (filter ?? '')
          ? `its subject is ${config.filter_subject ?? 'any'}`
          : config.ack_policy !== AckPolicy.Explicit
            ? `its acknowledgements are ${config.ack_policy}`
            : config.max_ack_pending !== pending
              ? `${config.max_ack_pending} messages may be under way, and ${pending} are wanted (ordered, maxPending)`
              : undefined;
      if (wrong === undefined) return;
      const message = `The consumer ${durable} of the stream ${stream} at ${nats.where} is another one: ${wrong}`;
      throw new SinkError('ERR_KSOCKET_CONSUMER', message, false);
    } catch (error) {
      const missing = error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound;
      if (!missing) throw nats.failed(error, `look at the consumer ${durable} of the stream ${stream}`);
    }
    try {
      await manager.consumers.add(stream, {
        durable_name: durable,
        ack_policy: AckPolicy.Explicit,
        deliver_policy: from === 'first' ? DeliverPolicy.All : DeliverPolicy.New,
        ack_wait: ackWaitMs * NS_PER_MS,
        max_ack_pending: pending,
        ...(filter === undefined ? {} : { filter_subject: filter }),
      });
    } catch (error) {
      throw nats.failed(error, `make the consumer ${durable} of the stream ${stream}`);
    }
  }

  async #pump(nats: Nats, { durable }: Source): Promise<void> {
    const { stream, sources, ordered, maxPending } = this.#options;
    const count = ordered ? 1 : Math.min(maxPending, Math.max(2, Math.ceil(UNORDERED / sources.length)));
    try {
      const client = nats.clients.jetstream(nats.connection, { timeout: nats.timeoutMs });
      const consumer = await client.consumers.get(stream, durable);
      if (this.#closed) return;
      const pulling = Array.from(
        { length: count },
        () => new Pulling(nats, consumer, (message) => this.#hold(message)),
      );
      this.#pulling.push(...pulling);
      await Promise.all(pulling.map((each) => each.run()));
    } catch (error) {
      if (!this.#closed) this.#fail(nats.failed(error, `consume ${durable} of the stream ${stream}`));
    }
  }

  // Resolves when the loop has worked on it. Is there to be another one? What is asked for when it has failed might be sent where nobody
  // is any more.
  async #hold(message: JsMsg): Promise<boolean> {
    const { ackWaitMs } = this.#options;
    this.#under.add(message);
    const alive = setInterval(() => message.working(), ackWaitMs / 3);
    await this.#places.take();
    try {
      if (this.#closed) return false;
      const frame = readFrame(await expandFrame(message.data), message.subject);
      if (this.#closed) return false;
      const batch = Object.assign(frame, { sequence: message.seq, deliveries: message.info.deliveryCount });
      if (batch.deliveries > 1) this.#stats.redelivered++;
      await new Promise<void>((release) => {
        this.#ready.push({ message, batch, release });
        this.#wake?.();
      });
    } catch (error) {
      await this.#bad(message, error);
    } finally {
      clearInterval(alive);
      this.#places.give();
    }
    return this.#failure === undefined;
  }

  // What ends the loop is given back by close(): now it would come here again.
  async #bad(message: JsMsg, error: unknown): Promise<void> {
    const { onBad } = this.#options;
    const { subject, seq: sequence } = message;
    if (!(error instanceof FrameError) || error.code === 'ERR_KSOCKET_NO_ZSTD' || onBad === undefined) {
      if (error instanceof Error) errors.withContext(error, `${subject}, message ${sequence}`);
      this.#fail(error);
      return;
    }
    try {
      await onBad(error, { sequence, subject });
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    if (!this.#under.delete(message)) return; // closed meanwhile
    this.#stats.bad++;
    message.term();
  }

  #fail(error: unknown): void {
    this.#failure ??= error ?? errors.invalidState('The consumption was aborted');
    this.#wake?.();
  }

  // Undefined: it is closed.
  async #next(): Promise<Held | undefined> {
    for (;;) {
      if (this.#closed || this.#ending) return undefined;
      if (this.#failure !== undefined) throw this.#failure;
      const held = this.#ready.shift();
      if (held !== undefined) return held;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #done({ message, batch, release }: Held): void {
    this.#under.delete(message);
    message.ack();
    this.#stats.batches++;
    this.#stats.datagrams += batch.count;
    this.#stats.bytes += batch.payloadBytes;
    release();
  }

  /**
   * The loop by batch. A batch is acknowledged when the loop asks for the next one; leaving the loop gives the present one back, and
   * it comes again, here or elsewhere. Once: ERR_INVALID_STATE.
   */
  async *batches(): AsyncIterableIterator<ConsumedBatch> {
    if (this.#begun) throw errors.invalidState('There is a loop already');
    this.#begun = true;
    try {
      await this.open();
      for (const source of this.#options.sources) void this.#pump(this.#nats as Nats, source);
      for (;;) {
        const held = await this.#next();
        if (held === undefined) return;
        this.#held = held;
        yield held.batch;
        if (this.#closed) return;
        this.#held = undefined;
        this.#done(held);
      }
    } finally {
      await this.close();
    }
  }

  /** The loop by datagram, over the same: a batch is acknowledged when the loop asks for the datagram behind its last. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<CollectedDatagram> {
    for await (const batch of this.batches()) yield* batch.datagrams();
  }

  /** What it has counted. */
  stats(): ConsumptionStats {
    return { ...this.#stats, reconnects: this.#stats.reconnects + (this.#nats?.reconnects ?? 0) };
  }

  /** Ends the loop when it asks for more: what it has worked on is acknowledged, and the rest given back. */
  end(): void {
    this.#ending = true;
    this.#wake?.();
  }

  /** Ends the loop, gives back what it has not worked on, and closes the connection. The consumers stay. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.signal?.removeEventListener('abort', this.#abort);
    this.#wake?.();
    if (this.#nats === undefined) await this.#opening?.catch(() => {}); // it finds that it is closed
    const nats = this.#nats;
    if (nats === undefined) return;
    this.#stats.reconnects = nats.reconnects;
    this.#nats = undefined;
    // Nothing is pulled any more before anything is given back: it would come here.
    const all = this.#held === undefined ? this.#ready.splice(0) : [this.#held, ...this.#ready.splice(0)];
    for (const { release } of all) release();
    for (const each of this.#pulling) each.stop();
    if (await nats.flush()) for (const message of this.#under) message.nak();
    this.#under.clear();
    await nats.close(); // what was acknowledged has left
  }

  /** `await using`: as close(). */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * What collectors have published to a stream of NATS JetStream, as an async iterable of datagrams; `batches()` is the loop by batch.
 * Takes the packages `@nats-io/transport-node` and `@nats-io/jetstream`, or it rejects with ERR_KSOCKET_NATS_MISSING.
 *
 * Each batch comes at least once. It comes again when nobody has acknowledged it: who worked on it has ended or hung, or its
 * acknowledgement was lost. Whoever must not work on a datagram twice looks at `batch.id`, and `batch.deliveries`.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function consume(options: ConsumeOptions): Consumption {
  return new Consumption(options);
}
