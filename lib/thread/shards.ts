// Several sockets on one port, each with a thread of its own: the options, and how such a group is bound.
import { SocketOption } from '../backend/layout.js';
import { backend } from '../backend/load.js';
import * as errors from '../base/errors.js';
import { getBuiltinModule, setTimeout } from '../base/runtime.js';
import { validateInteger } from '../base/validate.js';
import type { IoThread } from './io-thread.js';
import type { IoThreadOptions } from './options.js';
import { checkSteering, dropAll, type Steering, steeringProgram } from './steering.js';

/** Several sockets on one port, docs/shards.md. */
export interface ShardOptions {
  /** How many sockets on the one port (SO_REUSEPORT, socket(7)) receive for this one, each with a thread and a ring of its own: 1
   * to 64, or `'cores'`, as many as os.availableParallelism() says (docs/shards.md). Without the addon it throws
   * ERR_KSOCKET_NEEDS_ADDON. */
  shards?: number | 'cores';
  /** Which of them a datagram comes to; `'flow'` by default. */
  steering?: Steering;
}

export interface CheckedShards {
  readonly count: number;
  readonly steering: Steering;
  /** Of hashes, for as long as the group lives. */
  readonly seed: number;
}

export const SHARDS_MAX = 64;

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function checkShardCount(given: unknown, name: string): number {
  if (given === 'cores') return Math.min(getBuiltinModule('node:os').availableParallelism(), SHARDS_MAX);
  validateInteger(given, name, 1, SHARDS_MAX);
  return given;
}

/** Undefined: one socket, as ever. */
export function checkShards({ shards, steering }: ShardOptions, usual: Steering = 'flow'): CheckedShards | undefined {
  if (shards === undefined) {
    if (steering === undefined) return undefined;
    throw errors.invalidArgValue('options.steering', steering, 'cannot be given without shards');
  }
  const count = checkShardCount(shards, 'options.shards');
  const checked = steering === undefined ? usual : checkSteering(steering);
  if (backend === 'dgram') throw errors.needsAddon('options.shards');
  return { count, steering: checked, seed: Math.floor(Math.random() * 2 ** 32) };
}

const CPUS = 1024; // as many as a cpu_set_t has

/** Of the thread of shard `index`. */
export function shardThreadOptions(options: IoThreadOptions, shards: CheckedShards, index: number): IoThreadOptions {
  return { ...options, sharded: true, likedCpus: likedCpus(options, shards, index) };
}

/** The processors whose datagrams come to shard `index`, of those that its thread is for; undefined: it is all the same, or
 * there are none. */
export function likedCpus(
  { cpus }: IoThreadOptions,
  { steering, count }: CheckedShards,
  index: number,
): readonly number[] | undefined {
  if (steering !== 'cpu') return undefined;
  const own = (cpus ?? Array.from({ length: CPUS }, (_, cpu) => cpu)).filter((cpu) => cpu % count === index);
  return own.length > 0 ? own : cpus;
}

/** A socket with a descriptor. */
export interface Member {
  /** Undefined: it has none any more. */
  readonly thread: IoThread | undefined;
  readonly id: number;
}

function native({ thread }: Member) {
  if (thread === undefined) throw errors.notRunning();
  return thread.changing();
}

/** Nothing comes to it until it gets a filter. */
function hush(member: Member): void {
  native(member).setFilter(member.id, { program: dropAll, lock: false, ofFlows: true });
}

/**
 * Binds descriptors that are not bound, the first of them without SO_REUSEPORT, so that a port which others have is refused to it
 * as to any socket. While they are bound and steered nothing comes to them: the caller gives each its filter afterwards. Undefined, or
 * what was refused.
 */
export function bindGroup(
  members: readonly Member[],
  { count, steering, seed }: CheckedShards,
  family: 4 | 6,
  ip: string,
  port: number,
): Error | undefined {
  const [first, ...others] = members;
  if (others.length > 0) members.forEach(hush);
  const errno = native(first).bind(first.id, ip, port);
  if (errno !== 0) return errors.exceptionWithHostPort(errno, 'bind', ip, port);
  if (others.length === 0) return undefined;
  const refused = join(first, others, ip);
  return refused ?? steer(first, steeringProgram(steering, family, seed, count, false));
}

const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IP_MULTICAST_ALL = 49;
const IPV6_MULTICAST_ALL = 29;
const OFF = new Uint8Array(4);

// A socket would get what is sent to groups that another one has joined. One of IPv4 does not know the option of IPv6.
function leaveGroupsAlone(member: Member): void {
  native(member).setRawOption(member.id, IPPROTO_IP, IP_MULTICAST_ALL, OFF);
  native(member).setRawOption(member.id, IPPROTO_IPV6, IPV6_MULTICAST_ALL, OFF);
}

/** Binds more sockets, which have SO_REUSEPORT, to where the first one is. */
export function join(first: Member, others: readonly Member[], ip: string): Error | undefined {
  const name = native(first).getName(first.id, false);
  if (typeof name === 'number') return errors.errnoException(name, 'getsockname');
  const [, port] = name;
  let errno = native(first).setOption(first.id, SocketOption.reusePort, 1);
  if (errno !== 0) return errors.errnoException(errno, 'setsockopt');
  for (const other of others) {
    leaveGroupsAlone(other);
    errno = native(other).bind(other.id, ip, port);
    if (errno !== 0) return errors.exceptionWithHostPort(errno, 'bind', ip, port);
  }
  return undefined;
}

const SOL_SOCKET = 1;
const SO_MEMINFO = 55;
const DRAIN_MS = 10;

/** What a thread does in no time is done by then. */
export const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, DRAIN_MS));

/** Nothing is steered to it any more: resolves when nothing waits in its receive buffer. */
export async function untilEmpty(member: Member): Promise<void> {
  do await pause();
  while (waitsInKernel(member));
}

function waitsInKernel({ thread, id }: Member): boolean {
  const memory = Buffer.alloc(4); // the first is what the receive buffer holds
  const result = thread?.native.getRawOption(id, SOL_SOCKET, SO_MEMINFO, memory);
  return typeof result === 'number' && result > 0 && memory.some((byte) => byte !== 0);
}

const SO_BINDTOIFINDEX = 62;
const NOWHERE = new Uint8Array(new Int32Array([0x7fffffff]).buffer);

/**
 * Before it closes: the kernel takes a socket out of its group first, and then from among those that it looks through
 * (udp_lib_unhash). For that moment it would be found, alone, and get what is another one's. So it is bound to an interface that there
 * is not, and nothing suits it any more: it cannot send either. Where the kernel refuses, the moment is left as it is.
 */
export function leaveGroup({ thread, id }: Member): void {
  thread?.changing().setRawOption(id, SOL_SOCKET, SO_BINDTOIFINDEX, NOWHERE);
}

/** Why there is no filter, without which shards would get copies. */
export function filterRefused(errno: number): Error {
  const reason = errors.refusalReason(errno, 'a sandbox that allows it');
  return errors.optionRefused(errno, 'setsockopt', 'options.shards (SO_ATTACH_FILTER)', reason);
}

/** The kernel asks this program from now on, of any of the group's sockets; undefined: its own hash. */
export function steer(member: Member, program: Uint8Array | undefined): Error | undefined {
  if (program === undefined) return undefined;
  const errno = native(member).steer(member.id, program);
  if (errno === 0) return undefined;
  const reason = errors.refusalReason(errno, 'a sandbox that allows it');
  return errors.optionRefused(errno, 'setsockopt', 'options.steering (SO_ATTACH_REUSEPORT_CBPF)', reason);
}
