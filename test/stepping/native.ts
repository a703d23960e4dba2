// The addon of addon/: the product's, on a kernel in memory, whose I/O thread takes a step when it is told to.
import { createRequire } from 'node:module';
import type { Binding } from '../../build-lib/backend/binding.js';

interface Stepping {
  /** How many steps were taken: fewer when the thread waits for something, or has ended. */
  step(count: number): number;
  /** When the thread, which waits, goes on by itself, in ns; Infinity: never. */
  wakesAt(): number;
  setClock(ns: number): void;
  /** Is a wake-up of JavaScript under way? It is delivered now. */
  takeWake(): boolean;
  pendingWakes(): number;
  /** JavaScript is called to read the ring. */
  read(): void;
  arrive(fd: number, port: number, size: number, segmentSize: number, key: number): void;
  fail(fd: number, errno: number): void;
  /** Arrivals that were not received yet. */
  waiting(fd: number): number;
  setFull(fd: number, full: boolean): void;
  /** Behind what it was told of before, so many messages pass, and the next is refused. */
  refuse(fd: number, passes: number, errno: number): void;
  forget(fd: number): void;
  /** May the event loop receive from sockets of the next thread? */
  share(yes: boolean): void;
  /** How many sockets it can share by now. */
  places(): number;
  /** The event loop is told of the socket that has this place. True: it has to read the ring now. */
  receiveOnLoop(place: number): boolean;
  /** As that, of the sockets that it was told of lately, without being told. */
  lookNow(): boolean;
  /** The event loop is about to wait. */
  beforePoll(): void;
  /** fd, port, size, hash of each datagram that has left since the last call. */
  takeSent(): number[];
  /** As ArrayBuffer.prototype.transfer, which Node 20 has not. */
  detach(buffer: ArrayBuffer): void;
}

export const addon = createRequire(import.meta.url)(process.env.KSOCKET_STEPPING as string) as Binding & {
  stepping: Stepping;
};
export const { stepping } = addon;
