// The events of a server.
import type { RemoteInfo } from '../thread/endpoint.js';

/** The events of a `Server`, and what their listeners get. */
export interface ServerEvents {
  /** The socket is bound and the thread receives; `address()` says where. */
  listening: [];
  /** A datagram was received; with rules, one that a rule `deliver`s. `data` is cut to `maxBytes`, `source.size` is the datagram's full length. */
  datagram: [data: Buffer, source: RemoteInfo];
  /** A receive call failed: `code`, `errno` and `syscall` are those of recvmsg(2). The server goes on. */
  error: [error: Error];
  /** stop() has closed the socket. */
  close: [];
}
