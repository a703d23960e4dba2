// A file of credentials of NATS: a token that says until when it is good, and a key.
import { wallClockNs } from '../base/runtime.js';
import { readGiven } from './given-files.js';
import { SinkError } from './sink.js';

const NS_PER_S = 1_000_000_000n;
const BAD = 'ERR_KSOCKET_NATS_CREDENTIALS';

export class Credentials {
  readonly #path: string;
  readonly #verify: (bytes: Uint8Array) => unknown;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** Seconds since 1970; 0: for ever. */
  #until = 0;

  /** `verify` throws for what the client of NATS can do nothing with. */
  constructor(path: string, verify: (bytes: Uint8Array) => unknown) {
    this.#path = path;
    this.#verify = verify;
  }

  /** As it is now: who gives out credentials writes a new file before the old ones expire. While there is none, or half of one, as it
   * was: the client would give the connection up for good.
   * @throws ENOENT and its like, ERR_KSOCKET_NATS_CREDENTIALS, if it never was */
  read(): Uint8Array {
    try {
      const bytes = readGiven('options.credentials', this.#path);
      this.#until = this.#check(bytes);
      this.#bytes = bytes;
    } catch (error) {
      if (this.#bytes.length === 0) throw error;
    }
    return this.#bytes;
  }

  /** @throws ENOENT and its like, ERR_KSOCKET_NATS_CREDENTIALS, ERR_KSOCKET_NATS_EXPIRED */
  check(): void {
    this.read();
    const expired = this.expired();
    if (expired !== undefined) throw expired;
  }

  /** Undefined: they are good still. */
  expired(): SinkError | undefined {
    const until = this.#until;
    if (until === 0 || BigInt(Math.ceil(until)) * NS_PER_S > wallClockNs()) return undefined;
    const said = new Intl.DateTimeFormat('sv', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'UTC' });
    const message = `The credentials in ${this.#path} have expired, at ${said.format(until * 1000)} UTC`;
    return new SinkError('ERR_KSOCKET_NATS_EXPIRED', message, true);
  }

  // Until when they are good. The token's middle says it, RFC 7519.
  #check(bytes: Uint8Array): number {
    const text = Buffer.from(bytes).toString('latin1');
    const [, claims] = /-----BEGIN NATS USER JWT-----\s+[\w-]+\.([\w-]+)\./.exec(text) ?? [];
    if (claims === undefined) throw this.#bad(`The file ${this.#path} has no credentials of NATS`);
    try {
      const { exp = 0 } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { exp?: unknown };
      this.#verify(bytes);
      return Number.isFinite(exp) ? Number(exp) : 0;
    } catch (error) {
      throw this.#bad(`The credentials in ${this.#path} are not readable: ${(error as Error).message}`, error);
    }
  }

  #bad(message: string, cause?: unknown): SinkError {
    return Object.assign(new SinkError(BAD, `options.credentials: ${message}`, false, cause), { path: this.#path });
  }
}
