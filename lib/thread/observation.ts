// What another thread may read of a socket that this one runs: shared memory only, without a call to anybody.

export interface Observation {
  engine: string;
  /** Rows of counters: lib/backend/layout.ts names what stands where. */
  counters: BigUint64Array<SharedArrayBuffer>;
  thread: BigUint64Array<SharedArrayBuffer>;
  /** The receive ring's cursors, and the thread's number. */
  control: Int32Array<SharedArrayBuffer>;
  /** Places in the receive ring. */
  ringSlots: number;
  /** native/core/memory/latency_histogram.h */
  latency: BigUint64Array<SharedArrayBuffer>;
  /** Of the other shards of a server that has several. */
  others?: readonly Observation[];
}
