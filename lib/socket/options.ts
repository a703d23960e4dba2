// The options of createSocket(), checked. Where node:dgram has the option, messages and codes are its own.
import type { LookupOneOptions } from 'node:dns';
import type { BlockList } from 'node:net';
import {
  DATAGRAM_BYTES_MAX,
  OPEN_DROP_WHEN_FULL,
  OPEN_GRO,
  OPEN_GSO,
  OPEN_IPV6_ONLY,
  OPEN_REUSE_ADDRESS,
  OPEN_REUSE_PORT,
} from '../backend/layout.js';
import { readSettings, type Setting, type SettingOptions } from '../backend/settings.js';
import * as errors from '../base/errors.js';
import { type Family, familyOfType, type SocketType } from '../base/family.js';
import {
  isBlockList,
  validateAbortSignal,
  validateBoolean,
  validateFunction,
  validateInteger,
  validateOneOf,
} from '../base/validate.js';
import { checkMetadata, type MetadataKind, type MetadataOptions } from '../thread/metadata.js';
import {
  BUSY_POLL_US_MAX,
  checkBusyPollIsPossible,
  defaultThreadOptions,
  type IoThreadOptions,
  RING_BYTES_MAX,
  RING_BYTES_MIN,
  RX_FRAMES_MAX,
  RX_USECS_MAX,
} from '../thread/options.js';
import { checkSchedule, type ScheduleOptions } from '../thread/schedule.js';
import { type CheckedShards, checkShards, type ShardOptions, shardThreadOptions } from '../thread/shards.js';

/** As dns.lookup, when it is asked for one address. */
export type LookupFunction = (
  hostname: string,
  options: LookupOneOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
) => void;

/** What createSocket() takes: the names of node:dgram mean the same as there. */
export interface SocketOptions extends MetadataOptions, SettingOptions, ScheduleOptions, ShardOptions {
  /** `udp4` or `udp6`. */
  type: SocketType;
  /** SO_REUSEADDR: several sockets may bind the same address; each multicast datagram reaches all of them. */
  reuseAddr?: boolean;
  /** SO_REUSEPORT: several sockets may bind the same port, and the kernel spreads the sources over them. */
  reusePort?: boolean;
  /** IPV6_V6ONLY: a udp6 socket bound to `::` does not take IPv4 datagrams. */
  ipv6Only?: boolean;
  /** SO_RCVBUF in bytes; the kernel doubles it, and caps it at net.core.rmem_max. */
  recvBufferSize?: number;
  /** SO_SNDBUF in bytes; the kernel doubles it, and caps it at net.core.wmem_max. */
  sendBufferSize?: number;
  /** Resolves host names. The default is `dns.lookup`, which literal addresses do not touch. */
  lookup?: LookupFunction;
  /** For how many milliseconds the address of a name is kept; 0 (the default) looks it up for every send, as node:dgram
   * does. At most 1024 names, no errors, and whoever asks for a name that is being looked up gets that answer. */
  lookupTtlMs?: number;
  /** Datagrams from these addresses are dropped. */
  receiveBlockList?: BlockList;
  /** Sending or connecting to these addresses fails with ERR_IP_BLOCKED. */
  sendBlockList?: BlockList;
  /** Closes the socket when aborted. */
  signal?: AbortSignal;

