// What is behind a Socket: its states, what reaches it from its thread, and its end. The public face, with the
// documentation, is socket.ts; binding.ts, connecting.ts, sending.ts and kernel-options.ts say what is done with it.
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { addAbortListener } from 'node:events';
import type { BlockList } from 'node:net';
import { OPEN_RECEIVE_LOCAL, OPEN_RECEIVE_RIGHTS } from '../backend/layout.js';
import { ECANCELED } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { familyOfAddress } from '../base/family.js';
import { bytesOfPayload, type Payload, type SendCallback } from '../base/payload.js';
import { hasLibuv, nextTick } from '../base/runtime.js';
import { SocketState, type StateSource, stateSymbol } from '../dgram/state.js';
import type { Batch } from '../thread/batch.js';
import type { Stats } from '../thread/counters.js';
import type {
  RemoteInfo,
  TakesBatches,
  TakesDatagrams,
  TakesLone,
  TakesPeerErrors,
  TakesSendResults,
  TakesSendTimes,
} from '../thread/endpoint.js';
import type { IoThread } from '../thread/io-thread.js';
import type { MetadataKind } from '../thread/metadata.js';
import type { PeerError } from '../thread/peer-error.js';
import type { Question } from '../thread/records.js';
import type { SendMore } from '../thread/send-more.js';
import type { SendTime } from '../thread/send-time.js';
import type { KnownNames } from './known-names.js';
import { listenerCount, type MessageListener, nodesEmit, onlyListener } from './listeners.js';
import type { CheckedSocketOptions } from './options.js';
import { noFilter, Place, type SocketFilter } from './place.js';
import { concernsGroups } from './raw-options.js';
import { type Lookup, lookupOf, namesOf } from './resolve.js';
import { sentListener } from './sent-listener.js';
import { Shards } from './shards.js';
import type { Face } from './types.js';

/** Are the stores of AsyncLocalStorage there in a scope that native code opens? Where Node has V8 keep them
 * (AsyncContextFrame, from Node 24 on) napi_open_callback_scope enters an async context without them. */
const scopesHaveStores = hasLibuv && '_enable' in AsyncLocalStorage.prototype;

/** SCM_MAX_FD: as many as come with a datagram. */
const taken = new Int32Array(253);
const none = new Int32Array(0);

export function isBlocked(list: BlockList, ip: string): boolean {
  return list.check(ip, familyOfAddress(String(ip)).blockListName);
}

