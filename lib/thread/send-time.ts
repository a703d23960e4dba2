// When a datagram was sent, as 'sendtime' tells it.
import { D_RECEIVED_NS, D_TOS } from '../backend/layout.js';
import { receivedUsOf } from './metadata.js';
import { littleEndian, type ReceivedRecords } from './records.js';

/** What is told: SendTimeKind of native/core/socket/error_queue.h. */
const KINDS = ['', 'software', 'missed', 'invalid'] as const;

/** When the kernel has sent a datagram that was given an `id`, or that it has not sent one with a `txTimeNs`. */
export class SendTime {
  /**
   * - `'software'`: the kernel has handed it to the network's driver, SOF_TIMESTAMPING_TX_SOFTWARE;
   * - `'missed'`: it was not sent, as its `txTimeNs` had passed, SO_EE_CODE_TXTIME_MISSED;
   * - `'invalid'`: it was not sent, as its `txTimeNs` is none that the qdisc takes, SO_EE_CODE_TXTIME_INVALID_PARAM.
   */
  readonly kind: 'software' | 'missed' | 'invalid';
  /** What the datagram was sent with; undefined of one that was not sent. */
  readonly id: number | undefined;
  /** Microseconds since 1970 with a fraction, as `rinfo.receivedUs`; of a datagram that was not sent its `txTimeNs` / 1000. */
  readonly timeUs: number;
  readonly #low: number;
  readonly #high: number;

  /** @internal Of the KIND_SEND_TIME record at `at`. */
  constructor(records: ReceivedRecords, at: number) {
    const first = at + (D_RECEIVED_NS >> 2);
    this.kind = KINDS[records.half(at, D_TOS)] as SendTime['kind'];
    this.id = this.kind === 'software' ? records.size(at) : undefined;
    this.timeUs = receivedUsOf(records, at) ?? 0;
    this.#low = records.words[first + (littleEndian ? 0 : 1)];
    this.#high = records.words[first + (littleEndian ? 1 : 0)];
  }

  /** The same to the nanosecond. */
  get timeNs(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }
}
