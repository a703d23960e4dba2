// Flows of a server's forwarding rules on their way: the rows of native/core/answer/flow_row.h, of which the first fields are
// read here.
import { EMFILE } from '../base/errno.js';
import * as errors from '../base/errors.js';
import type { ServerPart } from '../server/part.js';
import { type Channel, closeAll, kinds } from './channel.js';

/** Two doubles before the rows. Of getFlows() the first says where to go on; in a message it is the part's number. The second is
 * the bytes of a row. */
const HEADER_BYTES = 16;
const ROW_BYTES = 8;
/** In a row. */
const SERIAL = 0;
const RULE = 8;
const FD = 16;
/** So many descriptors at a time are open twice. */
const AT_ONCE = 252;
const ALL = 0xffff_ffff;

const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

class Rows {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #places: number[] = [];

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const size = bytes.length < HEADER_BYTES ? 0 : this.#double(ROW_BYTES);
    if (size <= FD) return;
    for (let at = HEADER_BYTES; at + size <= bytes.length; at += size) this.#places.push(at);
  }

  #double(at: number): number {
    return this.#view.getFloat64(at, isLittleEndian);
  }

  /** Of a message: which part they are of. Of getFlows(): where to go on, or -errno. */
  get first(): number {
    return this.bytes.length < HEADER_BYTES ? Number.NaN : this.#double(0);
  }

  set first(value: number) {
    this.#view.setFloat64(0, value, isLittleEndian);
  }

  /** Of each row, -1: none. */
  get fds(): number[] {
    return this.#places.map((at) => this.#view.getInt32(at + FD, isLittleEndian));
  }

  get keys(): number[] {
    return this.#places.flatMap((at) => [this.#double(at + RULE), this.#double(at + SERIAL)]);
  }
}

/** A giver's. */
export class GivenFlows {
  /** Of each part, rule and serial of the flows that the other process has. */
  #known: number[][] = [];

  /** The other process is another one. */
  forget(): void {
    this.#known = [];
  }

  /** Those that there are, one batch after the other while the part works on. */
  async send(channel: Channel, index: number, part: ServerPart): Promise<void> {
    this.#known[index] = [];
    await this.#sendBatches(channel, index, part);
  }

  // Where the process has no descriptors left for so many copies they are fewer at a time.
  async #sendBatches(channel: Channel, index: number, part: ServerPart): Promise<void> {
    let max = AT_ONCE;
    for (let from = 0; from !== Number.POSITIVE_INFINITY; ) {
      try {
        from = await this.#send(channel, kinds.flows, index, part, from, max);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EMFILE' || max === 1) throw error;
        max >>= 1;
      }
    }
  }

  /** All, once the part receives nothing any more, and the descriptors of those that the other process has not. */
  async sendAll(channel: Channel, index: number, part: ServerPart): Promise<void> {
    try {
      await this.#send(channel, kinds.table, index, part, 0, ALL);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error;
      await this.#sendBatches(channel, index, part);
      await this.#send(channel, kinds.table, index, part, 0, ALL);
    }
  }

  async #send(
    channel: Channel,
    kind: number,
    index: number,
    { thread, id }: ServerPart,
    from: number,
    max: number,
  ): Promise<number> {
    const known = this.#known[index];
    const rows = new Rows(thread.native.getFlows(id, from, max, Float64Array.from(known)));
    const next = rows.first;
    if (next < 0) throw errors.errnoException(next, 'dup');
    const fds = rows.fds.filter((fd) => fd >= 0);
    try {
      if (fds.length > AT_ONCE) throw errors.errnoException(EMFILE, 'dup'); // as one message or not at all
      rows.first = index;
      await channel.send(kind, rows.bytes, fds);
    } finally {
      closeAll(fds);
    }
    for (const key of rows.keys) known.push(key);
    return next;
  }
}

/** A taker's: what a message says, whose rows are of this version. `all`: there are no others. */
export function takeFlows(parts: readonly ServerPart[], bytes: Uint8Array, fds: readonly number[], all: boolean): void {
  const rows = new Rows(bytes);
  let taken = 0;
  const ofRows = rows.fds.map((fd) => (fd < 0 || taken === fds.length ? -1 : fds[taken++]));
  closeAll(fds.slice(taken));
  const part: ServerPart | undefined = parts[rows.first];
  if (part === undefined) {
    closeAll(fds.slice(0, taken));
    return;
  }
  part.thread.native.takeFlows(part.id, rows.bytes.subarray(HEADER_BYTES), Int32Array.from(ofRows), all);
}
