// Records that are no datagrams: what became of a send or of the socket.
import { KIND_DRAINED, KIND_ERROR, KIND_PEER_ERROR, KIND_SEND_TIME, KIND_SENT } from '../backend/layout.js';
import type { Endpoint } from './endpoint.js';
import { peerErrorOf } from './peer-error.js';
import type { ReceivedRecords } from './records.js';
import { SendTime } from './send-time.js';

/** Tells the socket of the record at `at`. */
export function notify(records: ReceivedRecords, at: number, endpoint: Endpoint, arena: Uint8Array): void {
  const kind = records.kind(at);
  if (kind === KIND_ERROR) endpoint.onReceiveError(records.result(at));
  else if (kind === KIND_SENT) endpoint.onSent?.(records.sendNumber(at), records.result(at));
  else if (kind === KIND_DRAINED) endpoint.onDrained?.();
  else if (kind === KIND_PEER_ERROR) endpoint.onPeerError?.(peerErrorOf(records, at, arena));
  else if (kind === KIND_SEND_TIME) endpoint.onSendTime?.(new SendTime(records, at));
}
