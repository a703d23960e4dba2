// What is an I/O thread in native code (native/bridge/io_thread_object.h), here on the event loop: sockets of node:dgram by
// their ids, and the ring that they fill.

import { EBADF, EINVAL, ENOPROTOOPT, ENOTSUP } from '../../base/errno.js';
import { pid, setImmediate } from '../../base/runtime.js';
import type {
  AskedBack,
  NativeAddress,
  NativeForward,
  NativeIoThread,
  NativeIoThreadOptions,
  SharedPlace,
} from '../contract.js';
import {
  C_STAGED,
  C_THREAD_ID,
  OPEN_DROP_WHEN_FULL,
  OPEN_IPV6_ONLY,
  OPEN_REUSE_ADDRESS,
  OPEN_REUSE_PORT,
  SOCKET_SLOT_BITS,
  SocketOption,
} from '../layout.js';
import { AbsentCalls } from './absent.js';
import { Answering, type Fixed, type Guard, type Protection } from './answering.js';
import { Pages } from './counters.js';
import { Endpoint, type Surroundings } from './endpoint.js';
import { ENGINE } from './engine.js';
import { Hosts } from './hosts.js';
import { attempt, bindNow, bindShared, connectNow, errnoOf, hasReusePort, makeSocket } from './node-socket.js';
import * as options from './options.js';
import { RxRing } from './ring.js';
import { StagedReader } from './staged.js';

const SLOT_MASK = (1 << SOCKET_SLOT_BITS) - 1;

export class DgramThread extends AbsentCalls implements NativeIoThread {
  readonly #options: NativeIoThreadOptions;
  readonly #pages = new Pages();
  readonly #endpoints = new Map<number, Endpoint>();
  readonly #staged: StagedReader;
  readonly #around: Surroundings;
  readonly #waiting = new Set<Endpoint>(); // for room in the ring
  readonly #answerings = new WeakMap<Endpoint, Answering>(); // made for servers
  #onWake: (() => void) | undefined; // while it runs
  #referenced = false;
  #turn = 0;

