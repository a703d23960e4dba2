// From unbound to bound, on all the ways there are: to a name or a literal, through a cluster's primary, to a descriptor
// made elsewhere; and what has to wait for it.
import { EventEmitter } from 'node:events';
import type { AskedBack } from '../backend/contract.js';
import { OPEN_IPV6_ONLY, OPEN_OPTIONAL_SHIFT, OPEN_RECEIVE_LOCAL, OPEN_REUSE_PORT } from '../backend/layout.js';
import { backend } from '../backend/load.js';
import { EEXIST, EINVAL } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { hasLibuv, netIsDenied, nextTick } from '../base/runtime.js';
import { bindThroughPrimary, checkFdType, type Shared, sharesPorts } from '../dgram/inherited.js';
import { isAny, parseLiteral } from '../thread/address.js';
import { isOurs } from '../thread/io-thread.js';
import type { SocketCore } from './core.js';
import { bufferSize } from './kernel-options.js';
import { literalOf, resolve } from './resolve.js';

// Of one that is bound to all addresses and takes batches, which it may answer: from the address that was asked. Where the
// kernel does not say which one that was, it goes on choosing.
const TOLD_LOCAL = OPEN_RECEIVE_LOCAL | (OPEN_RECEIVE_LOCAL << OPEN_OPTIONAL_SHIFT);

/** The caller has checked that the socket is unbound. `exclusive`: do not share the port with a cluster's other
 * workers. */
export function bind(core: SocketCore, host: string | undefined, port: unknown, exclusive: boolean): void {
  core.bindState = 'binding';
  const name = host || core.family.any;
  const next = exclusive || bindsByItself(core) ? bindAlone : bindOrShare;
  const literal = literalOf(core, name);
  if (literal !== undefined) nextTick(next, core, literal, port);
  else {
    resolve(core, name, (error, ip) => {
      if (error === undefined) next(core, ip, port);
      else if (!core.closed) end(core, error);
    });
  }
}

// The primary of a cluster binds without what is set before.
function bindsByItself({ flags, options, shards }: SocketCore): boolean {
  return (
    shards !== undefined ||
    (flags & OPEN_REUSE_PORT) !== 0 ||
    Boolean(options.settings?.some(({ kind }) => kind.concernsBind))
  );
}

function bindOrShare(core: SocketCore, ip: string, port: unknown): void {
  if (!sharesPorts()) {
    bindAlone(core, ip, port);
  } else if (!core.closed) {
    const failure = (errno: number) => errors.exceptionWithHostPort(errno, 'bind', ip, port);
    bindShared(core, { address: ip, port, flags: core.flags }, failure);
  }
}

function bindAlone(core: SocketCore, ip: string, port: unknown): void {
  if (!core.closed) end(core, bindNow(core, ip, port));
}

/** As `bind`, to a literal: bound when this returns, or throws. 'listening' comes on the next tick. */
export function bindSync(core: SocketCore, ip: string, port: number): void {
  core.bindState = 'binding';
  const failure = bindNow(core, ip, port);
  if (failure !== undefined) {
    core.bindState = 'unbound';
    throw failure;
  }
  nextTick(() => !core.closed && core.face.emit('listening'));
}

/** To a descriptor of this process, or, in a cluster's worker and not `exclusive`, of its primary. */
export function bindFd(core: SocketCore, fd: number, exclusive: boolean): void {
  refuseShards(core, fd);
  if (sharesPorts() && !exclusive) {
    core.bindState = 'binding';
    bindShared(core, { fd }, (errno) => errors.errnoException(errno, 'open'));
    return;
  }
  checkFdType(fd);
  adopt(core, fd, false);
}

function refuseShards({ shards }: SocketCore, fd: number): void {
  if (shards !== undefined) throw errors.invalidArgValue('options.fd', fd, 'cannot be given together with shards');
}

/** Takes a bound descriptor. 'listening' comes before this returns. */
export function adopt(core: SocketCore, fd: number, copy: boolean): void {
  refuseShards(core, fd);
  const refused = takeNow(core, fd, copy);
  if (refused !== undefined) throw refused;
  end(core, listen(core, '', 0, true));
}

/** The same without the events. */
export function adoptQuietly(core: SocketCore, fd: number): Error | undefined {
  const failure = takeNow(core, fd, false) ?? listen(core, '', 0, true);
  if (failure !== undefined) core.bindState = 'unbound';
  return failure;
}

/** A copy of a bound descriptor is the socket's, short of receiving: listen() goes on. */
export function takeDescriptor(core: SocketCore, fd: number): Error | undefined {
  return take(core, fd, true, (errno) => errors.errnoException(errno, 'open'));
}

function takeNow(core: SocketCore, fd: number, copy: boolean): Error | undefined {
  const refused = take(core, fd, copy, (errno) => errors.errnoException(errno, 'open'));
  if (refused !== undefined) core.bindState = 'unbound';
  return refused;
}

/** Runs the action now, or `later` behind 'listening', binding the socket to any port if nobody has. When that bind
 * fails, what waited is dropped. */
export function whenBound(core: SocketCore, action: () => void, later = action): void {
  core.checkRunning();
  const { face } = core;
  if (core.bindState === 'unbound') face.bind({ port: 0, exclusive: true }, null);
  if (core.bindState === 'bound') {
    action();
    return;
  }
  if (core.queue !== undefined) {
    core.queue.push(later);
    return;
  }
  core.queue = [later];
  const onListening = () => {
    face.removeListener(EventEmitter.errorMonitor, onError);
    const waiting = core.queue ?? [];
    core.queue = undefined;
    for (const each of waiting) each();
  };
  const onError = () => {
    face.removeListener('listening', onListening);
    core.queue = undefined;
  };
  face.once(EventEmitter.errorMonitor, onError);
  face.once('listening', onListening);
}

