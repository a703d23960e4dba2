// What consume() takes, checked.

import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import {
  validateBoolean,
  validateFunction,
  validateInteger,
  validateObject,
  validateOneOf,
  validateString,
} from '../base/validate.js';
import { type CheckedNats, checkNats, NATS_KEYS, type NatsOptions } from '../collect/nats.js';
import { checkName, wrongWithFilter } from '../collect/subject.js';

/** Where a message is, of which no datagrams can be had. */
export interface BadMessage {
  /** Its number in the stream. */
  sequence: number;
  /** Its subject. */
  subject: string;
}

/** What {@link consume} takes. */
export interface ConsumeOptions extends NatsOptions {
  /** The name of the stream. */
  stream: string;
  /** The name of the consumer, which the stream keeps: all who say the same name share its messages, and one that comes back goes on
   * where it was. Made if it is not there. */
  durable: string;
  /** Messages of this subject only, with wildcards; all by default. Of several each gets a consumer of its own, whose name is
   * `durable`, a `-` and the subject, in which `.` is `_`, `*` is `any` and `>` is `all`. */
  subject?: string | readonly string[];
  /** In order, also when a message comes again (the default): then no other message of the subject is under way, at any of those who
   * share it, until it is acknowledged. To divide the work and keep the order, divide the subjects. */
  ordered?: boolean;
  /** Where a new consumer begins: at the stream's `'first'` message (the default), or with what is `'new'`. */
  from?: 'first' | 'new';
  /** Milliseconds, 1000 to 86 400 000, after which a message comes again, to whoever it may be, when the process that works on it has
   * gone or hangs; 30 000 by default. While its event loop runs the time is extended, for what waits, too. */
  ackWaitMs?: number;
  /** How many messages may be under way at all who share it, 1 to 65 536, if it is not `ordered`; 256 by default. */
  maxPending?: number;
  /** Is asked about a message that is none of a collector's, or damaged: it is passed over for good when this returns, or what it
   * returns resolves, and counted (`stats().bad`). When it throws or rejects the loop throws that, and the message comes again. Without
   * it the loop throws ERR_KSOCKET_BAD_FRAME, and the message comes again. */
  onBad?: (error: Error, message: BadMessage) => unknown;
  /** Ends the loop when it is aborted: it throws the reason. */
  signal?: AbortSignal;
}

/** One consumer of the stream's. */
export interface Source {
  readonly durable: string;
  readonly filter: string | undefined;
}

export interface CheckedConsume {
  readonly nats: CheckedNats;
  readonly stream: string;
  readonly sources: readonly Source[];
  readonly ordered: boolean;
  readonly from: 'first' | 'new';
  readonly ackWaitMs: number;
  readonly maxPending: number;
  readonly onBad: ConsumeOptions['onBad'];
  readonly signal: AbortSignal | undefined;
}

const OWN_KEYS = ['stream', 'durable', 'subject', 'ordered', 'from', 'ackWaitMs', 'maxPending', 'onBad', 'signal'];
const ACK_WAIT_MS = 30_000;
const ACK_WAIT_MS_MAX = 86_400_000;
const PENDING = 256;
const PENDING_MAX = 65_536;
const SUBJECTS_MAX = 1024;

function sourcesOf(durable: string, subject: unknown): Source[] {
  if (subject === undefined) return [{ durable, filter: undefined }];
  const filters = Array.isArray(subject) ? (subject as unknown[]) : [subject];
  if (filters.length === 0 || filters.length > SUBJECTS_MAX)
    throw errors.invalidArgValue('options.subject', subject, `must be 1 to ${SUBJECTS_MAX} subjects`);
  const names = new Map<string, string>();
  return filters.map((filter) => {
    validateString(filter, 'options.subject');
    const wrong = wrongWithFilter(filter);
    if (wrong !== undefined) throw errors.invalidArgValue('options.subject', filter, wrong);
    if (filters.length === 1) return { durable, filter };
    const name = filter.replaceAll('.', '_').replaceAll('*', 'any').replaceAll('>', 'all').replaceAll(/[/\\]/g, '_');
    const other = names.get(name);
    names.set(name, filter);
    if (other !== undefined)
      throw errors.invalidArgValue(
        'options.subject',
        filter,
        `would have the consumer of ${other}, ${durable}-${name}`,
      );
    checkName(`${durable}-${name}`, 'options.subject');
    return { durable: `${durable}-${name}`, filter };
  });
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
export function checkConsumeOptions(options: ConsumeOptions): CheckedConsume {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', [...NATS_KEYS, ...OWN_KEYS].sort());
  const { stream, durable, ordered = true, from = 'first', ackWaitMs = ACK_WAIT_MS, maxPending = PENDING } = options;
  checkName(stream, 'options.stream');
  checkName(durable, 'options.durable');
  validateBoolean(ordered, 'options.ordered');
  validateOneOf(from, 'options.from', ['first', 'new']);
  validateInteger(ackWaitMs, 'options.ackWaitMs', 1000, ACK_WAIT_MS_MAX);
  validateInteger(maxPending, 'options.maxPending', 1, PENDING_MAX);
  if (options.onBad !== undefined) validateFunction(options.onBad, 'options.onBad');
  return {
    nats: checkNats(options),
    stream,
    sources: sourcesOf(durable, options.subject),
    ordered,
    from,
    ackWaitMs,
    maxPending,
    onBad: options.onBad,
    signal: options.signal,
  };
}
