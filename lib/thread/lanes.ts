// Records that wait in the ring, a lane for each socket: while one of them has more to do than there is time for, the
// others' datagrams do not wait behind its own.

export class Lane {
  readonly id: number;
  readonly records: number[] = [];
  first = 0; // index of the first that waits
  segmentAt = 0; // bytes of that one that were handed out already

  constructor(id: number) {
    this.id = id;
  }
}

const CROWD_RECORDS = 64;
const COMPACT_AT = 1024; // done with, at the beginning of a lane that goes on

/** Each record belongs to a socket's id. Whose turn it is stays so until `rotate`: what a socket sends in a row leaves
 * together. */
export class Lanes {
  readonly #byId = new Map<number, Lane>();
  readonly #turns: Lane[] = []; // none is empty
  #turn = 0;
  /** The record that was not looked at yet. */
  until: number;

  constructor(from: number) {
    this.until = from;
  }

  add(n: number, id: number): void {
    this.until = (n + 1) | 0;
    let lane = this.#byId.get(id);
    if (lane === undefined) {
      lane = new Lane(id);
      this.#byId.set(id, lane);
      this.#turns.push(lane);
    }
    lane.records.push(n);
  }

  /** The socket with the most records, if that is a crowd; else 0. */
  get crowding(): number {
    let id = 0;
    let most = CROWD_RECORDS;
    for (const lane of this.#turns) {
      const waiting = lane.records.length - lane.first;
      if (waiting < most) continue;
      most = waiting;
      id = lane.id;
    }
    return id;
  }

  /** Bytes of this socket's first record that were handed out already; undefined: it has no lane yet. */
  begun(id: number): number | undefined {
    return this.#byId.get(id)?.segmentAt;
  }

  /** Of this socket's first record so many bytes have been handed out. */
  begin(id: number, segmentAt: number): void {
    const lane = this.#byId.get(id);
    if (lane !== undefined) lane.segmentAt = segmentAt;
  }

  /** Whose turn it is; there is somebody. */
  get current(): Lane {
    if (this.#turn >= this.#turns.length) this.#turn = 0;
    return this.#turns[this.#turn];
  }

  /** The next one's turn. */
  rotate(): void {
    this.#turn++;
  }

  /** `count` records of the current lane are done with. */
  done(count: number): void {
    const lane = this.current;
    lane.first += count;
    lane.segmentAt = 0;
    if (lane.first === lane.records.length) {
      this.#byId.delete(lane.id);
      this.#turns.splice(this.#turn, 1);
    } else if (lane.first >= COMPACT_AT) {
      lane.records.splice(0, lane.first);
      lane.first = 0;
    }
  }
}
