// The options of createServer(): their defaults and checks.
import { resolve } from 'node:path';
import { backend } from '../backend/load.js';
import * as errors from '../base/errors.js';
import { refuseUnknown } from '../base/known-keys.js';
import { isBytes, ownBytes } from '../base/payload.js';
import {
  isRecord,
  validateHost,
  validateInteger,
  validateObject,
  validatePort,
  validateString,
} from '../base/validate.js';
import { BUSY_POLL_US_MAX, checkBusyPollIsPossible } from '../thread/options.js';
import { checkSchedule, type ScheduleOptions } from '../thread/schedule.js';
import { type CheckedShards, checkShards, type ShardOptions } from '../thread/shards.js';
import { type CheckedKernel, checkKernel, type KernelOptions } from './kernel-options.js';
import { type CheckedLoops, checkLoops, type LoopOptions } from './loops.js';
import { type CheckedProtection, checkProtection, type ProtectionOptions } from './protection.js';
import { type EncodedRules, encodeRules } from './rules/encode.js';
import { type DefaultAction, REPLY_BYTES_MAX, type Rule } from './rules/types.js';
import { TARGET_KEYS } from './rules/values.js';

/** Where answers go: back to each sender, or all to one place. */
export type ReplyTarget =
  | 'source'
  | {
      /** An IP address or a host name. */
      address: string;
      /** 1 to 65 535. */
      port: number;
    };

/** What createServer() takes: where to listen, who answers, and whom. At most one of `reply`, `rules` and `handler`. */
export interface ServerOptions extends ProtectionOptions, ScheduleOptions, ShardOptions {
  /** Where to listen: an IP address or a host name. Default `0.0.0.0`, every IPv4 address. */
  address?: string;
  /** Default 2325; 0 lets the kernel pick one. */
  port?: number;
  /** A bound UDP descriptor to listen on instead, as `systemdSockets()` of `ksocket/systemd` finds them: IPv4, IPv6 or both, as
   * it was made. The server works on a copy: the descriptor stays open, also behind stop(), and what comes meanwhile waits in
   * it for the next start. Not together with `address`, `port` or `shards`. Without the addon createServer() throws
   * ERR_KSOCKET_NEEDS_ADDON. */
  fd?: number;
  /** What to answer: these bytes, `'echo'` for the datagram itself, `null` for nothing. Default `testing...`. */
  reply?: string | Uint8Array | null;
  /** Default `{ address: '127.0.0.1', port: 23 }`, as the original; with `reply: 'echo'` it is `'source'`. */
  replyTo?: ReplyTarget;
  /** Answers by rules instead: the first one that matches decides (docs/rules.md). `update()` swaps them. */
  rules?: readonly Rule[];
  /** What becomes of a datagram that no rule decides about. Default `drop`. */
  otherwise?: DefaultAction;
  /** Path of a shared object that answers instead: see native/include/ksocket_handler.h. start() rejects with
   * ERR_DLOPEN_FAILED when it cannot be loaded, is of another version, or its `open` refuses. Without the addon
   * createServer() throws ERR_KSOCKET_NEEDS_ADDON. */
  handler?: string;
  /** A text for the handler's `open`. */
  handlerArgument?: string;
  /** Size of the receive buffer, 1 to 65535: longer datagrams are cut. Default 10, as the original; with `reply`,
   * `rules` or a `handler` nothing is cut. */
  maxBytes?: number;
  /** What keeps the server from answering itself, nobody, and those who only answer answers (docs/protection.md); on
   * by default. */
  loops?: LoopOptions | false;
  /** Answers by rules in the kernel as well, before there is a packet for a socket, as far as it can, and the thread the rest
   * (docs/kernel.md): Linux 5.18, CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN. Where that is missing the thread answers all, and `server.kernel` says why.
   * Not without `rules`, nor with `maxBytes`. Default false. Without the addon createServer() throws ERR_KSOCKET_NEEDS_ADDON. */
  kernel?: boolean | KernelOptions;
  /** Microseconds (0 to 1 000 000) that the thread looks for datagrams before it sleeps. Without the addon
   * createServer() throws ERR_KSOCKET_NEEDS_ADDON. */
  busyPoll?: number;
}

const DEFAULT_PORT = 2325;
const DEFAULT_REPLY = 'testing...';
const DEFAULT_TARGET = { address: '127.0.0.1', port: 23 };
const DEFAULT_MAX_BYTES = 10;
export const MAX_BYTES_MAX = 65_535;
const FD_MAX = 2 ** 31 - 1;

/** Who answers, and what. */
export type Answering =
  | { by: 'nobody' }
  | { by: 'reply'; reply: Uint8Array; target: ReplyTarget }
  | { by: 'echo'; target: ReplyTarget }
  | { by: 'rules'; rules: EncodedRules }
  | { by: 'handler'; path: string; argument: string };

export interface CheckedServerOptions {
  address: string;
  port: number;
  /** Of somebody else's making, instead of these. */
  fd: number | undefined;
  answering: Answering;
  protection: CheckedProtection;
  loops: CheckedLoops | undefined;
  maxBytes: number;
  busyPoll: number;
  kernel: CheckedKernel | undefined;
  schedule: ScheduleOptions;
  /** Undefined: one socket. */
  shards: CheckedShards | undefined;
}

