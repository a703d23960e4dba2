// Messages of one consumer that the stream keeps, one at a time: each is asked for when the one before it has been worked on. What the
// client of NATS would fetch ahead nobody could say of that it is still being worked on, nor give back.
import type { Consumer, ConsumerMessages, JsMsg } from '@nats-io/jetstream';
import type { Nats } from '../collect/nats.js';
import { sleep } from '../collect/time.js';

/** After so long it is asked anew; and who hears nothing for twice the other looks what is wrong. */
const PULL_MS = 10_000;
const HEARTBEAT_MS = 1000;
/** Until a server that has come back, or another one that leads, is asked again. */
const AGAIN_MS = 250;

export class Pulling {
  readonly #nats: Nats;
  readonly #consumer: Consumer;
  readonly #take: (message: JsMsg) => Promise<boolean>;
  #messages: ConsumerMessages | undefined; // that are waited for
  #stopped = false;

  /** `take` resolves when it has been worked on: is there to be another one? */
  constructor(nats: Nats, consumer: Consumer, take: (message: JsMsg) => Promise<boolean>) {
    this.#nats = nats;
    this.#consumer = consumer;
    this.#take = take;
  }

  /** Resolves when it is stopped. Rejects when there is no such consumer any more, or it may not be asked. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      try {
        const message = await this.#next();
        if (message !== undefined && !(await this.#take(message))) return;
      } catch (error) {
        if (this.#stopped) return;
        await this.#look(error);
        await sleep(AGAIN_MS);
      }
    }
  }

  async #next(): Promise<JsMsg | undefined> {
    const options = { max_messages: 1, expires: PULL_MS, idle_heartbeat: HEARTBEAT_MS };
    const messages = await this.#consumer.fetch(options);
    this.#messages = messages;
    let found: JsMsg | undefined;
    try {
      if (this.#stopped) await messages.close();
      for await (const message of messages) found = message;
    } catch (error) {
      if (found === undefined) throw error;
    } finally {
      this.#messages = undefined;
    }
    return found;
  }

  // Is it gone, or who has it? A server that does not answer, or has not read yet what it stores, is asked again.
  async #look(error: unknown): Promise<void> {
    const { ClosedConnectionError, PermissionViolationError } = this.#nats.clients.errors;
    const { JetStreamApiError, JetStreamApiCodes } = this.#nats.clients;
    const { ConsumerNotFound, StreamNotFound } = JetStreamApiCodes;
    const isFinal = (each: unknown) =>
      each instanceof ClosedConnectionError ||
      each instanceof PermissionViolationError ||
      (each instanceof JetStreamApiError && [ConsumerNotFound, StreamNotFound].some((code) => code === each.code));
    if (isFinal(error)) throw error;
    try {
      await this.#consumer.info();
    } catch (failure) {
      if (isFinal(failure) || isFinal((failure as Error).cause)) throw failure;
    }
  }

  /** The connection is another one: what was asked for is asked for again. */
  again(): void {
    void this.#messages?.close();
  }

  /** Nothing is asked for any more. */
  stop(): void {
    this.#stopped = true;
    void this.#messages?.close();
  }
}
