// A file of credentials of NATS: a token that says until when it is good, and a key.
import { readFileSync } from 'node:fs';
import { wallClockNs } from '../base/runtime.js';
import { SinkError } from './sink.js';

const NS_PER_S = 1_000_000_000n;

export class Credentials {
  readonly #path: string;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  constructor(path: string) {
    this.#path = path;
  }

  /** As it is now: who gives out credentials writes a new file before the old ones expire. While there is none, as it was. */
  read(): Uint8Array {
    try {
      this.#bytes = new Uint8Array(readFileSync(this.#path));
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

  /** Undefined: they are good still. @throws ERR_KSOCKET_NATS_CREDENTIALS */
  expired(): SinkError | undefined {
    const until = this.#until();
    if (until === 0 || BigInt(Math.ceil(until)) * NS_PER_S > wallClockNs()) return undefined;
    const said = new Intl.DateTimeFormat('sv', { dateStyle: 'short', timeStyle: 'medium', timeZone: 'UTC' });
    const message = `The credentials in ${this.#path} have expired, at ${said.format(until * 1000)} UTC`;
    return new SinkError('ERR_KSOCKET_NATS_EXPIRED', message, true);
  }

  // Seconds since 1970; 0: for ever. The token's middle says it, RFC 7519.
  #until(): number {
    const code = 'ERR_KSOCKET_NATS_CREDENTIALS';
    const text = Buffer.from(this.#bytes).toString('latin1');
    const [, claims] = /-----BEGIN NATS USER JWT-----\s+[\w-]+\.([\w-]+)\./.exec(text) ?? [];
    if (claims === undefined) throw new SinkError(code, `The file ${this.#path} has no credentials of NATS`, false);
    try {
      const { exp = 0 } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { exp?: unknown };
      return Number.isFinite(exp) ? Number(exp) : 0;
    } catch (error) {
      throw new SinkError(code, `The credentials in ${this.#path} are not readable`, false, error);
    }
  }
}
