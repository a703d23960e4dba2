// What the two processes of a hand-over say to each other, with descriptors: a pair of connected local sockets that nobody else
// has, and a pair of streams beside it, which ends when the other process does.
import { fstatSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import { binding } from '../backend/load.js';
import { ECONNRESET, EMFILE, ETIMEDOUT } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { setTimeout, userId } from '../base/runtime.js';
import { UnixSocket } from '../unix/socket.js';
import type { UnixRemoteInfo } from '../unix/types.js';

/** In the order in which they are said, the first of which is the giver's. */
export const kinds = {
  /** The descriptor of the file that decides. */
  decision: 10,
  /** What there is, with the descriptors of the sockets. */
  state: 1,
  /** Flows that the giver has by now, with theirs. */
  flows: 2,
  /** That was all for now. */
  prepare: 3,
  /** The taker could begin. */
  ready: 4,
  /** All flows that there are, and what the rules have counted: the giver does nothing any more. */
  table: 5,
  tallies: 9,
  /** Begin; and how many datagrams that the kernel has dropped the giver has counted. */
  go: 6,
  /** The taker receives from now on. */
  running: 7,
  /** Nothing becomes of it, and why. */
  refused: 8,
  /** What is given is about to change: the taker may knock again. */
  again: 11,
} as const;

export interface Message {
  kind: number;
  bytes: Buffer;
  fds: number[];
}

/** SCM_MAX_FD, less the one of a file. */
const FDS_MAX = 252;
/** What is longer goes in a file in memory, for a datagram has to find room in the other's queue. */
const INLINE_MAX = 16_384;
const HEADER_BYTES = 4;
const HAS_MORE = 1;
const HAS_FILE = 2;
/** How long it may leave no room for another message, unless it is said otherwise. */
const PATIENCE_MS = 10_000;
/** The other process has ended: what it has said before is read within that time, also by a thread that waits for a processor. */
const LAST_WORDS_MS = 50;

/** May who has this user id be heard? */
export function isTrusted(uid: number | undefined): boolean {
  return uid === 0 || uid === userId();
}

export function closeAll(fds: readonly number[]): void {
  for (const fd of fds) binding.closeFd(fd);
}

/** UDP sockets of one family: `expected`, if that is said, else of the first one's. Whatever the other process says of them.
 * @throws ERR_INVALID_FD_TYPE, ERR_INVALID_STATE for none, and for one of the other family */
export function checkDescriptors(fds: readonly number[], expected?: number): void {
  if (fds.length === 0) throw errors.invalidState('The other process hands nothing over');
  const family = expected ?? binding.getFdFamily(fds[0]);
  for (const fd of fds) {
    const type = binding.getFdType(fd);
    if (type !== 'UDP') throw errors.invalidFdType(type);
    const found = binding.getFdFamily(fd);
    if (found !== family)
      throw errors.invalidState(`The other process hands a udp${found} socket over, not udp${family}`);
  }
}

interface Resolvers {
  promise: Promise<void>;
  resolve: () => void;
  reject: (error: Error) => void;
}

// Promise.withResolvers() is of Node 22.
function withResolvers(): Resolvers {
  const out = {} as Resolvers;
  out.promise = new Promise<void>((resolve, reject) => Object.assign(out, { resolve, reject }));
  return out;
}

function contentOf(fd: number): Buffer {
  const content = Buffer.allocUnsafe(fstatSync(fd).size);
  let at = 0;
  while (at < content.length) {
    const got = readSync(fd, content, at, content.length - at, at);
    if (got === 0) throw errors.errnoException(ECONNRESET, 'read');
    at += got;
  }
  return content;
}

export class Channel {
  readonly #socket = new UnixSocket({ type: 'unix_dgram', receiveCredentials: true, receiveDescriptors: true });
  readonly #life: Socket;
  readonly #messages: Message[] = [];
  #unfinished: { parts: Buffer[]; fds: number[] } = { parts: [], fds: [] };
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #sending = new Set<(error: Error) => void>();
  #hasEnded = false;
  patienceMs = PATIENCE_MS;

  /** Takes both descriptors. @throws where they are no such sockets; then they are closed */
  constructor(datagrams: number, stream: number) {
    try {
      this.#life = new Socket({ fd: stream });
    } catch (error) {
      closeAll([datagrams, stream]);
      throw error;
    }
    this.#life.on('error', () => {});
    this.#life.on('close', () => {
      this.#hasEnded = true;
      setTimeout(() => this.fail(errors.errnoException(ECONNRESET, 'recvmsg')), LAST_WORDS_MS);
    });
    try {
      this.#socket.bindSync({ fd: datagrams });
    } catch (error) {
      this.close();
      closeAll([datagrams]);
      throw error;
    }
    this.#life.resume();
    this.#socket.on('error', (error) => this.fail(error));
    this.#socket.on('message', (data, rinfo) => this.#hear(data, rinfo));
  }

  /** Has the other process ended, or closed its ends? */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Nothing is expected any more: next() rejects with this once what is here has been read, and send() at once. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
    for (const reject of this.#sending) reject(this.#failure);
  }

  #hear(data: Buffer, { credentials, descriptors = [] }: UnixRemoteInfo): void {
    if (data.length < HEADER_BYTES || !isTrusted(credentials?.uid)) {
      closeAll(descriptors);
      return;
    }
    const [kind, flags] = data;
    const { parts, fds } = this.#unfinished;
    fds.push(...descriptors);
    try {
      // The kernel has left out those that there was no room for.
      if (descriptors.length !== data.readUInt16LE(2)) throw errors.errnoException(EMFILE, 'recvmsg');
      if ((flags & HAS_FILE) !== 0) {
        const file = fds.pop() as number;
        try {
          parts.push(contentOf(file));
        } finally {
          binding.closeFd(file);
        }
      } else parts.push(data.subarray(HEADER_BYTES));
    } catch (error) {
      closeAll(fds.splice(0));
      this.fail(error as Error);
      return;
    }
    if ((flags & HAS_MORE) !== 0) return;
    this.#unfinished = { parts: [], fds: [] };
    this.#messages.push({ kind, bytes: Buffer.concat(parts), fds });
    this.#wake?.();
  }

  /** Messages come in the order of the calls. Resolves when the other process has it in its queue; rejects with ETIMEDOUT where
   * there is no room for too long. */
  async send(kind: number, bytes?: Uint8Array, fds?: readonly number[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const { promise, resolve, reject } = withResolvers();
    this.#sending.add(reject);
    const timer = setTimeout(() => reject(errors.errnoException(ETIMEDOUT, 'sendmsg')), this.patienceMs);
    this.#send(kind, bytes, fds).then(resolve, reject);
    try {
      await promise;
    } finally {
      timer.close();
      this.#sending.delete(reject);
    }
  }

  /** The last message, if the other process takes it soon. */
  async sendLast(kind: number, bytes?: Uint8Array): Promise<void> {
    const { promise, resolve } = withResolvers();
    const timer = setTimeout(resolve, LAST_WORDS_MS);
    this.#send(kind, bytes).then(resolve, resolve);
    await promise;
    timer.close();
  }

  async #send(kind: number, bytes: Uint8Array = Buffer.alloc(0), fds: readonly number[] = []): Promise<void> {
    const parts: number[][] = [];
    for (let from = 0; from < fds.length || from === 0; from += FDS_MAX) parts.push(fds.slice(from, from + FDS_MAX));
    const last = parts.length - 1;
    await Promise.all(parts.map((some, i) => this.#sendPart(kind, i < last, i < last ? Buffer.alloc(0) : bytes, some)));
  }

  async #sendPart(kind: number, hasMore: boolean, bytes: Uint8Array, fds: number[]): Promise<void> {
    const file = bytes.length > INLINE_MAX ? binding.memoryFile(bytes) : undefined;
    if (file !== undefined && file < 0) throw errors.errnoException(file, 'memfd_create');
    try {
      const descriptors = file === undefined ? fds : [...fds, file];
      const header = Buffer.alloc(HEADER_BYTES);
      header[0] = kind;
      header[1] = (hasMore ? HAS_MORE : 0) | (file === undefined ? 0 : HAS_FILE);
      header.writeUInt16LE(descriptors.length, 2);
      const parts = file === undefined ? [header, bytes] : [header];
      await new Promise<void>((resolve, reject) => {
        const done = (error: Error | null | undefined) => (error ? reject(error) : resolve());
        if (descriptors.length === 0) this.#socket.send(parts, done);
        else this.#socket.send(parts, { descriptors }, done);
      });
    } finally {
      if (file !== undefined) binding.closeFd(file);
    }
  }

  /** The next message. Rejects with ETIMEDOUT, and with ECONNRESET when the other process has ended and all that it has said is read. */
  async next(deadlineMs: number): Promise<Message> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake?.();
    }, deadlineMs);
    try {
      for (;;) {
        const message = this.#messages.shift();
        if (message !== undefined) return message;
        if (this.#failure !== undefined) throw this.#failure;
        if (late) throw errors.errnoException(ETIMEDOUT, 'recvmsg');
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      timer.close();
    }
  }

  /** Its kind alone: descriptors are not wanted. Rejects as next(). */
  async nextKind(deadlineMs: number): Promise<number> {
    const { kind, fds } = await this.next(deadlineMs);
    closeAll(fds);
    return kind;
  }

  close(): void {
    for (const { fds } of this.#messages.splice(0)) closeAll(fds);
    closeAll(this.#unfinished.fds.splice(0));
    this.#life.destroy();
    this.#socket.close();
  }
}

/** What somebody who knocks has brought: both ends are his, or nobody's. */
export function isKnock(rinfo: UnixRemoteInfo): boolean {
  return isTrusted(rinfo.credentials?.uid) && rinfo.descriptors?.length === 2;
}
