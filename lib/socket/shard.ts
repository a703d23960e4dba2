// One of the other sockets of a socket that has several (shards.ts): a descriptor, a thread and a ring, and everything that comes to
// it is the first one's.
import { OPEN_REUSE_PORT } from '../backend/layout.js';
import * as errors from '../base/errors.js';
import type { Payload, SendCallback } from '../base/payload.js';
import type { Batch } from '../thread/batch.js';
import type { RemoteInfo, TakesBatches, TakesDatagrams, TakesPeerErrors } from '../thread/endpoint.js';
import type { MetadataKind } from '../thread/metadata.js';
import type { PeerError } from '../thread/peer-error.js';
import type { Question } from '../thread/records.js';
import { type CheckedShards, filterRefused, shardThreadOptions } from '../thread/shards.js';
import { withoutCopies } from '../thread/steering.js';
import { bufferSize } from './kernel-options.js';
import { noFilter, Place, type SocketFilter } from './place.js';

export type Main = Place & TakesDatagrams & TakesBatches & TakesPeerErrors;

export class Shard extends Place implements TakesDatagrams, TakesBatches, TakesPeerErrors {
  readonly #main: Main;

  constructor(main: Main, shards: CheckedShards, index: number) {
    const { thread } = main.options;
    super(main.face, { ...main.options, thread: thread && shardThreadOptions(thread, shards, index) });
    this.#main = main;
    this.flags = main.flags | OPEN_REUSE_PORT;
  }

  get wantsBatches(): boolean {
    return this.#main.wantsBatches;
  }

  get metadata(): readonly MetadataKind[] | undefined {
    return this.#main.metadata;
  }

  get pooled(): boolean {
    return this.#main.pooled;
  }

  get sameListeners(): boolean | undefined {
    return this.#main.sameListeners;
  }

  onDatagram(data: Buffer, rinfo: RemoteInfo, again: boolean): void {
    this.#main.onDatagram(data, rinfo, again);
  }

  onBatch(batch: Batch): void {
    this.#main.onBatch(batch);
  }

  reply(question: Question, payload: Payload, callback: SendCallback | undefined): void {
    this.#main.reply(question, payload, callback);
  }

  onReceiveError(errno: number): void {
    this.#main.onReceiveError(errno);
  }

  /** The kernel chooses among the group's sockets whom it tells. */
  onPeerError(error: PeerError): void {
    this.#main.onPeerError(error);
  }

  /** Gets a copy of a bound descriptor. 0, or -errno: then nothing is open. */
  takeOver(fd: number): number {
    const given = { fd, copy: true, flags: this.flags, libuv: false, family: this.family.number };
    return this.settle() || this.settled(this.running().changing().adopt(this.id, given));
  }

  /** Once it is bound, too. @throws what is refused */
  startReceiving(): void {
    setUp(this, this.guarded(this.#main.filter), this.#main.filter === undefined);
    this.running().attach(this);
    this.running().answerThrough(this.#main.running());
    this.hold(this.#main.holding);
  }

  /** The filter that this shard has where the program wants `filter`: of a broadcast it would get a copy. So it would where the
   * address that the socket is bound to is one, which only the kernel's routes tell. */
  guarded(filter: SocketFilter = noFilter): SocketFilter {
    return { ...filter, program: withoutCopies(this.family.number, filter.program) };
  }
}

/** The bound descriptor starts to receive. `ours`: nobody has asked for the filter. @throws what is refused */
export function setUp(place: Place, filter: SocketFilter, ours = false): void {
  const { recvBufferSize, sendBufferSize, maxBytes } = place.options;
  const native = place.running().changing();
  let errno = native.setFilter(place.id, filter);
  if (errno !== 0) throw ours ? filterRefused(errno) : errors.errnoException(errno, 'setsockopt');
  if (recvBufferSize) bufferSize(place, 'recv', recvBufferSize);
  if (sendBufferSize) bufferSize(place, 'send', sendBufferSize);
  errno = native.watch(place.id, maxBytes);
  if (errno !== 0) throw errors.errnoException(errno, 'epoll_ctl');
}
