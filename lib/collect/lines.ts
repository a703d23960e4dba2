// lines(): what a collector receives, as lines of JSON.
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { setImmediate, standardOutput } from '../base/runtime.js';
import { validateObject } from '../base/validate.js';
import { LineWriter } from './json-line.js';
import { type Sink, SinkError } from './sink.js';
import type { PackedBatch } from './types.js';

/** What lines() takes. */
export interface LinesOptions {
  /** Where to, a stream.Writable; it is not ended. Default `process.stdout`. */
  stream?: NodeJS.WritableStream;
}

/** A write has about so many bytes. */
const CHUNK_CHARACTERS = 256 * 1024;

function check(options: LinesOptions): () => NodeJS.WritableStream {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', ['stream']);
  const { stream } = options;
  if (stream === undefined) return standardOutput;
  if (typeof stream?.write !== 'function' || typeof stream.on !== 'function')
    throw errors.invalidArgType('options.stream', 'an instance of stream.Writable', stream);
  return () => stream;
}

class LinesSink implements Sink {
  readonly name: string;
  readonly #streamOf: () => NodeJS.WritableStream;
  readonly #writer = new LineWriter();
  #stream: NodeJS.WritableStream | undefined; // while it is open
  #lines = 0;

  constructor(streamOf: () => NodeJS.WritableStream) {
    this.#streamOf = streamOf;
    this.name = streamOf === standardOutput ? 'lines to standard output' : 'lines to a stream';
  }

  async open(): Promise<void> {
    const stream = this.#streamOf();
    if (!stream.writable) throw this.#ended(undefined);
    stream.on('error', ignored);
    this.#stream = stream;
  }

  async write(batch: PackedBatch, signal: AbortSignal): Promise<undefined> {
    let text = '';
    for (const datagram of batch.datagrams()) {
      text += this.#writer.line(datagram);
      if (text.length < CHUNK_CHARACTERS) continue;
      await this.#write(text, signal);
      text = '';
    }
    if (text !== '') await this.#write(text, signal);
    this.#lines += batch.count;
    return undefined;
  }

  // Resolves when the stream has passed it on: as long as nobody reads, nothing more is made.
  #write(text: string, signal: AbortSignal): Promise<void> {
    const stream = this.#stream as NodeJS.WritableStream;
    return new Promise((resolve, reject) => {
      const end = (error: Error | null | undefined) => {
        stream.off('close', onClose);
        signal.removeEventListener('abort', onAbort);
        if (error == null) resolve();
        else reject(error);
      };
      const onAbort = () => end(signal.reason);
      const onClose = () => end(this.#ended(undefined));
      if (signal.aborted) return end(signal.reason);
      signal.addEventListener('abort', onAbort);
      stream.on('close', onClose);
      stream.write(text, (error) => end(error && this.#ended(error)));
    });
  }

  async close(): Promise<void> {
    const stream = this.#stream;
    this.#stream = undefined;
    // What has failed is said by the callback first, and by an event then.
    setImmediate(() => stream?.off('error', ignored));
  }

  stats(): Record<string, number> {
    return { lines: this.#lines };
  }

  // A stream does not come back.
  #ended(cause: NodeJS.ErrnoException | undefined): SinkError {
    const reason = cause?.code === 'EPIPE' ? 'nobody reads them any more' : (cause?.message ?? 'the stream has ended');
    return new SinkError(cause?.code ?? 'ERR_STREAM_DESTROYED', `${this.name}: ${reason}`, false, cause);
  }
}

function ignored(): void {}

/**
 * A sink of lines of JSON, one for each datagram:
 * `{"time":"2026-11-27T18:47:13.123456789Z","address":"192.0.2.1","port":40000,"local":"192.0.2.9","localPort":514,"text":"hello"}`,
 * with `base64` in the place of `text` where the payload is not UTF-8. There is no `local` where the kernel did not say where the
 * datagram was sent to. Control characters, and those that change the direction of writing, are escaped.
 *
 * A batch is written when the stream has passed it on: who does not read holds up the collector. When the stream fails (EPIPE: nobody
 * reads any more) or has ended (ERR_STREAM_DESTROYED), nothing is tried again. `stats()` counts `lines`.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE
 */
export function lines(options: LinesOptions = {}): Sink {
  return new LinesSink(check(options));
}
