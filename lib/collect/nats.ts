// The clients of NATS, which are packages of their own: loaded when somebody uses them, and what they say in our words.
import { isIPv6 } from 'node:net';
import type * as streams from '@nats-io/jetstream';
import type * as transport from '@nats-io/transport-node';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { now } from '../base/runtime.js';
import { validateInteger, validateObject, validateString } from '../base/validate.js';
import { Credentials } from './credentials.js';
import { dialing } from './dialing.js';
import { checkTlsFiles } from './given-files.js';
import { SinkError } from './sink.js';
import { within } from './time.js';

/** Where a server of NATS is, and how one gets in. */
export interface NatsOptions {
  /** Addresses of servers of one cluster: `nats://192.0.2.1:4222`; 4222 is the usual port. With `tls://…` no connection is made without
   * TLS, to none of them. Who asks is not said here: an address with a user or a password is refused. */
  servers: string | readonly string[];
  /** A user, and */
  user?: string;
  /** its password; or */
  pass?: string;
  /** a token; or */
  token?: string;
  /** the path of a file of credentials (`.creds`), which is read again whenever a connection is made. */
  credentials?: string;
  /** TLS: paths of the authorities' certificates, and of the client's own with its key. `{}`: those that Node knows. */
  tls?: NatsTls;
  /** What the server calls this connection; `ksocket` by default. */
  name?: string;
  /** Milliseconds, 100 to 600 000, after which a server that does not answer has failed; 3000 by default. */
  timeoutMs?: number;
}

/** Paths of PEM files. */
export interface NatsTls {
  /** Certificates of authorities. */
  caFile?: string;
  /** The client's certificate. */
  certFile?: string;
  /** Its key. */
  keyFile?: string;
}

export const NATS_KEYS = ['servers', 'user', 'pass', 'token', 'credentials', 'tls', 'name', 'timeoutMs'] as const;
const TIMEOUT_MS = 3000;
const TIMEOUT_MS_MAX = 600_000;

export interface CheckedNats {
  readonly servers: string[];
  readonly given: NatsOptions;
  readonly timeoutMs: number;
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
export function checkNats(options: NatsOptions): CheckedNats {
  const { timeoutMs = TIMEOUT_MS, tls } = options;
  const servers = typeof options.servers === 'string' ? options.servers.split(',') : options.servers;
  if (!Array.isArray(servers)) throw errors.invalidArgType('options.servers', 'of type string or an Array', servers);
  if (servers.length === 0) throw errors.invalidArgValue('options.servers', servers, 'must not be empty');
  for (const server of servers) {
    validateString(server, 'options.servers');
    checkServer(server.trim());
  }
  for (const name of ['user', 'pass', 'token', 'credentials', 'name'] as const)
    if (options[name] !== undefined) validateString(options[name], `options.${name}`);
  if (tls !== undefined) {
    validateObject(tls, 'options.tls');
    checkTls(tls);
  }
  validateInteger(timeoutMs, 'options.timeoutMs', 100, TIMEOUT_MS_MAX);
  const given = { ...options };
  // The client of NATS does not look at it, and would send what is secret in the clear.
  if (servers.some((server) => /^\s*tls:/i.test(server))) given.tls ??= {};
  return { servers: servers.map((server) => server.trim()), given, timeoutMs };
}

function checkTls(tls: NatsTls): void {
  const name = 'options.tls';
  refuseUnknown(tls, name, ['caFile', 'certFile', 'keyFile']);
  for (const key of ['caFile', 'certFile', 'keyFile'] as const)
    if (tls[key] !== undefined) validateString(tls[key], `${name}.${key}`);
  const [one, other] = tls.certFile === undefined ? ['keyFile', 'certFile'] : ['certFile', 'keyFile'];
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined))
    throw errors.invalidArgValue(`${name}.${one}`, tls[one as keyof NatsTls], `needs ${name}.${other}`);
}

