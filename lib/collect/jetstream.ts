// A sink: batches become messages of a stream of NATS JetStream, which says of each that it has it.
import type { JetStreamClient, StreamConfig, StreamInfo } from '@nats-io/jetstream';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { now } from '../base/runtime.js';
import { validateBoolean, validateInteger, validateObject } from '../base/validate.js';
import { compressFrame, hasZstd } from './frame.js';
import { type CheckedNats, checkNats, NATS_KEYS, Nats, type NatsOptions } from './nats.js';
import { type Sink, SinkError, type SinkOpening, type Subject, type WriteResult } from './sink.js';
import { checkName, covers, examplesOf, subjectOf } from './subject.js';
import type { PackedBatch } from './types.js';

/** What {@link jetstream} takes. */
export interface JetstreamOptions extends NatsOptions {
  /** The name of the stream. It has to be there. */
  stream: string;
  /** The subjects of messages; they have to be the stream's. What a template or a function says: {@link Subject}. */
  subject: Subject;
  /** Into how many sequences the datagrams of each subject are divided, by their source's address, 1 to 64; 4 by default: so many
   * messages of it may be on their way at the same time. */
  lanes?: number;
  /** Messages are compressed with zstd, if this runtime can (Node 22.15, 23.8): on by default, then consumers have to be able to. */
  compress?: boolean;
}

const LANES = 4;
/** Of a message that are not the batch's: its headers. */
const HEADERS_BYTES = 512;
/** No stream is called that. */
const NO_STREAM = '.';
const STREAM_NOT_MATCHED = 10060;

/** Where a stream has no room, and refuses what is new. */
function isFull({ config, state }: StreamInfo): boolean {
  if (config.discard !== 'new') return false;
  return (
    (config.max_bytes > 0 && state.bytes >= config.max_bytes) ||
    (config.max_msgs > 0 && state.messages >= config.max_msgs)
  );
}

class Jetstream implements Sink {
  readonly name: string;
  readonly subject: Subject;
  readonly lanes: number;
  readonly #checked: CheckedNats;
  readonly #stream: string;
  readonly #compress: boolean;
  #nats: Nats | undefined;
  #client: JetStreamClient | undefined;
  readonly #compressed = new WeakMap<PackedBatch, Uint8Array>();
  readonly #tried = new WeakSet<PackedBatch>();
  #messages = 0;
  #bytes = 0;
  #reconnects = 0;

  constructor(options: JetstreamOptions) {
    validateObject(options, 'options');
    refuseUnknown(options, 'options', [...NATS_KEYS, 'stream', 'subject', 'lanes', 'compress'].sort());
    const { stream, subject, lanes = LANES, compress = true } = options;
    this.#checked = checkNats(options);
    checkName(stream, 'options.stream');
    subjectOf(subject);
    validateInteger(lanes, 'options.lanes', 1, 64);
    validateBoolean(compress, 'options.compress');
    this.#stream = stream;
    this.subject = subject;
    this.lanes = lanes;
    this.#compress = compress && hasZstd();
    this.name = `jetstream ${stream} at ${this.#checked.servers.join(', ')}`;
  }

  async open({ signal, batchBytes }: SinkOpening): Promise<void> {
    signal.throwIfAborted();
    const nats = await Nats.connect(this.#checked);
    try {
      signal.throwIfAborted();
      const { info } = await nats.stream(this.#stream);
      this.#checkRoom(info, nats, batchBytes);
      this.#checkSubjects(info.config);
      const client = nats.clients.jetstream(nats.connection, { timeout: nats.timeoutMs });
      await this.#checkMayPublish(nats, client);
      signal.throwIfAborted();
      this.#nats = nats;
      this.#client = client;
    } catch (error) {
      await nats.close();
      throw error;
    }
  }

  #refuse(code: string, message: string): never {
    throw new SinkError(code, `${message} (stream ${this.#stream} at ${this.#checked.servers.join(', ')})`, false);
  }

  #checkRoom(info: StreamInfo, nats: Nats, batchBytes: number): void {
    const { config, state } = info;
    const allowed = nats.connection.info?.max_payload ?? 0;
    const wanted = batchBytes + HEADERS_BYTES;
    const code = 'ERR_KSOCKET_BATCH_BYTES';
    if (wanted > allowed)
      this.#refuse(code, `batch.bytes ${batchBytes} and headers are more than the server's max_payload ${allowed}`);
    if (config.max_msg_size > 0 && wanted > config.max_msg_size)
      this.#refuse(code, `batch.bytes ${batchBytes} and headers are more than max_msg_size ${config.max_msg_size}`);
    if (config.sealed) this.#refuse('ERR_KSOCKET_STREAM_FULL', 'The stream is sealed');
    if (config.no_ack) this.#refuse('ERR_KSOCKET_STREAM_NO_ACK', 'The stream does not acknowledge messages (no_ack)');
    if (isFull(info))
      this.#refuse('ERR_KSOCKET_STREAM_FULL', `The stream is full: ${state.messages} messages, ${state.bytes} bytes`);
  }