const KNOWN: Record<keyof ServerOptions, true> = {
  address: true,
  port: true,
  fd: true,
  reply: true,
  replyTo: true,
  rules: true,
  otherwise: true,
  handler: true,
  handlerArgument: true,
  maxBytes: true,
  busyPoll: true,
  kernel: true,
  cpus: true,
  priority: true,
  shards: true,
  steering: true,
  allow: true,
  deny: true,
  limits: true,
  loops: true,
};
/** The names of all options. */
export const SERVER_KEYS: readonly string[] = Object.keys(KNOWN);

function replyBytes(reply: unknown): Uint8Array {
  if (typeof reply !== 'string' && !isBytes(reply)) {
    throw errors.invalidArgType('options.reply', "of type string, an instance of Uint8Array, 'echo' or null", reply);
  }
  const bytes = ownBytes(reply);
  if (bytes.byteLength > REPLY_BYTES_MAX) {
    throw errors.outOfRange('options.reply.length', `<= ${REPLY_BYTES_MAX}`, bytes.byteLength);
  }
  return bytes;
}

function checkTarget(target: unknown, name: string): ReplyTarget {
  if (target === 'source') return target;
  if (!isRecord(target)) {
    throw errors.invalidArgType(name, "'source' or an object with address and port", target);
  }
  refuseUnknown(target, name, TARGET_KEYS);
  const { address, port } = target as { address?: unknown; port?: unknown };
  validateHost(address, `${name}.address`);
  return { address, port: validatePort(port, `${name}.port`, false) };
}

// A server has one way to answer: the options of the others exclude each other.
function checkAlone(options: ServerOptions, name: keyof ServerOptions, others: (keyof ServerOptions)[]): void {
  for (const other of others) {
    if (options[other] !== undefined) {
      throw errors.invalidArgValue(`options.${other}`, options[other], `cannot be given together with ${name}`);
    }
  }
}

// An option of one way to answer says nothing in another.
function checkNeeds(options: ServerOptions, name: keyof ServerOptions, needed: keyof ServerOptions): void {
  if (options[name] !== undefined && options[needed] === undefined) {
    throw errors.invalidArgValue(`options.${name}`, options[name], `cannot be given without ${needed}`);
  }
}

function checkAnswering(options: ServerOptions): Answering {
  checkNeeds(options, 'otherwise', 'rules');
  checkNeeds(options, 'handlerArgument', 'handler');
  const { rules, otherwise, handler, handlerArgument = '', reply = DEFAULT_REPLY } = options;
  if (rules !== undefined) {
    checkAlone(options, 'rules', ['reply', 'replyTo', 'handler']);
    return { by: 'rules', rules: encodeRules(rules, otherwise) };
  }
  if (handler !== undefined) {
    checkAlone(options, 'handler', ['reply', 'replyTo']);
    validateString(handler, 'options.handler');
    if (handler === '') throw errors.invalidArgValue('options.handler', handler, 'must be a path');
    validateString(handlerArgument, 'options.handlerArgument');
    if (backend === 'dgram') throw errors.needsAddon('options.handler');
    return { by: 'handler', path: resolve(handler), argument: handlerArgument };
  }
  const { replyTo = reply === 'echo' ? 'source' : DEFAULT_TARGET } = options;
  const target = checkTarget(replyTo, 'options.replyTo');
  if (reply === 'echo') return { by: 'echo', target };
  return reply === null ? { by: 'nobody' } : { by: 'reply', reply: replyBytes(reply), target };
}

function checkFd(options: ServerOptions): number | undefined {
  const { fd } = options;
  if (fd === undefined) return undefined;
  checkAlone(options, 'fd', ['address', 'port', 'shards']);
  validateInteger(fd, 'options.fd', 0, FD_MAX);
  if (backend === 'dgram') throw errors.needsAddon('options.fd');
  return fd;
}

export function checkServerOptions(options: ServerOptions): CheckedServerOptions {
  validateObject(options, 'options');
  refuseUnknown(options, 'options', SERVER_KEYS);
  const { address = '0.0.0.0', port = DEFAULT_PORT, busyPoll = 0 } = options;
  validateHost(address, 'options.address');
  const answering = checkAnswering(options);
  const cuts = answering.by === 'reply' && options.reply === undefined;
  const { maxBytes = cuts ? DEFAULT_MAX_BYTES : MAX_BYTES_MAX } = options;
  validateInteger(maxBytes, 'options.maxBytes', 1, MAX_BYTES_MAX);
  validateInteger(busyPoll, 'options.busyPoll', 0, BUSY_POLL_US_MAX);
  checkBusyPollIsPossible(busyPoll);
  const protection = checkProtection(options);
  const kernel = checkKernel(options.kernel);
  if (kernel !== undefined) {
    checkNeeds(options, 'kernel', 'rules');
    checkAlone(options, 'kernel', ['maxBytes']);
  }
  return {
    address,
    port: validatePort(port, 'options.port', true),
    fd: checkFd(options),
    answering,
    protection,
    loops: checkLoops(options.loops),
    maxBytes,
    busyPoll,
    kernel,
    schedule: checkSchedule(options),
    // Who has a rate of its own has it in one shard.
    shards: checkShards(options, protection.perSource === undefined ? 'flow' : 'source'),
  };
}
