// The way out of one socket of node:dgram: a datagram at a time, with its result.
import type { Socket } from 'node:dgram';
import { ECONNREFUSED } from '../../base/errno.js';
import { withoutTick } from '../../base/runtime.js';
import type { SocketCounters } from './counters.js';
import { closeNow, errnoOf } from './node-socket.js';

/** Bytes or -errno. */
export type Settled = (result: number) => void;

const NOTHING: [number, number] = [0, 0];

type Callback = (error: Error | null, bytes: number) => void;

export class Outlet {
  readonly #socket: Socket;
  readonly #counters: SocketCounters;
  readonly #toPeer: boolean;
  #pending = 0; // datagrams whose result is still to come
  #ended = false;

  /** `toPeer`: whatever address is said, it goes to the one peer of the connected socket. */
  constructor(socket: Socket, counters: SocketCounters, { toPeer = false } = {}) {
    this.#socket = socket;
    this.#counters = counters;
    this.#toPeer = toPeer;
  }

  /** Datagrams, and their bytes, that wait for the socket to be writable. */
  get waiting(): [datagrams: number, bytes: number] {
    if (this.#pending === 0) return NOTHING;
    const socket: Partial<Socket> = this.#socket; // Deno's have no such methods
    return [socket.getSendQueueCount?.() ?? 0, socket.getSendQueueSize?.() ?? 0];
  }

  /** Sends bytes that nobody changes any more; where `address` is empty, to the peer of a connected socket. Returns the result, or
   * undefined: `later` gets it. */
  send(payload: Uint8Array, port: number, address: string, later?: Settled): number | undefined {
    this.#counters.add('txCalls');
    let result: number | undefined;
    let returned = false;
    const settled: Callback = (error, bytes) => {
      if (this.#ended) return; // the row of counters may be another socket's
      const outcome = error === null ? bytes : errnoOf(error);
      this.#count(outcome);
      if (!returned) result = outcome;
      else {
        this.#pending--;
        later?.(outcome);
      }
    };
    try {
      withoutTick(
        (callback) => callback === settled,
        () => this.#hand(payload, port, address, settled),
      );
    } catch (error) {
      result = errnoOf(error);
      this.#count(result);
    }
    returned = true;
    if (result === undefined) this.#pending++;
    return result;
  }

  /** As `send`, of an answer: what cannot leave now is dropped, as the client will ask again. What the network says of an
   * earlier one (ICMP) does not keep it. */
  answer(payload: Uint8Array, port: number, address: string): void {
    if (this.waiting[0] > 0) this.#counters.add('txDropped');
    else if (this.send(payload, port, address) === ECONNREFUSED) this.send(payload, port, address);
  }

  /** Closes the socket; what still waits is counted as dropped, and nobody is told. */
  close(): void {
    this.#ended = true;
    this.#counters.add('txDropped', this.#pending);
    closeNow(this.#socket);
  }

  #hand(payload: Uint8Array, port: number, address: string, settled: Callback): void {
    const { length } = payload;
    if (this.#toPeer || address === '') this.#socket.send(payload, 0, length, settled);
    else this.#socket.send(payload, 0, length, port, address, settled);
  }

  #count(result: number): void {
    if (result < 0) {
      this.#counters.add('txErrors');
      return;
    }
    this.#counters.add('txDatagrams');
    this.#counters.add('txBytes', result);
  }
}