  /** `shared` (the default): one thread for all such sockets of this environment. `dedicated`: a thread and a ring
   * of its own. The options of a thread (`ringBytes`, `busyPoll`, `rxUsecs`, `rxFrames`, `adaptiveRx`, `cpus`,
   * `priority`) ask for a dedicated one by themselves. */
  thread?: 'shared' | 'dedicated';
  /** May the Buffers of several messages share one ArrayBuffer of up to 64 KiB? It is what makes them cheap, and on by
   * default, except under `ksocket/register`. A Buffer that is kept keeps its ArrayBuffer. */
  pooled?: boolean;
  /** UDP_GRO, udp(7): let the kernel join datagrams on the way in; they are split again before anybody sees
   * them. On by default where the kernel has it. */
  gro?: boolean;
  /** UDP_SEGMENT, udp(7): let the kernel split what goes to the same peer on the way out. On by default where the
   * kernel has it. */
  gso?: boolean;
  /** Bytes of the dedicated thread's ring, 256 KiB to 1 GiB; 16 MiB by default. */
  ringBytes?: number;
  /** Microseconds (0 to 1 000 000) after a datagram that the event loop looks for the next one instead of sleeping;
   * timers and all else are served meanwhile. Lowest latency, at the price of a busy core. Where the loop cannot receive
   * (no libuv, engine `posix`, `rxUsecs: 0`, `adaptiveRx: false`) the dedicated thread does so, on a core of its own.
   * Without the addon it throws ERR_KSOCKET_NEEDS_ADDON. */
  busyPoll?: number;
  /** Interrupt moderation: how many microseconds (0 to 10 000) the dedicated thread may wait for a fuller batch;
   * 200 by default, 0 never waits. For large datagrams, of which the kernel's buffer holds few, half as long. */
  rxUsecs?: number;
  /** How many datagrams (1 to 1024) are enough for a batch; 64 by default. */
  rxFrames?: number;
  /** Wait only at a high rate, and only as long as waiting gathers more (the default); else after every batch
   * that the kernel did not fill. */
  adaptiveRx?: boolean;
  /** When the ring is full: `block` (the default) leaves datagrams in the kernel's buffer, which drops and counts
   * (`rxKernelDrops`) once it is full too; `drop` reads, drops and counts (`rxRingDrops`). */
  onFull?: 'block' | 'drop';
}

const LOOKUP_TTL_MS_MAX = 24 * 60 * 60 * 1000;

/** What holds where a program says nothing; `ksocket/register` changes it. */
export const defaults = { pooled: true };

/** What a socket keeps of its options. */
export interface CheckedSocketOptions {
  readonly family: Family;
  /** The OPEN_ flags of layout.ts. */
  readonly flags: number;
  readonly recvBufferSize: number;
  readonly sendBufferSize: number;
  readonly lookup: LookupFunction | undefined;
  /** 0: answers are not kept. */
  readonly lookupTtlMs: number;
  readonly signal: AbortSignal | undefined;
  readonly receiveBlockList: BlockList | undefined;
  readonly sendBlockList: BlockList | undefined;
  readonly pooled: boolean;
  /** Of each datagram, what is kept. */
  readonly maxBytes: number;
  /** Undefined: none. */
  readonly metadata: readonly MetadataKind[] | undefined;
  /** Undefined: none. */
  readonly settings: readonly Setting[] | undefined;
  /** Undefined: the shared thread. */
  readonly thread: IoThreadOptions | undefined;
  /** Undefined: one socket. */
  readonly shards: CheckedShards | undefined;
}

// By type, for options that are a type alone, the most frequent case: checked once and shared.
const ofType = new Map<unknown, CheckedSocketOptions>();

export function checkSocketOptions(given: SocketType | SocketOptions): CheckedSocketOptions {
  if (given !== null && typeof given === 'object') return check(given);
  let checked = ofType.get(given);
  if (checked?.pooled !== defaults.pooled) {
    checked = check({ type: given });
    ofType.set(given, checked);
  }
  return checked;
}

