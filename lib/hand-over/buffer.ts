// What comes while nobody receives waits in the kernel.
import { readFileSync } from 'node:fs';
import { SocketOption } from '../backend/layout.js';
import type { IoThread } from '../thread/io-thread.js';

/** As native/core/socket/receive_buffer.h. */
const GROWN_BYTES = 4 << 20;

const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;

/** The largest size that may be asked for, socket(7); 0: it is not known. */
function largest(): number {
  try {
    return Number(readFileSync('/proc/sys/net/core/rmem_max', 'utf8'));
  } catch {
    return 0;
  }
}

/** Makes room for some hundredths of a second, unless there is as much. Who is root, or has CAP_NET_ADMIN, is not limited. */
export function growBuffer(thread: IoThread, id: number): void {
  const present = thread.native.getOption(id, SocketOption.receiveBufferBytes);
  if (present >= GROWN_BYTES * 2) return; // the kernel doubles what it is told
  const native = thread.changing();
  const bytes = new Uint8Array(Int32Array.of(GROWN_BYTES).buffer);
  if (native.setRawOption(id, SOL_SOCKET, SO_RCVBUFFORCE, bytes) === 0) return;
  const allowed = Math.min(GROWN_BYTES, largest());
  if (present < allowed * 2) native.setOption(id, SocketOption.receiveBufferBytes, allowed);
}