/** What is secret is in no message, and what would be passed over is not. */
function checkServer(server: string): void {
  const name = 'options.servers';
  if (server === '') throw errors.invalidArgValue(name, server, 'must not be empty');
  const [, scheme, host] = /^(?:(.*?):\/\/)?([^/?#]*)/.exec(server) ?? [];
  if (host.includes('@')) {
    const shown = server.replace(host, `...@${host.slice(host.lastIndexOf('@') + 1)}`);
    throw errors.invalidArgValue(
      name,
      shown,
      'must be without user and password: options.user, options.pass, options.token',
    );
  }
  if (scheme !== undefined && !/^(?:nats|tls)$/i.test(scheme))
    throw errors.invalidArgValue(name, server, 'must be nats://HOST:PORT or tls://HOST:PORT');
  if (!isIPv6(host) && !URL.canParse(`http://${host}`))
    throw errors.invalidArgValue(name, server, 'must be nats://HOST:PORT or tls://HOST:PORT');
}

/** Acknowledgements, and what asks for messages. */
const UNANSWERED = /^\$JS\.(?:ACK|API\.CONSUMER\.MSG\.NEXT)\./;

export type Clients = Omit<typeof transport & typeof streams, 'default'>;
let clients: Clients | undefined;

/** @throws ERR_KSOCKET_NATS_MISSING */
async function load(): Promise<Clients> {
  if (clients !== undefined) return clients;
  try {
    const [core, more] = await Promise.all([import('@nats-io/transport-node'), import('@nats-io/jetstream')]);
    const all: Clients = { ...core, ...more };
    clients = all;
    return all;
  } catch (error) {
    const message =
      'NATS needs two packages that are not installed with ksocket: npm install @nats-io/transport-node @nats-io/jetstream';
    throw new SinkError('ERR_KSOCKET_NATS_MISSING', message, false, error);
  }
}

/** A connection to one of the servers, which is made anew when it breaks, for as long as that takes. */
export class Nats {
  readonly clients: Clients;
  readonly connection: transport.NatsConnection;
  readonly timeoutMs: number;
  readonly where: string;
  /** How often it was made anew. */
  reconnects = 0;
  /** It was, just now. */
  onReconnect: () => void = () => {};
  /** Something was published that nobody waits for an answer to, and may not be. */
  onForbidden: (error: Error) => void = () => {};
  #latest: { error: Error; at: number } | undefined;

  readonly #credentials: Credentials | undefined;
  #isThere = true; // as far as flush() knows

  private constructor(
    clients: Clients,
    connection: transport.NatsConnection,
    { servers, timeoutMs }: CheckedNats,
    credentials: Credentials | undefined,
  ) {
    this.#credentials = credentials;
    this.clients = clients;
    this.connection = connection;
    this.timeoutMs = timeoutMs;
    this.where = servers.join(', ');
    void this.#watch(connection.status());
  }

  /** Rejects with a SinkError whose code and message say what is wrong and where. */
  static async connect(checked: CheckedNats): Promise<Nats> {
    const loaded = await load();
    const { servers, given, timeoutMs } = checked;
    const options: transport.NodeConnectionOptions = {
      servers,
      name: given.name ?? 'ksocket',
      timeout: timeoutMs,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      ignoreAuthErrorAbort: true, // it may be let in again
      pingInterval: Math.max(1000, timeoutMs),
      maxPingOut: 2,
      ...(given.user === undefined ? {} : { user: given.user }),
      ...(given.pass === undefined ? {} : { pass: given.pass }),
      ...(given.token === undefined ? {} : { token: given.token }),
      ...(given.tls === undefined ? {} : { tls: given.tls }),
    };
    const verify = (bytes: Uint8Array) => loaded.credsAuthenticator(bytes)('nonce');
    const credentials = given.credentials === undefined ? undefined : new Credentials(given.credentials, verify);
    credentials?.check();
    if (credentials !== undefined) options.authenticator = loaded.credsAuthenticator(() => credentials.read());
    if (given.tls !== undefined) await checkTlsFiles(given.tls);
    try {
      const connection = await dialing(() => loaded.connect(options));
      return new Nats(loaded, connection, checked, credentials);
    } catch (error) {
      throw inOurWords(loaded, error, `connect to ${servers.join(', ')}`);
    }
  }

  async #watch(status: AsyncIterable<transport.Status>): Promise<void> {
    for await (const each of status) {
      if (each.type === 'error') this.#onError(each.error);
      if (each.type !== 'reconnect') continue;
      this.reconnects++;
      this.onReconnect();
    }
  }

  #onError(error: Error): void {
    this.#latest = { error, at: now() };
    const { PermissionViolationError } = this.clients.errors;
    const isForbidden = error instanceof PermissionViolationError && error.operation === 'publish';
    if (isForbidden && UNANSWERED.test(error.subject)) this.onForbidden(error);
  }

  /** `what` has failed. Where the server has just said why, that is it. */
  failed(error: unknown, what: string): SinkError {
    const { TimeoutError, AuthorizationError, PermissionViolationError } = this.clients.errors;
    const late = error instanceof TimeoutError && this.#latest !== undefined;
    const recent = late && now() - this.#latest!.at < 2 * this.timeoutMs ? this.#latest!.error : error;
    const notAllowed = recent instanceof AuthorizationError || recent instanceof PermissionViolationError;
    const expired = notAllowed ? this.#credentials?.expired() : undefined;
    return inOurWords(this.clients, expired ?? recent, `${what} at ${this.where}`);
  }

  /** Has the server said, of an attempt that was begun `since` and has failed, that nobody may publish there? */
  forbids(error: unknown, subject: string, since: number): boolean {
    const { PermissionViolationError, TimeoutError } = this.clients.errors;
    const latest = this.#latest;
    // Of two attempts at one subject the client ends the first one alone.
    const meanwhile = error instanceof TimeoutError && latest !== undefined && latest.at >= since;
    return [error, (error as Error).cause, meanwhile ? latest.error : undefined].some(
      (each) => each instanceof PermissionViolationError && each.operation === 'publish' && each.subject === subject,
    );
  }

  /** Of what the server knows of a stream.
   * @throws ERR_KSOCKET_STREAM_NOT_FOUND, ERR_KSOCKET_NATS_PERMISSION, ERR_KSOCKET_NO_JETSTREAM, ETIMEDOUT */
  async stream(name: string) {
    const what = `the stream ${name}`;
    try {
      const manager = await this.clients.jetstreamManager(this.connection, {
        checkAPI: false,
        timeout: this.timeoutMs,
      });
      return { manager, info: await manager.streams.info(name) };
    } catch (error) {
      const failure = this.failed(error, `look at ${what}`);
      if (failure.code !== 'ERR_KSOCKET_NO_STREAM') throw failure;
      // Nobody answers what every server with JetStream answers.
      const message = `Cannot look at ${what} at ${this.where}: JetStream is not enabled there, or has not begun yet`;
      throw new SinkError('ERR_KSOCKET_NO_JETSTREAM', message, true, error);
    }
  }

  /** Resolves with whether what was sent before has come to the server. */
  async flush(): Promise<boolean> {
    let done = false;
    const flushed = this.connection.flush().then(
      () => {
        done = true;
      },
      () => {},
    );
    this.#isThere = false;
    await within(this.timeoutMs, flushed);
    this.#isThere = done;
    return done;
  }

  /** What was sent before has left, if the server is there. */
  async close({ flush = true } = {}): Promise<void> {
    if (this.connection.isClosed()) return;
    if (flush && this.#isThere) await this.flush();
    await this.connection.close();
    // It does not close the socket of an attempt that is under way.
    const { connection, clients } = this;
    if (connection instanceof clients.NatsConnectionImpl) connection.protocol.transport.discard();
  }
}

// What the server says of what it does not do: https://github.com/nats-io/nats-server/blob/main/server/errors.json
const apiCodes: Record<number, [code: string, retry: boolean]> = {
  10059: ['ERR_KSOCKET_STREAM_NOT_FOUND', true],
  10014: ['ERR_KSOCKET_CONSUMER', false], // it is not there any more
  10060: ['ERR_KSOCKET_STREAM_SUBJECT', false], // the subject is another stream's
  10054: ['ERR_KSOCKET_BATCH_BYTES', false],
  10077: ['ERR_KSOCKET_STREAM_FULL', true],
  10047: ['ERR_KSOCKET_STREAM_FULL', true], // no resources
  10039: ['ERR_KSOCKET_NO_JETSTREAM', true],
  10076: ['ERR_KSOCKET_NO_JETSTREAM', true],
};

function inOurWords(clients: Clients, error: unknown, what: string): SinkError {
  if (error instanceof SinkError) return error;
  const { errors: known, JetStreamApiError } = clients;
  const { cause, message } = error as Error;
  const say = (code: string, why: string, retry = true) => new SinkError(code, `Cannot ${what}: ${why}`, retry, error);
  for (const each of [error, cause]) {
    if (each instanceof JetStreamApiError) {
      const [code, retry] = apiCodes[each.code] ?? ['ERR_KSOCKET_JETSTREAM', true];
      return say(code, each.message, retry);
    }
    if (each instanceof known.PermissionViolationError) return say('ERR_KSOCKET_NATS_PERMISSION', each.message);
    if (each instanceof known.UserAuthenticationExpiredError) return say('ERR_KSOCKET_NATS_EXPIRED', each.message);
    if (each instanceof known.AuthorizationError) return say('ERR_KSOCKET_NATS_AUTH', each.message);
    if (each instanceof known.InvalidArgumentError) return say('ERR_KSOCKET_BATCH_BYTES', each.message, false);
  }
  if ([error, cause].some((each) => each instanceof known.RequestError && each.isNoResponders()))
    return say('ERR_KSOCKET_NO_STREAM', 'no stream takes it, or JetStream is not enabled there');
  if (error instanceof known.TimeoutError) return say('ETIMEDOUT', 'the server does not answer');
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? (error as NodeJS.ErrnoException).code;
  const reason = cause instanceof Error ? `${message} (${cause.message})` : message;
  return say(typeof code === 'string' ? code : 'ERR_KSOCKET_NATS', reason);
}
