// What a socket has to be told of what arrived: every datagram once, in order, with its bytes, its size and its source.
import type { Stats } from '../../build-lib/thread/counters.js';
import type { RemoteInfo } from '../../build-lib/thread/endpoint.js';
import { stepping } from './native.js';
import { isPart } from './payloads.js';
import { fail, world } from './world.js';

interface Datagram {
  port: number;
  key: number;
  /** Where in the payload `key` it begins. */
  from: number;
  size: number;
}

export interface Source {
  address: string;
  port: number;
}

/** Memory that a program has detached: what it was told of there is empty. */
const detached = new WeakSet<ArrayBufferLike>();

export class Received {
  static #latest: Received | undefined; // whose datagram was told last
  readonly #fd: number;
  readonly #drops: boolean;
  readonly #keepBytesMax: number;
  readonly #expected: Datagram[] = [];
  /** Datagrams of each arrival; an error's are 0. */
  readonly #arrivals: number[] = [];
  readonly #kept: { data: Uint8Array; datagram: Datagram }[] = [];
  #next = 0; // of #expected
  #skipped = 0;
  readonly #emptied = new Set<number>(); // keys of those that the program has detached: what is left of them may be lost
  #errors = 0;
  #errorsTold = 0;

  constructor(fd: number, drops: boolean, keepBytesMax: number) {
    this.#fd = fd;
    this.#drops = drops;
    this.#keepBytesMax = keepBytesMax;
  }

  arrive(port: number, key: number, size: number, segmentSize: number): void {
    let datagrams = 0;
    const each = segmentSize || size;
    let from = 0;
    do {
      this.#expected.push({ port, key, from, size: Math.min(each, size - from) });
      from += each;
      datagrams++;
    } while (from < size);
    this.#arrivals.push(datagrams);
    stepping.arrive(this.#fd, port, size, segmentSize, key);
  }

  fail(errno: number): void {
    this.#arrivals.push(0);
    this.#errors++;
    stepping.fail(this.#fd, errno);
  }

  tellError(): void {
    if (++this.#errorsTold > this.#errors) fail('an error is told twice');
  }

  /** The program detaches the memory of the latest one. */
  detach(): void {
    const { buffer } = this.#kept.at(-1)?.data ?? {};
    if (!(buffer instanceof ArrayBuffer) || buffer.byteLength === 0) return;
    world.see('detached');
    detached.add(buffer);
    for (const { data, datagram } of this.#kept) if (data.buffer === buffer) this.#emptied.add(datagram.key);
    stepping.detach(buffer);
  }

  /** Which of those that arrived is this one? It is the next, or those before were dropped. `size`: before it was cut,
   * where that is known. */
  take(data: Uint8Array, source: Source, size?: number): void {
    for (; this.#next < this.#expected.length; this.#next++) {
      const datagram = this.#expected[this.#next];
      const { port, from } = datagram;
      const isIt =
        source.port === port &&
        (size ?? datagram.size) === datagram.size &&
        (this.#isWhole(data, datagram) || this.#isLost(data, datagram));
      if (!isIt) {
        if (!this.#drops) break;
        this.#skipped++;
        continue;
      }
      if (source.address !== addressOf(port)) fail(`from ${source.address}, not ${addressOf(port)}`);
      if (from > 0 && Received.#latest !== this) world.see('in pieces, with others in between');
      Received.#latest = this;
      this.#next++;
      this.#kept.push({ data, datagram });
      return;
    }
    const datagram = this.#expected[this.#next];
    fail(`got ${data.length} of ${size ?? '?'} bytes from port ${source.port}, not ${JSON.stringify(datagram)}`);
  }

  #isWhole(data: Uint8Array, { key, from, size }: Datagram): boolean {
    return data.length === Math.min(size, this.#keepBytesMax) && isPart(data, key, from);
  }

  // No more than nothing is told then: no bytes of others.
  #isLost(data: Uint8Array, { key, size }: Datagram): boolean {
    return this.#emptied.has(key) && data.length <= size && data.every((byte) => byte === 0);
  }

  /** As `take`, of an event. */
  takeMessage(data: Buffer, rinfo: RemoteInfo): void {
    if (rinfo.family !== 'IPv4') fail(`family ${rinfo.family}`);
    this.take(data, rinfo, rinfo.size);
  }

  /** The latest `count` are lent no longer. */
  giveBack(count: number): void {
    for (const { data, datagram } of this.#kept.splice(this.#kept.length - count)) this.#checkBytes(data, datagram);
  }

  /** Is everything that was handed out still what it was? */
  checkKept(): void {
    for (const { data, datagram } of this.#kept) this.#checkBytes(data, datagram);
  }

  #checkBytes(data: Uint8Array, datagram: Datagram): void {
    if (detached.has(data.buffer)) return;
    if (!isPart(data, datagram.key, datagram.from) && !this.#isLost(data, datagram))
      fail('bytes that were handed out have changed');
  }

  /** All that arrived is handed out or counted; `closed`: or was not looked at. */
  check(stats: Stats, closed: boolean): void {
    this.checkKept();
    const waiting = stepping.waiting(this.#fd);
    if (!closed && waiting > 0) fail(`${waiting} arrivals wait in the kernel, and nobody comes`);
    const read = this.#arrivals.slice(0, this.#arrivals.length - waiting).reduce((sum, n) => sum + n, 0);
    const { rxDatagrams, rxRingDrops, rxCloseDrops, rxErrors } = stats;
    const delivered = this.#next - this.#skipped;
    world.see('dropped', rxRingDrops);
    world.see('full rings', stats.rxPauses);
    world.see('dropped by close()', rxCloseDrops);
    if (rxDatagrams !== read) fail(`rxDatagrams is ${rxDatagrams}, not ${read}`);
    if (!this.#drops && rxRingDrops > 0) fail(`rxRingDrops is ${rxRingDrops} where nothing may be dropped`);
    if (delivered + rxRingDrops + rxCloseDrops !== read) {
      fail(`${read} read, but ${delivered} handed out, ${rxRingDrops} and ${rxCloseDrops} counted as dropped`);
    }
    if (!closed && this.#errorsTold > rxErrors) fail('more errors than are counted');
    if (rxCloseDrops > 0 && !closed) fail('rxCloseDrops without close()');
  }
}

/** Where what comes from this port comes from. */
export function addressOf(port: number): string {
  return `127.0.0.${1 + (port % 40)}`;
}