  constructor(given: NativeIoThreadOptions) {
    super();
    this.#options = given;
    this.#staged = new StagedReader(given.txDescriptors);
    const turn = () => this.#turn;
    this.#around = {
      get turn() {
        return turn();
      },
      ring: new RxRing(given, () => this.#wake()),
      hosts: new Hosts(() => this.#pages.ofThread().add('peerEvictions')),
      waitForRoom: (endpoint) => this.#waitForRoom(endpoint),
    };
  }

  // ---- life

  start(onWake: () => void): number {
    const { engine, control } = this.#options;
    if (engine !== '' && engine !== ENGINE) return EINVAL;
    this.#onWake = onWake;
    Atomics.store(control, C_THREAD_ID >> 2, pid); // whose main thread has its number, where there is proc(5)
    return 0;
  }

  stop(): void {
    if (this.#onWake === undefined) return;
    this.send(this.#options.control[C_STAGED >> 2]);
    this.#onWake = undefined;
    for (const id of [...this.#endpoints.keys()]) this.close(id);
    Atomics.store(this.#options.control, C_THREAD_ID >> 2, 0);
  }

  getEngineName(): string {
    return this.#onWake === undefined ? '' : ENGINE;
  }

  addCounters(page: BigUint64Array<SharedArrayBuffer>): void {
    this.#pages.add(page);
  }

  // node:dgram tells of each datagram by itself. Read once the loop has seen them all, they come in batches: in the same turn of the
  // loop, so that no program runs longer for it.
  #wake(): void {
    this.#pages.ofThread().add('wakeups');
    setImmediate(() => {
      this.#turn++;
      this.#onWake?.();
    });
  }

  #waitForRoom(endpoint: Endpoint): void {
    this.#waiting.add(endpoint);
    this.#around.ring.waitForRoom(true);
  }

  resume(): void {
    for (const endpoint of [...this.#waiting]) if (!endpoint.goOn()) this.#waiting.delete(endpoint);
    this.#around.ring.waitForRoom(this.#waiting.size > 0);
  }

  ref(): void {
    this.#referenced = true;
    for (const { socket } of this.#endpoints.values()) socket.ref();
  }

  unref(): void {
    this.#referenced = false;
    for (const { socket } of this.#endpoints.values()) socket.unref();
  }

  // ---- a socket's life

  open(id: number, family: number, flags: number): number {
    if (this.#onWake === undefined) return EBADF;
    if ((flags & OPEN_REUSE_PORT) !== 0 && !hasReusePort) return ENOTSUP;
    return attempt(() => void this.#add(id, family, flags));
  }

  openAt(id: number, family: number, flags: number, address: string, port: number, keepBytesMax: number): number {
    return this.open(id, family, flags) || this.bind(id, address, port) || this.watch(id, keepBytesMax);
  }

  // A descriptor cannot be copied here, so what somebody else has (cluster, child.send) stays theirs.
  adopt(id: number, given: { fd: number; copy: boolean; flags: number; family: number }): number {
    if (this.#onWake === undefined) return EBADF;
    if (given.copy) return ENOTSUP;
    const endpoint = this.#add(id, given.family, given.flags);
    const errno = attempt(() => endpoint.socket.bind({ fd: given.fd, exclusive: true }));
    this.#isBound(endpoint, errno);
    if (errno !== 0) this.close(id);
    return errno;
  }

  #add(id: number, family: number, flags: number): Endpoint {
    const socket = makeSocket({
      type: family === 4 ? 'udp4' : 'udp6',
      reuseAddr: (flags & OPEN_REUSE_ADDRESS) !== 0,
      reusePort: (flags & OPEN_REUSE_PORT) !== 0,
      ipv6Only: (flags & OPEN_IPV6_ONLY) !== 0,
    });
    const counters = this.#pages.ofSocket(id & SLOT_MASK);
    const endpoint = new Endpoint(id, socket, counters, (flags & OPEN_DROP_WHEN_FULL) !== 0, this.#around);
    this.#endpoints.set(id, endpoint);
    return endpoint;
  }

  getFd(id: number): number {
    return this.#of(id, () => ENOTSUP);
  }

  copyFd(): number {
    return ENOTSUP;
  }

  bind(id: number, address: string, port: number): number {
    return this.#of(id, (endpoint) => {
      if (endpoint.bound) return EINVAL;
      return this.#isBound(endpoint, bindNow(endpoint.socket, address, port));
    });
  }

  // Not before: in Deno ref() does nothing for a socket that was unref'd when it began to receive.
  #isBound(endpoint: Endpoint, errno: number): number {
    endpoint.bound = errno === 0;
    if (endpoint.bound && !this.#referenced) endpoint.socket.unref();
    return errno;
  }

  bindShared(id: number, shared: SharedPlace, done: (errno: number) => void, askedBack: AskedBack): void {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return;
    const whenDone = (errno: number) => {
      this.#isBound(endpoint, errno);
      if (this.#endpoints.get(id) === endpoint) done(errno);
    };
    bindShared(endpoint.socket, shared, whenDone, askedBack);
  }

  connect(id: number, address: string, port: number): number {
    return this.#of(id, ({ socket }) => connectNow(socket, address, port));
  }

  disconnect(id: number): number {
    return this.#of(id, ({ socket }) => attempt(() => socket.disconnect()));
  }

  watch(id: number, keepBytesMax: number): number {
    return this.#of(id, (endpoint) => {
      endpoint.watch(keepBytesMax);
      return 0;
    });
  }

  unwatch(): void {
    // node:dgram goes on receiving until it is closed
  }

  keepContext(): void {
    // of what comes alone: here nothing does
  }

  close(id: number): void {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return;
    this.#endpoints.delete(id);
    this.#waiting.delete(endpoint);
    endpoint.close();
  }

  // ---- its properties

  getName(id: number, peer: boolean): [address: string, port: number] | number {
    const socket = this.#endpoints.get(id)?.socket;
    if (socket === undefined) return EBADF;
    try {
      const { address, port } = peer ? socket.remoteAddress() : socket.address();
      return [address, port];
    } catch (error) {
      return errnoOf(error);
    }
  }

  setOption(id: number, option: number, value: number | Uint8Array): number {
    return this.#of(id, (endpoint) => {
      if (option === SocketOption.receiveBufferBytes) endpoint.mayGrow = false;
      return options.setOption(endpoint.socket, option, value);
    });
  }

  getOption(id: number, option: number): number {
    return this.#of(id, ({ socket }) => options.getOption(socket, option));
  }

  changeMembership(id: number, membership: options.Membership): number {
    return this.#of(id, ({ socket }) => options.changeMembership(socket, membership));
  }

  setMulticastInterface(id: number, address: string): number {
    return this.#of(id, ({ socket }) => options.setMulticastInterface(socket, address));
  }

  deliver(id: number, wanted: boolean): void {
    const endpoint = this.#endpoints.get(id);
    if (endpoint !== undefined) endpoint.deliver = wanted;
  }

  // When the kernel has received it, node:dgram does not say.
  measureLatency(id: number): number {
    return this.#of(id, () => ENOPROTOOPT);
  }

  countKernelDrops(): void {
    // the kernel's counts are not to be had
  }

  getBacklog(id: number): [datagrams: number, bytes: number] {
    return this.#endpoints.get(id)?.outlet.waiting ?? [0, 0];
  }

  // ---- sending

  send(count: number): number {
    return this.sendFrom(this.#options.txArena, count);
  }

  sendFrom(bytes: Uint8Array, count: number): number {
    this.#options.control[C_STAGED >> 2] = 0;
    const senders = new Set<Endpoint>();
    for (let n = 0; n < Math.min(count, this.#staged.count); n++) {
      const endpoint = this.#endpoints.get(this.#staged.socketId(n));
      if (endpoint === undefined) this.#staged.settle(n, EBADF);
      else {
        endpoint.send(this.#staged, n, bytes);
        senders.add(endpoint);
      }
    }
    let waiting = 0;
    for (const { outlet } of senders) waiting += outlet.waiting[0];
    return waiting;
  }

  notifyDrained(id: number): boolean {
    return this.#endpoints.get(id)?.notifyDrained() ?? false;
  }

  // ---- who answers

  guardLoops(id: number, guard: Guard): number {
    return this.#answering(id)?.guardLoops(guard) ?? EBADF;
  }

  findOwn(id: number, targets: NativeAddress[]): number {
    return this.#answering(id)?.findOwn(targets) ?? -1;
  }

  respond(id: number, how: Fixed): number {
    return this.#answering(id)?.respond(how) ?? EBADF;
  }

  setRules(id: number, rules: { bytes: Uint8Array; names: string[]; forwards: NativeForward[] }): number {
    return this.#answering(id)?.setRules(rules) ?? EBADF;
  }

  getRuleHits(id: number): number[] {
    return this.#answering(id)?.getRuleHits() ?? [];
  }

  loadHandler(): string {
    return 'a handler runs on the thread of the addon, which is not there';
  }

  protect(id: number, protection: Protection): number {
    return this.#answering(id)?.protect(protection) ?? EBADF;
  }

  #answering(id: number): Answering | undefined {
    const endpoint = this.#endpoints.get(id);
    if (endpoint === undefined) return undefined;
    let answering = this.#answerings.get(endpoint);
    if (answering === undefined) {
      answering = new Answering(endpoint);
      this.#answerings.set(endpoint, answering);
    }
    return answering;
  }

  #of(id: number, call: (endpoint: Endpoint) => number): number {
    const endpoint = this.#endpoints.get(id);
    return endpoint === undefined ? EBADF : call(endpoint);
  }
}