function check(options: Partial<SocketOptions>): CheckedSocketOptions {
  const { type, lookup, lookupTtlMs, signal } = options;
  for (const name of ['recvBufferSize', 'sendBufferSize'] as const) {
    const value = options[name];
    if (value) validateInteger(value, `options.${name}`, 0, 0xffffffff);
  }
  for (const name of ['receiveBlockList', 'sendBlockList'] as const) {
    const value = options[name];
    if (value && !isBlockList(value)) {
      throw errors.invalidArgType(`options.${name}`, 'an net.BlockList', value);
    }
  }
  if (lookup !== undefined) validateFunction(lookup, 'lookup');
  if (lookupTtlMs !== undefined) validateInteger(lookupTtlMs, 'options.lookupTtlMs', 0, LOOKUP_TTL_MS_MAX);
  const family = familyOfType(type);
  if (family === undefined) throw errors.badType();
  // Any implementation of AbortSignal will do.
  if (signal !== undefined) validateAbortSignal(signal, 'options.signal');
  if (options.onFull !== undefined) validateOneOf(options.onFull, 'options.onFull', ['block', 'drop']);
  for (const name of ['gro', 'gso', 'pooled'] as const) {
    if (options[name] !== undefined) validateBoolean(options[name], `options.${name}`);
  }

  let flags = 0;
  if (options.reuseAddr) flags |= OPEN_REUSE_ADDRESS;
  if (options.reusePort) flags |= OPEN_REUSE_PORT;
  if (options.ipv6Only) flags |= OPEN_IPV6_ONLY;
  const shards = checkSocketShards(options);
  // The kernel would look at the first of joined datagrams only.
  if (options.gro ?? typeof shards?.steering !== 'object') flags |= OPEN_GRO;
  if (options.gso ?? true) flags |= OPEN_GSO;
  if (options.onFull === 'drop') flags |= OPEN_DROP_WHEN_FULL;
  const metadata = checkMetadata(options);
  flags |= metadata.flags;
  return {
    family,
    flags,
    recvBufferSize: options.recvBufferSize ?? 0,
    sendBufferSize: options.sendBufferSize ?? 0,
    lookup,
    lookupTtlMs: lookupTtlMs ?? 0,
    signal,
    receiveBlockList: options.receiveBlockList,
    sendBlockList: options.sendBlockList,
    pooled: options.pooled ?? defaults.pooled,
    maxBytes: options.maxBytes ?? DATAGRAM_BYTES_MAX,
    metadata: metadata.kinds,
    settings: readSettings(options),
    thread: checkThreadOptions(options, shards),
    shards,
  };
}

function checkSocketShards(options: Partial<SocketOptions>): CheckedShards | undefined {
  const shards = checkShards(options);
  if (shards === undefined) return undefined;
  const { reusePort, gro } = options;
  if (reusePort === false) {
    throw errors.invalidArgValue('options.reusePort', reusePort, 'cannot be given together with shards');
  }
  if (reusePort && shards.steering !== 'flow') {
    throw errors.invalidArgValue('options.reusePort', reusePort, "cannot be given together with steering but 'flow'");
  }
  if (gro && typeof shards.steering === 'object') {
    throw errors.invalidArgValue('options.gro', gro, 'cannot be given together with steering by payload');
  }
  return shards;
}

function checkThreadOptions(
  options: Partial<SocketOptions>,
  shards: CheckedShards | undefined,
): IoThreadOptions | undefined {
  const { thread, ringBytes, busyPoll, rxUsecs, rxFrames, adaptiveRx } = options;
  if (thread !== undefined) validateOneOf(thread, 'options.thread', ['shared', 'dedicated']);
  if (ringBytes !== undefined) validateInteger(ringBytes, 'options.ringBytes', RING_BYTES_MIN, RING_BYTES_MAX);
  if (busyPoll !== undefined) validateInteger(busyPoll, 'options.busyPoll', 0, BUSY_POLL_US_MAX);
  if (rxUsecs !== undefined) validateInteger(rxUsecs, 'options.rxUsecs', 0, RX_USECS_MAX);
  if (rxFrames !== undefined) validateInteger(rxFrames, 'options.rxFrames', 1, RX_FRAMES_MAX);
  if (adaptiveRx !== undefined) validateBoolean(adaptiveRx, 'options.adaptiveRx');
  const schedule = checkSchedule(options);
  const given = Object.entries({ ringBytes, busyPoll, rxUsecs, rxFrames, adaptiveRx, ...schedule }).filter(
    ([, value]) => value !== undefined,
  );
  if (thread === 'shared' && given.length > 0) {
    throw errors.invalidArgValue('options.thread', thread, `must be 'dedicated' with ${given[0][0]}`);
  }
  if (thread === 'shared' && shards !== undefined) {
    throw errors.invalidArgValue('options.thread', thread, "must be 'dedicated' with shards");
  }
  checkBusyPollIsPossible(busyPoll);
  if (thread !== 'dedicated' && given.length === 0 && shards === undefined) return undefined;
  const all: IoThreadOptions = { ...defaultThreadOptions, ...Object.fromEntries(given) };
  return shards === undefined ? all : shardThreadOptions(all, shards, 0);
}