  #checkSubjects({ subjects = [] }: StreamConfig): void {
    const others = examplesOf(this.subject).filter((each) => !subjects.some((one) => covers(one, each)));
    if (others.length > 0) this.#refuseSubject(others[0], subjects);
  }

  // With a message that no stream takes: it is refused for that, or because the subject is not allowed.
  async #checkMayPublish(nats: Nats, client: JetStreamClient): Promise<void> {
    for (const subject of examplesOf(this.subject).slice(0, 1)) {
      try {
        await client.publish(subject.replaceAll(/[*>]/g, '0'), new Uint8Array(0), {
          expect: { streamName: NO_STREAM },
        });
      } catch (error) {
        const { JetStreamApiError } = nats.clients;
        if (error instanceof JetStreamApiError && error.code === STREAM_NOT_MATCHED) continue;
        throw nats.failed(error, `publish to ${subject}`);
      }
    }
  }

  async write(batch: PackedBatch, signal: AbortSignal): Promise<WriteResult> {
    const [nats, client] = [this.#nats, this.#client];
    if (nats === undefined || client === undefined) throw errors.invalidState('The sink is not open');
    const bytes = await this.#bytesOf(batch);
    const since = now();
    try {
      // The first attempt may still be on its way to a server that does not answer: there is one copy of it at a time.
      if (this.#tried.has(batch)) await unlessAborted(nats.connection.flush(), signal);
      this.#tried.add(batch);
      const options = { msgID: batch.id, timeout: nats.timeoutMs, expect: { streamName: this.#stream } };
      const { duplicate } = await unlessAborted(client.publish(batch.key, bytes, options), signal);
      this.#messages++;
      this.#bytes += bytes.length;
      return { duplicate };
    } catch (error) {
      const failure = nats.failed(error, `publish to ${batch.key}, stream ${this.#stream},`);
      // What a function says is known only now: as long as it was tried again nothing of the others would come through. Who may
      // publish to one subject and not to another is not let in later; who has credentials that have expired may be.
      if (failure.code === 'ERR_KSOCKET_NATS_PERMISSION' && nats.forbids(error, batch.key, since))
        throw new SinkError(failure.code, failure.message, false, error);
      if (failure.code === 'ERR_KSOCKET_NO_STREAM') await this.#checkSubject(nats, batch.key);
      throw failure;
    }
  }

  // No stream takes it: is that because there is none, which may change, or because this one has other subjects?
  async #checkSubject(nats: Nats, key: string): Promise<void> {
    const subjects = await nats.stream(this.#stream).then(
      ({ info }) => info.config.subjects ?? [],
      () => undefined,
    );
    if (subjects === undefined || subjects.some((each) => covers(each, key))) return;
    this.#refuseSubject(key, subjects);
  }

  #refuseSubject(subject: string, subjects: readonly string[]): never {
    const message = `The subject ${subject} is none of the stream's, which are ${subjects.join(', ')}`;
    this.#refuse('ERR_KSOCKET_STREAM_SUBJECT', message);
  }

  async #bytesOf(batch: PackedBatch): Promise<Uint8Array> {
    if (!this.#compress) return batch.bytes;
    const known = this.#compressed.get(batch);
    if (known !== undefined) return known;
    const bytes = await compressFrame(batch.bytes);
    this.#compressed.set(batch, bytes);
    return bytes;
  }

  async close(): Promise<void> {
    const nats = this.#nats;
    this.#nats = undefined;
    this.#client = undefined;
    this.#reconnects += nats?.reconnects ?? 0;
    await nats?.close({ flush: false }); // what was not acknowledged is given up
  }

  stats(): Record<string, number> {
    return {
      messages: this.#messages,
      bytes: this.#bytes,
      reconnects: this.#reconnects + (this.#nats?.reconnects ?? 0),
    };
  }
}

function unlessAborted<Result>(done: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    done.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/**
 * Batches become messages of a stream of NATS JetStream. Takes the packages `@nats-io/transport-node` and `@nats-io/jetstream`,
 * which are not installed with ksocket: without them `start()` rejects with ERR_KSOCKET_NATS_MISSING.
 *
 * `start()` looks at the server, the stream and the permissions, and rejects with a {@link SinkError} that says what is wrong, and
 * where: ECONNREFUSED, ETIMEDOUT, ENOENT and its like (of a file that an option names, with its `path`), ERR_KSOCKET_NATS_AUTH,
 * ERR_KSOCKET_NATS_CREDENTIALS, ERR_KSOCKET_NATS_EXPIRED, ERR_KSOCKET_NATS_TLS, ERR_KSOCKET_NATS_PERMISSION, ERR_KSOCKET_NO_JETSTREAM,
 * ERR_KSOCKET_NO_STREAM, ERR_KSOCKET_STREAM_NOT_FOUND, ERR_KSOCKET_STREAM_SUBJECT, ERR_KSOCKET_STREAM_FULL,
 * ERR_KSOCKET_STREAM_NO_ACK, ERR_KSOCKET_BATCH_BYTES. Later the same comes as the collector's `'failing'`, and is tried again; or as
 * `'refused'`, where trying again is of no use.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function jetstream(options: JetstreamOptions): Sink {
  return new Jetstream(options);
}
