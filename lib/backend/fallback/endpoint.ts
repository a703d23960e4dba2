// One socket of the façade on one of node:dgram (native/core/endpoint/endpoint.h).
import type { RemoteInfo, Socket } from 'node:dgram';
import { EINVAL, ENOBUFS } from '../../base/errno.js';
import { DATAGRAM_BYTES_MAX, KIND_DRAINED, KIND_ERROR, KIND_SENT, RESULT_DEFERRED, SocketOption } from '../layout.js';
import type { SocketCounters } from './counters.js';
import type { Host, Hosts } from './hosts.js';
import { errnoOf } from './node-socket.js';
import { setOption } from './options.js';
import { Outlet } from './outlet.js';
import type { Responder } from './responder.js';
import type { RxRing } from './ring.js';
import type { StagedReader } from './staged.js';

/** More than this waiting in one socket is refused with ENOBUFS. */
const BACKLOG_BYTES_MAX = 64 * 1024 * 1024;
/** node:dgram cannot be told to stop receiving: so much is kept while the ring is full. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;
/** So many in one turn of the event loop come faster than they are read: the kernel gets a larger buffer. */
const GROW_AT_DATAGRAMS = 24;
const GROWN_BYTES = 4 * 1024 * 1024;
/** What keeping a datagram costs besides its payload, about. */
const KEPT_EACH_BYTES = 256;

/** What a socket has of its thread. */
export interface Surroundings {
  readonly ring: RxRing;
  readonly hosts: Hosts;
  /** A number for the turn of the event loop, while something comes. */
  readonly turn: number;
  /** This socket's records wait for room in the ring. */
  waitForRoom(endpoint: Endpoint): void;
}

/** Puts its record into the ring. False: there is no room. */
type Put = () => boolean;

export class Endpoint {
  readonly id: number;
  readonly socket: Socket;
  readonly counters: SocketCounters;
  readonly outlet: Outlet;
  readonly #around: Surroundings;
  readonly #dropWhenFull: boolean;
  readonly #kept: { put: Put; bytes: number }[] = [];
  #keptBytes = 0;
  #keepBytesMax = DATAGRAM_BYTES_MAX;
  #state: 'new' | 'watched' | 'closed' = 'new';
  #tellDrained = false;
  #turn = 0;
  #inTurn = 0; // datagrams
  /** Has nobody chosen the size of the kernel's receive buffer? */
  mayGrow = true;
  bound = false;
  /** Does JavaScript want the datagrams? */
  deliver = true;
  responder: Responder | undefined;

