// What a receiver needs of its thread.
import type { NativeIoThread } from '../backend/contract.js';

export interface ReceiverTools extends Pick<NativeIoThread, 'giveChunk'> {
  /** What listeners have sent: flushed behind the last of a drain. */
  answers: { flush(): void };
  /** Tells the native thread that the ring has room. */
  resume(): void;
  /** Has the thread no other socket? */
  alone(): boolean;
  /** Does one of its sockets keep the process running? */
  held(): boolean;
}
