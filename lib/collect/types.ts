// What is collected, for those who write it and those who read it.

/** The source of datagrams, and where they were sent to: all that a batch's key may depend on. */
export interface CollectedFlow {
  /** The sender's address. Of an IPv6 link-local one, the zone is the index of the collector's interface. */
  address: string;
  /** The sender's port, 0 to 65 535. */
  port: number;
  /** The address that it was sent to; undefined where the kernel did not say. */
  local: string | undefined;
  /** The collector's port. */
  localPort: number;
}

/** A datagram as a collector has received it. */
export interface CollectedDatagram extends CollectedFlow {
  /** The payload: a view of the batch's memory. Copy what is kept for long (`Buffer.from(data)`). */
  data: Buffer;
  /** When it was received, in nanoseconds since 1970, by the collector's clock. */
  receivedNs: bigint;
}

/** A batch of datagrams: what a sink is given, and what a consumer gets back. */
export interface PackedBatch {
  /** The same for each attempt to write this batch, and for no other batch: the collector's number and the batch's, in
   * hexadecimal digits, with a `-` between them. */
  readonly id: string;
  /** What `subject` says of its datagrams' sources; empty without one. */
  readonly key: string;
  /** How many datagrams. */
  readonly count: number;
  /** Of all payloads together. */
  readonly payloadBytes: number;
  /** The batch as one message. Not compressed. */
  readonly bytes: Uint8Array;
  /** What is in it, in the order it was received, which of one source is the order of the kernel. */
  datagrams(): IterableIterator<CollectedDatagram>;
}
