// A socket's place on an I/O thread: a slot with an id, and a descriptor from the moment it is needed. The thread's half is
// native/core/endpoint/endpoint.h.
import { OPEN_IPV6_ONLY, OPEN_REUSE_ADDRESS, OPEN_REUSE_PORT } from '../backend/layout.js';
import { refusedMetadata } from '../backend/metadata-options.js';
import { type SettingName, settingRefused } from '../backend/settings.js';
import { EBADF } from '../base/errno.js';
import * as errors from '../base/errors.js';
import { type Family, familyOfAddress } from '../base/family.js';
import type { Loan } from '../dgram/inherited.js';
import { type Snapshot, type Stats, zeroStats } from '../thread/counters.js';
import { dedicatedThread, handOver, type IoThread, openEndpoints, sharedThread } from '../thread/io-thread.js';
import { NEED_PACKET_INFO } from '../thread/metadata.js';
import type { SentListener } from '../thread/sender.js';
import type { CheckedSocketOptions } from './options.js';
import type { AddressInfo, Face } from './types.js';

/** As NativeIoThread.setFilter() takes it. */
export interface SocketFilter {
  program: Uint8Array;
  lock: boolean;
  ofFlows: boolean;
}

export const noFilter: SocketFilter = { program: new Uint8Array(0), lock: false, ofFlows: true };

export class Place {
  /** Slot and generation on the thread. */
  id = 0;
  /** Set while there is a place. */
  thread: IoThread | undefined;
  /** Set by close(), for good. */
  closed = false;
  /** The OPEN_ flags of layout.ts that the descriptor is made with. */
  flags: number;
  /** What a cluster's primary has lent: this socket is a copy of it. */
  loan: Loan | undefined;
  readonly face: Face;
  /** What the program wants to receive, of each descriptor that this place gets. */
  filter: SocketFilter | undefined;
  readonly options: CheckedSocketOptions;
  readonly family: Family;
  #holding = false;
  #isSet = false; // the descriptor has what the options ask for
  readonly #without = new Set<SettingName>(); // of 'auto'
  #finalCounters: Snapshot | undefined;

  constructor(face: Face, options: CheckedSocketOptions) {
    this.face = face;
    this.options = options;
    this.flags = options.flags;
    this.family = options.family;
  }

  checkRunning(): void {
    if (this.closed) throw errors.notRunning();
  }

  running(): IoThread {
    if (this.thread === undefined) throw errors.notRunning();
    return this.thread;
  }

  /** Takes a place, for a descriptor. 0, or -errno. */
  settle(): number {
    try {
      const thread = this.options.thread ? dedicatedThread(this.options.thread) : sharedThread();
      if ((this.flags & NEED_PACKET_INFO) !== 0) thread.providePacketInfos();
      this.id = thread.reserve();
      this.thread = thread;
      return 0;
    } catch (error) {
      const { errno, syscall } = error as NodeJS.ErrnoException;
      // The system has no descriptor or thread left; else it is about engines, or what the thread is asked for.
      if (errno !== undefined && (syscall === 'socket' || syscall === 'pthread_create')) return errno;
      throw error;
    }
  }

  /** The place has a descriptor, or `errno`: then nothing is open. @throws what names the option that was refused */
  settled(errno: number): number {
    if (errno === 0) return 0;
    this.abandon();
    const refused = refusedMetadata(this.flags, errno);
    if (refused !== undefined) throw refused;
    return errno;
  }

  /** Makes the descriptor, with all that is to be set before bind(2), if there is none. 0, or -errno: then nothing is open.
   * @throws as `applySettings` and `attachFilter` */
  open(family = this.family, flags = this.flags): number {
    if (this.thread !== undefined) return 0;
    const errno = this.make(family, flags);
    if (errno === 0) this.attachFilter();
    return errno;
  }

  /** The same without the filter. @throws as `applySettings` */
  make(family = this.family, flags = this.flags): number {
    if (this.thread !== undefined) return 0;
    const errno = this.settle() || this.settled(this.running().changing().open(this.id, family.number, flags));
    if (errno === 0) this.applySettings();
    return errno;
  }

