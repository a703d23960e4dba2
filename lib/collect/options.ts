// What createCollector() takes, checked.
import { backend } from '../backend/load.js';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { validateHost, validateInteger, validateObject, validatePort } from '../base/validate.js';
import { checkSocketOptions, type SocketOptions } from '../socket/options.js';
import { BATCH_BYTES_MIN } from './pack.js';
import type { Sink } from './sink.js';
import { subjectOf } from './subject.js';
import type { CollectedFlow } from './types.js';

/** How many datagrams make a batch. */
export interface BatchOptions {
  /** Bytes of a batch at most, 73 728 (72 KiB) to 8 388 608 (8 MiB); 262 144 (256 KiB) by default. A sink may allow less. */
  bytes?: number;
  /** Milliseconds, 1 to 60 000, after which a batch is written though there is room in it; 20 by default. While an earlier batch of
   * its sequence is being written, it is filled further. */
  ms?: number;
}

/** What a collector's socket may be asked for: all that does not concern sending. */
export type CollectorSocketOptions = Pick<
  SocketOptions,
  | 'bindToDevice'
  | 'busyPoll'
  | 'cpus'
  | 'adaptiveRx'
  | 'freebind'
  | 'gro'
  | 'ipv6Only'
  | 'onFull'
  | 'priority'
  | 'receiveBlockList'
  | 'receiveLocal'
  | 'receiveTimes'
  | 'recvBufferSize'
  | 'reuseAddr'
  | 'reusePort'
  | 'ringBytes'
  | 'rxFrames'
  | 'rxUsecs'
  | 'shards'
  | 'steering'
  | 'transparent'
>;

/**
 * What createCollector() takes: where it receives, how it packs, and where to. Options of sockets mean what they mean there, and:
 * `receiveTimes` is `'auto'` by default; so is `receiveLocal` where the collector is bound to every address; `onFull` says what
 * happens when the window and then the ring are full.
 */
export interface CollectorOptions extends CollectorSocketOptions {
  /** `udp4` (the default) or `udp6`. */
  type?: SocketOptions['type'];
  /** 0 (the default): any free port. */
  port?: number;
  /** The default is every address of the machine. A name is looked up. */
  address?: string;
  /** A bound UDP descriptor to use instead of `port` and `address`; it is closed with the collector. */
  fd?: number;
  /** Where batches go. */
  sink: Sink;
  /** When a batch is written. */
  batch?: BatchOptions;
  /** The window: when so many batches, 1 to 4096, are closed and not durable yet, nothing more is received; 16 by default. Then
   * datagrams wait in the socket's ring, and when that is full, `onFull` says what happens. Of what has been received before, what is
   * due is written all the same: with many subjects that is many small batches more, `inFlight × batch.bytes` of memory at most. */
  inFlight?: number;
}

const SOCKET_KEYS: readonly (keyof CollectorSocketOptions)[] = [
  'adaptiveRx',
  'bindToDevice',
  'busyPoll',
  'cpus',
  'freebind',
  'gro',
  'ipv6Only',
  'onFull',
  'priority',
  'receiveBlockList',
  'receiveLocal',
  'receiveTimes',
  'recvBufferSize',
  'reuseAddr',
  'reusePort',
  'ringBytes',
  'rxFrames',
  'rxUsecs',
  'shards',
  'steering',
  'transparent',
];
const OWN_KEYS = ['address', 'batch', 'fd', 'inFlight', 'port', 'sink', 'type'];

const BATCH_BYTES_MAX = 8 * 1024 * 1024;
const BATCH_BYTES = 256 * 1024;
const BATCH_MS = 20;
const BATCH_MS_MAX = 60_000;
const IN_FLIGHT = 16;
const IN_FLIGHT_MAX = 4096;
const LANES_MAX = 64;
const FD_MAX = 2 ** 31 - 1;

export interface CheckedCollectorOptions {
  readonly socket: SocketOptions;
  readonly bind: { port: number; address: string | undefined } | { fd: number };
  readonly sink: Sink;
  readonly batchBytes: number;
  readonly batchMs: number;
  readonly inFlight: number;
  readonly subject: (flow: CollectedFlow) => string;
  readonly lanes: number;
}

function checkSink(sink: unknown): Sink {
  validateObject(sink, 'options.sink');
  for (const name of ['open', 'write', 'close'] as const) {
    const method = (sink as Partial<Sink>)[name];
    if (typeof method !== 'function') throw errors.invalidArgType(`options.sink.${name}`, 'of type function', method);
  }
  const { lanes = 1 } = sink as Sink;
  validateInteger(lanes, 'options.sink.lanes', 1, LANES_MAX);
  return sink as Sink;
}

function checkPlace(options: CollectorOptions): CheckedCollectorOptions['bind'] {
  const { fd, port, address } = options;
  if (fd === undefined) {
    if (address !== undefined) validateHost(address, 'options.address');
    return { port: validatePort(port ?? 0, 'options.port', true), address };
  }
  for (const other of ['port', 'address', 'shards'] as const) {
    if (options[other] !== undefined)
      throw errors.invalidArgValue(`options.${other}`, options[other], 'cannot be given together with fd');
  }
  validateInteger(fd, 'options.fd', 0, FD_MAX);
  if (backend === 'dgram') throw errors.needsAddon('options.fd');
  return { fd };
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_BAD_PORT, ERR_KSOCKET_NEEDS_ADDON */
export function checkCollectorOptions(options: CollectorOptions): CheckedCollectorOptions {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', [...OWN_KEYS, ...SOCKET_KEYS].sort());
  const { batch = {}, inFlight = IN_FLIGHT, type = 'udp4' } = options;
  validateObject(batch, 'options.batch');
  refuseUnknown(batch, 'options.batch', ['bytes', 'ms']);
  const { bytes = BATCH_BYTES, ms = BATCH_MS } = batch;
  validateInteger(bytes, 'options.batch.bytes', BATCH_BYTES_MIN, BATCH_BYTES_MAX);
  validateInteger(ms, 'options.batch.ms', 1, BATCH_MS_MAX);
  validateInteger(inFlight, 'options.inFlight', 1, IN_FLIGHT_MAX);
  const sink = checkSink(options.sink);
  const bind = checkPlace(options);
  const everywhere = 'fd' in bind || bind.address === undefined || ['0.0.0.0', '::'].includes(bind.address);
  const socket: SocketOptions = {
    type,
    receiveTimes: 'auto',
    ...(everywhere ? { receiveLocal: 'auto' } : {}),
    ...(options.shards === undefined ? { thread: 'dedicated' } : {}),
  };
  for (const key of SOCKET_KEYS) {
    if (options[key] !== undefined) Object.assign(socket, { [key]: options[key] });
  }
  checkSocketOptions(socket);
  return {
    socket,
    bind,
    sink,
    batchBytes: bytes,
    batchMs: ms,
    inFlight,
    subject: sink.subject === undefined ? () => '' : subjectOf(sink.subject),
    lanes: sink.lanes ?? 1,
  };
}
