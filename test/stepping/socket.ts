// A socket on the stepped thread: what it is told goes to the checks, and what its listeners do next is up to the
// schedule. It deals with the thread as lib/socket/core.ts and place.ts do.
import { OPEN_DROP_WHEN_FULL, OPEN_GSO } from '../../build-lib/backend/layout.js';
import { udp4 } from '../../build-lib/base/family.js';
import type { Payload, SendCallback } from '../../build-lib/base/payload.js';
import { type ParsedAddress, parseLiteral } from '../../build-lib/thread/address.js';
import type { Batch } from '../../build-lib/thread/batch.js';
import { literalDestination } from '../../build-lib/thread/destination.js';
import type { Endpoint, RemoteInfo } from '../../build-lib/thread/endpoint.js';
import type { IoThread } from '../../build-lib/thread/io-thread.js';
import type { Question } from '../../build-lib/thread/records.js';
import type { SentListener } from '../../build-lib/thread/sender.js';
import { STAGED_DATAGRAMS_MAX } from '../../build-lib/thread/staging.js';
import { stepping } from './native.js';
import { payloadOf } from './payloads.js';
import { Received } from './received.js';
import { ECANCELED, Sent } from './sent.js';
import { fail, world } from './world.js';

export interface SocketKind {
  /** Its datagrams are dropped where the ring has no room; else they wait in the kernel. */
  drops: boolean;
  batches: boolean;
  pooled: boolean;
  /** May what it sends be joined? */
  joins: boolean;
  keepBytesMax: number;
}

/** What a listener does, told which socket's it is. */
export type React = (socket: TestSocket) => void;

export const target = parseLiteral(udp4, '127.0.0.1') as ParsedAddress;

export class TestSocket implements Endpoint {
  readonly id: number;
  readonly fd: number;
  readonly pooled: boolean;
  readonly received: Received;
  readonly sent = new Sent();
  sameListeners = false;
  closed = false;
  readonly #thread: IoThread;
  readonly #react: React;
  #batch: Batch | undefined; // the one that is lent, or was
  #lent = false;
  #wantsBatches = false;
  #full = false;

  constructor(thread: IoThread, kind: SocketKind, react: React) {
    this.#thread = thread;
    this.#react = react;
    this.pooled = kind.pooled;
    this.wantsBatches = kind.batches;
    this.id = thread.reserve();
    const native = thread.changing();
    const flags = (kind.drops ? OPEN_DROP_WHEN_FULL : 0) | (kind.joins ? OPEN_GSO : 0);
    if (native.open(this.id, udp4.number, flags) !== 0) fail('a socket cannot be opened');
    this.fd = native.getFd(this.id);
    this.received = new Received(this.fd, kind.drops, kind.keepBytesMax);
    thread.attach(this);
    if (native.watch(this.id, kind.keepBytesMax) !== 0) fail('a socket cannot be watched');
  }

  get wantsBatches(): boolean {
    return this.#wantsBatches;
  }

  set wantsBatches(on: boolean) {
    this.#wantsBatches = on;
    this.sameListeners = false;
  }

  // ---- what the thread tells

  onDatagram(data: Buffer, rinfo: RemoteInfo): void {
    world.see('datagrams');
    if (this.#wantsBatches) fail('a message, though batches are wanted');
    this.sameListeners = true;
    this.#checkOpen();
    this.#checkReleased();
    this.#passEvent();
    this.received.takeMessage(data, rinfo);
    this.#react(this);
    this.#passEvent();
  }

  onBatch(batch: Batch, entered?: boolean): void {
    world.see('batches');
    this.#checkOpen();
    this.#passEvent();
    if (entered !== undefined && batch.length !== 1) fail('a batch of one that comes alone has others');
    this.#batch = batch;
    this.#lent = true;
    const { length } = batch;
    if (length === 0) fail('an empty batch');
    if (length > 1) world.see('batches of several');
    for (let i = 0; i < length; i++) {
      world.point(); // it stays lent
      this.received.take(batch.data(i), { address: batch.address(i), port: batch.port(i) });
    }
    try {
      this.#react(this);
    } finally {
      this.#lent = false;
      this.received.giveBack(length);
    }
    this.#passEvent();
  }

  #passEvent(): void {
    world.stage++;
    this.#thread.sender.passEvent();
  }