  constructor(id: number, socket: Socket, counters: SocketCounters, dropWhenFull: boolean, around: Surroundings) {
    this.id = id;
    this.socket = socket;
    this.counters = counters;
    this.outlet = new Outlet(socket, counters);
    this.#dropWhenFull = dropWhenFull;
    this.#around = around;
    socket.on('message', (payload, from) => this.#received(payload, from));
    socket.on('error', (error) => {
      if (this.#state === 'watched') this.#failed(errnoOf(error));
    });
  }

  // ---- receiving

  watch(keepBytesMax: number): void {
    this.#keepBytesMax = keepBytesMax;
    this.#state = 'watched';
  }

  #received(payload: Buffer, { address, port }: RemoteInfo): void {
    if (this.#state !== 'watched') return;
    const { counters } = this;
    counters.add('rxCalls');
    counters.add('rxBatches');
    counters.add('rxDatagrams');
    counters.add('rxBytes', payload.length);
    if (this.mayGrow) this.#noteTurn();
    const from = this.#around.hosts.get(address);
    const wanted = this.deliver;
    if (this.responder !== undefined && !this.responder.answer({ payload, from, port })) return;
    if (wanted) this.#deliver(payload, from, port);
  }

  #noteTurn(): void {
    const { turn } = this.#around;
    this.#inTurn = turn === this.#turn ? this.#inTurn + 1 : 1;
    this.#turn = turn;
    if (this.#inTurn < GROW_AT_DATAGRAMS) return;
    this.mayGrow = false;
    setOption(this.socket, SocketOption.receiveBufferBytes, GROWN_BYTES); // as far as the system allows
  }

  #deliver(payload: Buffer, from: Host, port: number): void {
    const kept = Math.min(payload.length, this.#keepBytesMax);
    const { ring } = this.#around;
    const put = () => {
      if (ring.yields(this.id) || !ring.datagram(this.id, from, port, payload, kept)) return false;
      if (kept < payload.length) this.counters.add('rxTruncated');
      return true;
    };
    if (this.#kept.length === 0 && put()) return;
    const bytes = payload.length + KEPT_EACH_BYTES;
    if (this.#dropWhenFull || this.#keptBytes + bytes > KEPT_BYTES_MAX) {
      this.counters.add('rxRingDrops');
      return;
    }
    if (this.#keptBytes === 0) this.counters.add('rxPauses');
    this.#keep(put, bytes);
  }

  #failed(errno: number): void {
    this.counters.add('rxErrors');
    this.#notice(KIND_ERROR, errno, 0);
  }

  #notice(kind: number, result: number, sendNumber: number): void {
    const { ring } = this.#around;
    const put = () => ring.notice(this.id, kind, result, sendNumber);
    if (this.#kept.length > 0 || !put()) this.#keep(put, 0);
  }

  #keep(put: Put, bytes: number): void {
    this.#kept.push({ put, bytes });
    this.#keptBytes += bytes;
    this.#around.waitForRoom(this);
  }

  /** The ring has room again. Is there something left that has to wait? */
  goOn(): boolean {
    let done = 0;
    while (done < this.#kept.length && this.#kept[done].put()) this.#keptBytes -= this.#kept[done++].bytes;
    this.#kept.splice(0, done);
    return this.#kept.length > 0;
  }

  // ---- sending

  /** Sends the record `n`, whose payload is in `bytes`; what it is told of later comes as a record. */
  send(staged: StagedReader, n: number, bytes: Uint8Array): void {
    const offset = staged.offset(n);
    const length = staged.length(n);
    if (offset + length > bytes.length) {
      staged.settle(n, EINVAL);
      return;
    }
    const each = staged.segmentSize(n) || length;
    const address = staged.address(n);
    const port = staged.port(n);
    const sendNumber = staged.sendNumber(n);
    // The kernel may take it later, when other bytes lie there.
    const payload = Buffer.allocUnsafe(length);
    payload.set(bytes.subarray(offset, offset + length));
    let result = 0;
    let at = 0;
    do {
      const segment = payload.subarray(at, Math.min(at + each, length));
      result = combined(result, this.#sendOne(segment, port, address, sendNumber));
      at += each;
    } while (at < length);
    staged.settle(n, result);
  }

  #sendOne(payload: Uint8Array, port: number, address: string, sendNumber: number): number {
    if (this.outlet.waiting[1] + payload.length > BACKLOG_BYTES_MAX) {
      this.counters.add('txDropped');
      return ENOBUFS;
    }
    const result = this.outlet.send(payload, port, address, (late) => this.#settled(late, sendNumber));
    if (result !== undefined) return result;
    if (this.outlet.waiting[0] > 0) this.counters.add('txDeferred');
    return RESULT_DEFERRED;
  }

  #settled(result: number, sendNumber: number): void {
    if (this.#state === 'closed') return;
    if (sendNumber !== 0) this.#notice(KIND_SENT, result, sendNumber);
    if (!this.#tellDrained || this.outlet.waiting[0] > 0) return;
    this.#tellDrained = false;
    this.#notice(KIND_DRAINED, 0, 0);
  }

  /** False: nothing waits, so nobody will be told. */
  notifyDrained(): boolean {
    this.#tellDrained = this.outlet.waiting[0] > 0;
    return this.#tellDrained;
  }

  // ---- its end

  close(): void {
    this.#state = 'closed';
    this.responder?.close();
    this.counters.add('rxCloseDrops', this.#kept.filter(({ bytes }) => bytes > 0).length);
    this.#kept.length = 0;
    this.outlet.close();
  }
}

// Of several datagrams in one record: the first error, else all bytes; one that waits is what counts.
function combined(before: number, next: number): number {
  if (before === RESULT_DEFERRED || next === RESULT_DEFERRED) return RESULT_DEFERRED;
  if (before < 0) return before;
  return next < 0 ? next : before + next;
}
