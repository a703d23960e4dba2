// What another thread may read of a socket that this one runs: shared memory only, without a call to anybody.

/** What has been counted. */
export interface Counted {
  /** Rows of counters: lib/backend/layout.ts names what stands where. */
  counters: BigUint64Array;
  thread: BigUint64Array;
  /** native/core/memory/latency_histogram.h */
  latency: BigUint64Array;
}

export interface ObservedSocket extends Counted {
  engine: string;
  counters: BigUint64Array<SharedArrayBuffer>;
  thread: BigUint64Array<SharedArrayBuffer>;
  latency: BigUint64Array<SharedArrayBuffer>;
  /** The receive ring's cursors, and the thread's number. */
  control: Int32Array<SharedArrayBuffer>;
  /** Places in the receive ring. */
  ringSlots: number;
  /** Its thread may end at any moment. */
  ends?: boolean;
}

export interface Observation extends ObservedSocket {
  /** What was counted in another run cannot be compared. */
  run: number;
  /** The other shards of a server that has several. */
  others?: readonly ObservedSocket[];
  /** A row that is counted in the kernel, of a server that answers there, too. */
  kernel?: BigUint64Array<SharedArrayBuffer>;
  /** What each queue of a tunnel counts beside (native/core/memory/tunnel_counters.h). */
  tunnel?: BigUint64Array<SharedArrayBuffer>[];
  /** Of shards that there were in this run. */
  past?: Counted;
}