  onReceiveError(): void {
    world.see('errors');
    this.#checkOpen();
    this.received.tellError();
    this.#react(this);
  }

  onSent(number: number, result: number): void {
    world.see('results through the ring');
    this.#checkOpen();
    this.#thread.sender.onSent(number, result);
  }

  onDrained(): void {
    this.#checkOpen();
    this.sent.drained();
    this.#react(this);
  }

  reply(question: Question, payload: Payload, told: SendCallback | undefined): void {
    const listener = told as unknown as SentListener;
    const errno = this.#thread.sender.reply(this.id, false, question, payload as Uint8Array, listener);
    if (errno !== 0) listener(errno);
  }

  #checkOpen(): void {
    if (this.closed) fail('a closed socket is told something');
  }

  // Borrowed memory is refused after its time. (There is one batch, which is lent again and again.)
  #checkReleased(): void {
    const batch = this.#batch;
    this.#batch = undefined;
    if (batch === undefined) return;
    try {
      batch.data(0);
    } catch {
      return;
    }
    fail('a batch is lent for longer than its listener ran');
  }

  // ---- what the program does

  send(port: number, key: number, size: number, wantsResult: boolean, revocable: boolean): void {
    const payload = payloadOf(key, size);
    const half = size >> 1;
    const parts = key % 3 === 0 ? [payload.subarray(0, half), payload.subarray(half)] : payload;
    const listener = this.sent.add(port, key, size, wantsResult, revocable);
    const errno = this.#thread.sender.send(this.id, target, port, parts, revocable, wantsResult ? listener : undefined);
    if (errno === 0) return;
    this.sent.takeBack(1);
    this.sent.refuse();
  }

  /** Answers the first datagram of the batch that is lent now. */
  answer(key: number, size: number): void {
    if (!this.#lent) return;
    world.see('answers');
    const batch = this.#batch as Batch;
    const port = batch.port(0);
    // Two empty ones to one place could not be told from each other, and one of them may be refused.
    const length = size === 0 && this.sent.hasEmpty(port) ? 1 : size;
    const listener: SentListener = this.sent.add(port, key, length, true, false);
    batch.reply(0, payloadOf(key, length), listener as unknown as SendCallback); // it comes back to reply() as it is
  }

  /** Its send buffer. */
  setFull(full: boolean): void {
    this.#full = full;
    stepping.setFull(this.fd, full);
  }

  sendRun(port: number, key: number, count: number, size: number): void {
    const payloads: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      payloads.push(payloadOf(key + i, size));
      this.sent.add(port, key + i, size, false, false);
    }
    const taken = this.#sendPayloads(port, payloads, size, key % 3);
    this.sent.takeBack(count - taken);
    if (this.#full && taken > STAGED_DATAGRAMS_MAX) fail('a run is taken that waits for the socket to be writable');
    if (taken < count) {
      world.see('runs not taken whole');
      if (this.#thread.native.notifyDrained(this.id)) this.sent.waitForDrain();
    }
  }

  // In each of the ways in which sendMany does it.
  #sendPayloads(port: number, payloads: Uint8Array[], size: number, way: number): number {
    const { lists } = this.#thread;
    if (way === 0) {
      const list = payloads.flatMap((payload) => [payload, port, '127.0.0.1']);
      return lists.sendTriples(this.id, udp4, list, undefined, undefined);
    }
    const destination = literalDestination(udp4, '127.0.0.1', port, 'address');
    if (way === 1) return lists.sendList(this.id, destination, payloads);
    return lists.sendSegments(this.id, destination, Buffer.concat(payloads), size);
  }

  /** `collect` takes what has left; after this the number of its descriptor is another one's. */
  close(collect: () => void): void {
    if (this.closed) return;
    const { sender } = this.#thread;
    const checkRevoked = this.sent.revoke();
    sender.revoke(this.id);
    for (const listener of sender.takeWaiting(this.id)) listener(-ECANCELED);
    this.#thread.release(this.id);
    const { stats } = this.#thread.snapshot(this.id);
    collect();
    this.closed = true;
    this.received.check(stats, true);
    this.sent.check(stats, true);
    checkRevoked();
    stepping.forget(this.fd);
  }

  /** It is open, and nothing goes on any more. */
  checkAtRest(): void {
    this.#checkReleased();
    const stats = this.#thread.stats(this.id);
    this.received.check(stats, false);
    this.sent.check(stats, false);
  }
}