  /** Sets what the options ask for, unless the descriptor has it.
   * @throws the kernel's refusal; then nothing is open */
  applySettings(): void {
    const { settings } = this.options;
    if (settings === undefined || this.#isSet) return;
    const native = this.running().changing();
    this.#without.clear();
    for (const setting of settings) {
      const errno = native.setOption(this.id, setting.kind.row, setting.value);
      if (errno !== 0 && setting.optional) this.#without.add(setting.kind.option);
      if (errno === 0 || setting.optional) continue;
      this.abandon();
      throw settingRefused(setting, errno);
    }
    this.#isSet = true;
  }

  /** Has the bound socket what it has asked for? Undefined: it has not asked. */
  has(option: SettingName): boolean | undefined {
    const asked = this.options.settings?.some(({ kind }) => kind.option === option);
    return asked ? !this.#without.has(option) : undefined;
  }

  /** A new descriptor gets the filter, before anything can arrive on it, or is closed again. @throws EPERM, ENOMEM */
  attachFilter(): void {
    if (this.filter === undefined) return;
    const errno = this.running().changing().setFilter(this.id, this.filter);
    if (this.settled(errno) !== 0) throw errors.errnoException(errno, 'setsockopt');
  }

  /** Makes the descriptor, bound to this address and watched, where there is none. 0, or -errno: then nothing is open, or
   * what bind() has refused, unbound. */
  openAt(ip: string, port: number): number {
    const errno = this.settle();
    if (errno !== 0) return errno;
    const native = this.running().changing();
    const refused = native.openAt(this.id, this.family.number, this.flags, ip, port, this.options.maxBytes);
    return refused !== 0 && native.getFd(this.id) === EBADF ? this.settled(refused) : refused;
  }

  /** As `open`, of a multicast group's family and with a port, which a later bind() then refuses to change. */
  openForGroup(family: Family): number {
    if (this.thread !== undefined) return 0;
    const flags = (this.flags & ~(OPEN_IPV6_ONLY | OPEN_REUSE_PORT)) | OPEN_REUSE_ADDRESS;
    return this.open(family, flags) || this.running().changing().bind(this.id, family.any, 0);
  }

  /** Nothing is open any more; it may be opened again. */
  abandon(): void {
    this.thread?.release(this.id);
    this.thread = undefined;
    this.#isSet = false;
    this.#giveBack();
  }

  /** Lets go of the descriptor for good; returns the listeners of sends that now never happen. What the present tick has
   * sent to a literal address is not sent any more, as in node:dgram. */
  release(): SentListener[] {
    const { thread } = this;
    if (thread === undefined) return [];
    thread.sender.revoke(this.id);
    const canceled = thread.sender.takeWaiting(this.id);
    this.hold(false);
    this.thread = undefined;
    thread.release(this.id);
    this.#finalCounters = thread.snapshot(this.id); // after the close, which counts what it drops
    this.#giveBack();
    return canceled;
  }

  #giveBack(): void {
    this.loan?.giveBack();
    this.loan = undefined;
  }

  /** Keeps the event loop running, or no longer. */
  hold(on: boolean): void {
    if (on === this.#holding) return;
    this.#holding = on;
    if (on) this.thread?.hold();
    else this.thread?.unhold();
  }

  get holding(): boolean {
    return this.#holding;
  }

  name(peer: boolean): AddressInfo {
    const syscall = peer ? 'getpeername' : 'getsockname';
    this.handOver(); // a send can give the socket a port
    const name = this.thread === undefined ? EBADF : this.thread.native.getName(this.id, peer);
    if (typeof name === 'number') throw errors.errnoException(name, syscall);
    return { address: name[0], family: familyOfAddress(name[0]).name, port: name[1] };
  }

  /** A row of SocketOption: the value that the kernel has, or -errno. */
  option(option: number): number {
    return this.thread?.native.getOption(this.id, option) ?? EBADF;
  }

  /** 0, or -errno. */
  setOption(option: number, value: number): number {
    return this.thread?.changing().setOption(this.id, option, value) ?? EBADF;
  }

  /** Of any level and name: 0, -errno, or why it may not be set. */
  setRawOption(level: number, name: number, value: Uint8Array): number | string {
    return this.thread?.changing().setRawOption(this.id, level, name, value) ?? EBADF;
  }

  /** What arrives from now on passes this filter. 0, or -errno: then everything is as before. */
  changeFilter(wanted: SocketFilter): number {
    return this.thread?.changing().setFilter(this.id, wanted) ?? 0;
  }

  /** A new descriptor for the same open socket; the caller closes it. */
  descriptorCopy(): number | undefined {
    const fd = this.thread?.changing().copyFd(this.id);
    return fd !== undefined && fd >= 0 ? fd : undefined;
  }

  /** What was sent before has left when this returns, as far as node:dgram's would have. */
  handOver(): void {
    if (this.thread !== undefined) handOver();
  }

  stats(): Stats {
    return this.ownStats();
  }

  ownStats(): Stats {
    this.handOver();
    return this.#finalCounters?.stats ?? this.thread?.stats(this.id) ?? zeroStats();
  }

  countLost(name: 'rxQueueDrops' | 'rxBlocked', n: number): void {
    if (this.#finalCounters !== undefined) this.#finalCounters.add(name, n);
    else this.thread?.countLost(this.id, name, n);
  }
}

/** The sockets that keep the event loop running. */
export function holdingSockets(): Face[] {
  const places = openEndpoints().filter((endpoint) => endpoint instanceof Place);
  return [...new Set(places.filter((place) => place.holding).map((place) => place.face))];
}
