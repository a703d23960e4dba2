// Who answers what a socket receives, before JavaScript gets it.
import type { Host } from './hosts.js';

/** A datagram that has just come in. */
export interface Incoming {
  readonly payload: Uint8Array;
  readonly from: Host;
  readonly port: number;
}

export interface Responder {
  /** Answers. True: JavaScript may have the datagram. */
  answer(incoming: Incoming): boolean;
  /** It is asked no more. */
  close(): void;
}