export class SocketCore
  extends Place
  implements TakesDatagrams, TakesLone, TakesBatches, TakesSendResults, TakesPeerErrors, TakesSendTimes, StateSource
{
  bindState: 'unbound' | 'binding' | 'bound' = 'unbound';
  connectState: 'disconnected' | 'connecting' | 'connected' = 'disconnected';
  /** What waits for the bind. */
  queue: (() => void)[] | undefined;
  /** What is said of each datagram that is sent, unless it says something else. */
  sendDefaults: SendMore | undefined;
  readonly lookup: Lookup | undefined;
  readonly names: KnownNames | undefined;
  /** Undefined: it is one socket. */
  readonly shards: Shards | undefined;
  readonly pooled: boolean;
  sameListeners = false;
  #listener: MessageListener | undefined; // for 'message', if it is alone, and as long as they are the same
  readonly #resource = new AsyncResource('UDPWRAP', { requireManualDestroy: true });
  #refd = true;
  #alone = 0; // datagrams that came alone while the thread did not know our async context
  #answersAsAsked = false;
  #deferredClose: (() => void) | undefined;
  #stopped = false; // nothing is emitted any more
  #state: SocketState | undefined; // made when somebody asks

  constructor(face: Face, options: CheckedSocketOptions) {
    super(face, options);
    this.pooled = options.pooled;
    this.lookup = lookupOf(options);
    this.names = namesOf(options, this);
    this.shards = options.shards && new Shards(this, options.shards);
  }

  listenersChanged(): void {
    this.sameListeners = false;
    this.#listener = undefined;
  }

  // ---- what the thread tells

  get wantsBatches(): boolean {
    return listenerCount.call(this.face, 'batch') > 0;
  }

  get metadata(): readonly MetadataKind[] | undefined {
    return this.options.metadata;
  }

  // Listeners run in the async context in which the socket was made, as node:dgram's do.
  onDatagram(data: Buffer, rinfo: RemoteInfo, again: boolean): void {
    if (this.#stopped || this.#blocks(rinfo.address)) return;
    this.thread?.sender.passEvent();
    const { face } = this;
    if (!again || !this.sameListeners || face.emit !== nodesEmit) this.#listener = onlyListener(face);
    this.sameListeners = true;
    if (this.#listener !== undefined) this.#resource.runInAsyncScope(this.#listener, face, data, rinfo);
    else this.#resource.runInAsyncScope(face.emit, face, 'message', data, rinfo);
    this.thread?.sender.passEvent();
  }

  takeDescriptors(bundle: number): number[] {
    const count = this.thread?.native.takeRights(this.id, bundle, taken) ?? 0;
    return Array.from(taken.subarray(0, count));
  }

  dropDescriptors(bundle: number): void {
    this.thread?.native.takeRights(this.id, bundle, none);
  }

  // Where little comes, runInAsyncScope and what it calls, which is not compiled then, would cost as much as all else here:
  // from the second one on native code enters the context. (A socket for a single query gets one answer.)
  onLone(data: Buffer<ArrayBuffer>, rinfo: RemoteInfo, entered: boolean): void {
    if (!entered) {
      this.onDatagram(data, rinfo, false);
      this.#countAlone();
    } else if (!this.#stopped && !this.#blocks(rinfo.address)) {
      this.thread?.sender.passEvent();
      this.face.emit('message', data, rinfo);
    }
  }

  #countAlone(): void {
    if (++this.#alone === 2) this.#keepContext();
  }

  onBatch(batch: Batch, entered?: boolean): void {
    if (this.#stopped) return;
    const { receiveBlockList } = this.options;
    if (receiveBlockList !== undefined) {
      const all = batch.length;
      const kept = batch.leaveOut((address) => isBlocked(receiveBlockList, address));
      this.countLost('rxBlocked', all - kept);
      if (kept === 0) return;
    }
    this.thread?.sender.passEvent();
    try {
      if (entered) this.face.emit('batch', batch);
      else this.#resource.runInAsyncScope(this.face.emit, this.face, 'batch', batch);
    } finally {
      if ((this.flags & OPEN_RECEIVE_RIGHTS) !== 0) batch.dropDescriptors();
    }
    if (entered === undefined)
      this.thread?.sender.passEvent(); // behind one that comes alone everything is sent
    else if (!entered) this.#countAlone();
  }

  /** Whoever takes batches may answer them: from the address that was asked, where that can be one of several. Before the
   * first of them comes. */
  answerAsAsked(): void {
    const { thread } = this;
    if (this.#answersAsAsked || !this.receiving || thread === undefined || !this.family.isIp) return;
    this.#answersAsAsked = true;
    if ((this.flags & OPEN_RECEIVE_LOCAL) !== 0) return;
    if (this.connectState === 'connected' || this.name(false).address !== this.family.any) return;
    const each = (place: Place): 0 => {
      place.thread?.providePacketInfos();
      place.thread?.native.receiveLocal?.(place.id); // where the kernel cannot, it goes on choosing
      return 0;
    };
    each(this);
    this.shards?.set('answerAsAsked', each);
  }

  #blocks(address: string): boolean {
    const { receiveBlockList } = this.options;
    if (receiveBlockList === undefined || !isBlocked(receiveBlockList, address)) return false;
    this.countLost('rxBlocked', 1);
    return true;
  }

  // Its resource is ours, too: AsyncLocalStorage of Node 20 and 22 keeps its stores there.
  #keepContext(): void {
    const native = this.thread?.native;
    if (!scopesHaveStores || native === undefined || !this.receiving) return;
    this.#resource.runInAsyncScope(native.keepContext, native, this.id, this.#resource);
  }

  onReceiveError(errno: number): void {
    const error = errors.errnoException(errno, 'recvmsg');
    this.#resource.runInAsyncScope(() => this.face.emit('error', error));
  }

  onPeerError(error: PeerError): void {
    if (this.#stopped) return;
    this.#resource.runInAsyncScope(() => this.face.emit('peererror', error));
  }

  onSendTime(time: SendTime): void {
    if (this.#stopped) return;
    this.#resource.runInAsyncScope(this.face.emit, this.face, 'sendtime', time);
  }

  onSent(number: number, result: number): void {
    this.thread?.sender.onSent(number, result);
  }

  onDrained(): void {
    this.#resource.runInAsyncScope(() => this.face.emit('drain'));
  }

  reply(question: Question, data: Payload, callback: SendCallback | undefined): void {
    const payload = bytesOfPayload(data, 'data');
    const connected = this.connectState === 'connected';
    const listener = callback && sentListener(this, callback, true, undefined, undefined);
    const { sender } = this.running();
    const asked = this.family.isIp ? question : { ...question, info: undefined };
    const errno = sender.reply(this.id, connected, asked, payload, listener, this.sendDefaults);
    if (errno !== 0) listener?.(errno);
  }

  // ---- while it is bound

  get receiving(): boolean {
    return this.bindState === 'bound' && !this.#stopped && !this.closed;
  }

  /** The descriptor is bound and watched: what arrives on it is this socket's from now on. */
  startReceiving(thread: IoThread): void {
    thread.attach(this);
    this.bindState = 'bound';
    if (this.wantsBatches) this.answerAsAsked();
    this.hold(this.#refd);
    this.#state?.follow();
  }

  /** Ends the events of what comes in, for good, and no longer keeps the event loop running. */
  stopReceiving(): void {
    this.#stopped = true;
    this.hold(false);
  }

  ref(on: boolean): void {
    this.#refd = on;
    this.hold(on && this.receiving);
  }

  /** What node:dgram's sockets have under `stateSymbol`. */
  get state(): SocketState | undefined {
    if (this.#state === undefined && stateSymbol !== undefined) this.#state = new SocketState(this, stateSymbol);
    return this.#state;
  }

  override abandon(): void {
    this.#state?.close();
    this.#state = undefined;
    super.abandon();
    this.shards?.abandon();
  }

  // ---- with its shards

  override hold(on: boolean): void {
    super.hold(on);
    if (this.shards === undefined) return; // twice a socket's life
    for (const place of this.shards.others) place.hold(on);
  }

  override setOption(option: number, value: number): number {
    return (
      super.setOption(option, value) ||
      (this.shards?.set(`row ${option}`, (place) => place.setOption(option, value)) ?? 0)
    );
  }

  /** Only the first hears groups: the others would get copies of what is sent there. */
  override setRawOption(level: number, name: number, value: Uint8Array): number | string {
    const result = super.setRawOption(level, name, value);
    if (result !== 0 || this.shards === undefined || concernsGroups(level, name)) return result;
    const own = Uint8Array.from(value); // the program's memory may change
    return this.shards.set(`${level} ${name}`, (place) => place.setRawOption(level, name, own));
  }

  override changeFilter(wanted: SocketFilter): number {
    const { shards, filter } = this;
    if (shards === undefined) return super.changeFilter(wanted);
    // A lock could not be taken back: it comes when all have the filter.
    let errno = shards.changeFilter({ ...wanted, lock: false }, filter);
    if (errno !== 0) return errno;
    errno = super.changeFilter(wanted);
    if (errno !== 0) shards.changeFilter(filter ?? noFilter, undefined);
    else if (wanted.lock) return shards.changeFilter(wanted, wanted);
    return errno;
  }

  override stats(): Stats {
    const own = this.ownStats();
    return this.shards?.stats(own) ?? own;
  }

  // ---- its end

  close(): void {
    this.checkRunning();
    this.closed = true;
    this.#state?.close();
    const canceled = this.release();
    this.shards?.release();
    nextTick(() => {
      this.face.emit('close');
      for (const listener of canceled) listener(ECANCELED);
      this.#resource.emitDestroy();
    });
  }

  /** The program's close(), once it has been given what was received already; nothing more is, so that others who share the
   * port get it. */
  closeWhenRead(callback: (() => void) | undefined): void {
    const thread = this.running();
    thread.changing().unwatch(this.id);
    thread.whenRead(() => {
      if (!this.closed) this.face.close(callback);
      else callback?.();
    });
  }

  /** True when the close has to wait for what waits for the bind. */
  deferClose(close: () => void): boolean {
    if (this.queue === undefined) return false;
    this.queue.push(close);
    this.#deferredClose = close;
    return true;
  }

  /** It will not be bound: what waits for that is dropped where somebody waits for the close, who hears of no error. */
  closeIfDeferred(): void {
    if (this.#deferredClose === undefined || this.closed) return;
    this.queue = undefined;
    this.#deferredClose();
  }

  closeOnAbort(signal: AbortSignal): void {
    const onAbort = () => {
      if (!this.closed) this.face.close();
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    const listening = addAbortListener(signal, onAbort);
    this.face.once('close', () => listening[Symbol.dispose]());
  }
}