// Any number is a port, modulo 65536; errors have it as it was given. A refused bind leaves the descriptor open.
function bindNow(core: SocketCore, ip: string, port: unknown): Error | undefined {
  try {
    if (netIsDenied()) return errors.accessDenied('bind', ip);
    const wrongFlag = !core.family.dualStack && (core.flags & OPEN_IPV6_ONLY) !== 0;
    const parsed = parseLiteral(core.family, String(ip));
    if (wrongFlag || parsed === null) {
      return errors.exceptionWithHostPort(EINVAL, 'bind', ip, port);
    }
    const number = Number(port || 0) & 0xffff;
    if (core.wantsBatches && isAny(parsed)) core.flags |= TOLD_LOCAL;
    if (core.shards !== undefined) {
      const refused = core.shards.bind(String(ip), number);
      if (refused === undefined) core.startReceiving(core.running());
      return refused;
    }
    const { recvBufferSize, sendBufferSize, settings } = core.options;
    // Mostly nothing is to be done in between: a native call instead of three.
    const atOnce =
      core.thread === undefined && !recvBufferSize && !sendBufferSize && !settings && core.filter === undefined;
    const errno = atOnce
      ? core.openAt(String(ip), number)
      : core.open() || core.running().changing().bind(core.id, String(ip), number);
    if (errno !== 0) return errors.exceptionWithHostPort(errno, 'bind', ip, port);
    if (!atOnce) return listen(core, ip, port);
    core.startReceiving(core.running());
    return undefined;
  } catch (error) {
    return error as Error; // KSOCKET_ENGINE names no engine; what was to be set is refused
  }
}

// All workers of the cluster receive from one socket, which the primary binds; we work on a copy of its descriptor.
function bindShared(core: SocketCore, shared: Shared, failure: (errno: number) => Error): void {
  const askedBack = (closed?: () => void) => core.closeWhenRead(closed);
  if (backend === 'dgram') {
    bindSharedThere(core, shared, failure, askedBack);
    return;
  }
  bindThroughPrimary(core.face, shared, askedBack, (errno, loan) => {
    if (core.closed || errno !== 0 || loan === null) {
      loan?.giveBack();
      if (!core.closed) end(core, failure(errno));
      return;
    }
    const refused = take(core, loan.fd, true, failure);
    if (refused === undefined) core.loan = loan;
    else loan.giveBack();
    end(core, refused ?? listen(core, '', 0, true));
  });
}

// node:dgram asks the primary by itself.
function bindSharedThere(
  core: SocketCore,
  shared: Shared,
  failure: (errno: number) => Error,
  askedBack: AskedBack,
): void {
  core.abandon(); // as take() does
  const opened = core.open(); // nothing is to be set there
  if (opened !== 0) {
    end(core, failure(opened));
    return;
  }
  const place = 'fd' in shared ? shared : { address: shared.address, port: Number(shared.port || 0) & 0xffff };
  const done = (errno: number) => end(core, errno === 0 ? listen(core, '', 0) : failure(errno));
  core.running().changing().bindShared?.(core.id, place, done, askedBack);
}

function take(core: SocketCore, fd: number, copy: boolean, failure: (errno: number) => Error): Error | undefined {
  core.abandon(); // what a failed bind or addMembership() has opened
  core.bindState = 'binding';
  if (isOurs(fd)) return failure(EEXIST);
  const given = { fd, copy, flags: core.flags, libuv: hasLibuv && !copy, family: core.family.number };
  try {
    const errno = core.settle() || core.settled(core.running().changing().adopt(core.id, given));
    return errno === 0 ? undefined : failure(errno);
  } catch (error) {
    return error as Error; // what was to be set is refused
  }
}

/** The bound descriptor starts to receive. `taken`: somebody else has made it. */
export function listen(core: SocketCore, ip: string, port: unknown, taken = false): Error | undefined {
  return setUp(core, taken) ?? receive(core, ip, port);
}

/** The first half of listen(): what the options ask for. */
export function setUp(core: SocketCore, taken: boolean): Error | undefined {
  const { recvBufferSize, sendBufferSize } = core.options;
  return orAbandon(core, () => {
    core.applySettings(); // of a descriptor that was made elsewhere
    if (taken) core.attachFilter();
    if (recvBufferSize) bufferSize(core, 'recv', recvBufferSize);
    if (sendBufferSize) bufferSize(core, 'send', sendBufferSize);
  });
}

/** The second half. */
export function receive(core: SocketCore, ip: string, port: unknown): Error | undefined {
  const thread = core.running();
  const refused = orAbandon(core, () => {
    const errno = thread.changing().watch(core.id, core.options.maxBytes);
    if (errno !== 0) throw errors.exceptionWithHostPort(errno, 'bind', ip, port);
  });
  if (refused === undefined) core.startReceiving(thread);
  return refused;
}

function orAbandon(core: SocketCore, action: () => void): Error | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    core.abandon();
    return error as Error;
  }
}

// Every bind ends here, and the program is told.
function end(core: SocketCore, failure: Error | undefined): void {
  if (failure !== undefined) {
    core.bindState = 'unbound';
    core.face.emit('error', failure);
  } else {
    core.face.emit('listening');
  }
}
