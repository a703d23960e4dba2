// A tunnel's life: its thread, its socket and its device come and go together.
import { EventEmitter } from 'node:events';
import type { NativeAddress } from '../backend/contract.js';
import { OPEN_DROP_WHEN_FULL, OPEN_GRO, OPEN_GSO, OPEN_REUSE_PORT, SocketOption } from '../backend/layout.js';
import { emitAsNode } from '../base/emit.js';
import * as errors from '../base/errors.js';
import { type Family, familyOfAddress } from '../base/family.js';
import type { AddressInfo } from '../socket/types.js';
import { readTunnelCounters, type Stats, sumStats, TUNNEL_CELLS } from '../thread/counters.js';
import { dedicatedThread, type IoThread } from '../thread/io-thread.js';
import { type Observer, Observers, observe } from '../thread/observers.js';
import { defaultThreadOptions, RING_BYTES_MIN } from '../thread/options.js';
import { type CheckedTunnelOptions, checkTunnelOptions, type TunnelOptions } from './options.js';
import { pathsTo, resolveRemotes } from './remotes.js';
import type { TunnelEvents, TunnelStats } from './types.js';

const DATAGRAM_BYTES_MAX = 65_535;
const ETHERNET_MTU = 1500;
const UDP_BYTES = 8;
const VXLAN_BYTES = 8;
const ETHERNET_BYTES = 14;
const SKF_NET_OFF = 0xfff0_0000; // linux/filter.h
const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** What is before the packet in a frame: the headers of the outer packet and the frame's own. */
function overhead(family: Family, vxlan: boolean): number {
  const ip = family.number === 4 ? 20 : 40;
  return ip + UDP_BYTES + (vxlan ? VXLAN_BYTES : 0) + ETHERNET_BYTES;
}

/** `TUNSETIFF EPERM: the device tap0 needs CAP_NET_ADMIN` */
function deviceRefused(failure: string, name: string): Error {
  const [syscall, number] = failure.split(':');
  const errno = Number(number);
  const { code } = errors.errnoException(errno, syscall);
  if (syscall === 'open') {
    const missing = code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO';
    const reason = missing
      ? "is missing: load the kernel's module tun, or pass the device into the container"
      : errors.refusalReason(errno, 'to be readable and writable by this user');
    return Object.assign(errors.optionRefused(errno, syscall, '/dev/net/tun', reason), { path: '/dev/net/tun' });
  }
  const what = name === '' ? 'a new TAP device' : `the device ${name}`;
  if (code === 'EBUSY') return errors.optionRefused(errno, syscall, what, 'is in use by another program');
  if (code === 'EINVAL' && syscall === 'TUNSETIFF') {
    return errors.optionRefused(errno, syscall, what, 'is there and is no TAP device, or one of another kind');
  }
  if (syscall === 'RTM_NEWADDR' && code === 'EINVAL') {
    return errors.optionRefused(errno, syscall, what, 'has no IPv6 with an MTU below 1280');
  }
  if (syscall === 'RTM_NEWADDR' && code === 'EACCES') {
    return errors.optionRefused(errno, syscall, what, 'has no IPv6: net.ipv6.conf.default.disable_ipv6 says so');
  }
  return errors.optionRefused(errno, syscall, what, errors.refusalReason(errno, 'CAP_NET_ADMIN'));
}

/** Of the device: a thread, a socket, and where it counts. */
interface Queue {
  thread: IoThread;
  id: number;
  cells: BigUint64Array<SharedArrayBuffer>;
}

/** The datagrams of one queue of the other end's come to the same one here: by their source port, behind an IP header without
 * options. Where the kernel refuses that, its hash decides, which keeps a queue's together, too. */
function spread(queues: readonly Queue[], family: Family): void {
  const program = new DataView(new ArrayBuffer(24)); // of struct sock_filter
  const steps = [
    [0x28, SKF_NET_OFF + (family.number === 4 ? 20 : 40)], // half a word, the port
    [0x94, queues.length], // modulo
    [0x16, 0], // return it
  ];
  steps.forEach(([code, k], i) => {
    program.setUint16(8 * i, code, littleEndian);
    program.setUint32(8 * i + 4, k, littleEndian);
  });
  queues[0].thread.changing().steer(queues[0].id, new Uint8Array(program.buffer));
}

function socketStats(queues: readonly Queue[]): Stats {
  return sumStats(queues.map(({ thread, id }) => thread.stats(id)));
}

/**
 * A layer-2 tunnel: a TAP device of this machine whose Ethernet frames go to others in UDP datagrams, moved by a native
 * thread alone, so also while JavaScript is busy. Frames travel in the clear, and whoever can forge a remote's address can
 * send frames: docs/tunnel.md shows it over an encrypted link.
 *
 * Events: `'listening'`, `'error'`, `'close'`.
 */
export class Tunnel extends EventEmitter<TunnelEvents> {
  readonly #options: CheckedTunnelOptions;
  readonly #observers = new Observers();
  #queues: readonly Queue[] = []; // while it runs
  #cells = [new BigUint64Array(new SharedArrayBuffer(TUNNEL_CELLS * 8))]; // of the latest run
  #latest: Promise<unknown> = Promise.resolve();
  #finalSocketStats: Stats | undefined;
  #refd = true;

  /** As {@link createTunnel}. */
  constructor(options: TunnelOptions) {
    super();
    this.#options = checkTunnelOptions(options);
  }

  /** Are frames moved? */
  get running(): boolean {
    return this.#queues.length > 0;
  }

  /** Resolves when the device is up and its frames are moved. Rejects, and leaves nothing behind, with `code` and `syscall`:
   * ENOENT or EACCES of `open` for /dev/net/tun; EPERM of `TUNSETIFF` without CAP_NET_ADMIN; EBUSY where another program has the
   * device, EINVAL where it is no TAP device; EADDRINUSE, EADDRNOTAVAIL, EACCES of `bind`, with `address` and `port`; as dns.lookup()
   * for the name of a remote; ERR_INVALID_ARG_VALUE for a remote of another family, one that is there twice, the address of a
   * group, of everybody (of a network, too) or of nobody, and a link-local one without a zone, or with that of no interface. */
  start(): Promise<void> {
    return this.#afterwards(async () => {
      if (this.running) return;
      const remotes = await resolveRemotes(this.#options);
      const queues = this.#openQueues(remotes);
      if (this.#refd) for (const { thread } of queues) thread.hold();
      this.#queues = queues;
      this.#cells = queues.map(({ cells }) => cells);
      this.#observers.started(queues, { tunnel: this.#cells });
      emitAsNode(() => this.emit('listening'));
    });
  }

  /** Resolves when the thread has ended and the device is closed: gone, unless it is persistent. */
  stop(): Promise<void> {
    return this.#afterwards(() => {
      if (!this.running) return;
      const queues = this.#queues;
      this.#finalSocketStats = socketStats(queues);
      this.#queues = [];
      this.#observers.stopped();
      for (const { thread, id } of queues) {
        if (this.#refd) thread.unhold();
        thread.release(id);
      }
      emitAsNode(() => this.emit('close'));
    });
  }

  /** Where datagrams come in, or null when it does not run. */
  address(): AddressInfo | null {
    const [queue] = this.#queues;
    if (queue === undefined) return null;
    const name = queue.thread.native.getName(queue.id, false);
    if (typeof name === 'number') throw errors.errnoException(name, 'getsockname');
    return { address: name[0], family: familyOfAddress(name[0]).name, port: name[1] };
  }

  /** What it has moved and dropped since the last start(). */
  stats(): TunnelStats {
    const counted = readTunnelCounters(this.#cells);
    const [queue] = this.#queues;
    if (queue === undefined) return { ...counted, device: '', mtu: 0, socket: this.#finalSocketStats };
    const device = queue.thread.native.getTunnelDevice(queue.id);
    return { ...counted, device, socket: socketStats(this.#queues) };
  }

  /** Lets the tunnel keep the event loop running (the default). */
  ref(): this {
    if (!this.#refd) for (const { thread } of this.#queues) thread.hold();
    this.#refd = true;
    return this;
  }

  /** Lets the program end though the tunnel runs. */
  unref(): this {
    if (this.#refd) for (const { thread } of this.#queues) thread.unhold();
    this.#refd = false;
    return this;
  }

  /** @internal */
  [observe](observer: Observer): () => void {
    return this.#observers.add(observer);
  }

  #afterwards(action: () => void | Promise<void>): Promise<void> {
    const done = this.#latest.then(action);
    this.#latest = done.catch(() => {}); // the caller has the rejected promise
    return done;
  }

  #openQueues(remotes: NativeAddress[]): Queue[] {
    const opened: Queue[] = [];
    try {
      for (let i = 0; i < this.#options.queues; i++) {
        // Nothing goes through its ring.
        const thread = dedicatedThread({ ...defaultThreadOptions, rxUsecs: 0, ringBytes: RING_BYTES_MIN });
        const queue = {
          thread,
          id: thread.reserve(),
          cells: new BigUint64Array(new SharedArrayBuffer(TUNNEL_CELLS * 8)),
        };
        const [first] = opened;
        opened.push(queue);
        const name = first === undefined ? this.#options.device.name : first.thread.native.getTunnelDevice(first.id);
        this.#open(queue, i, remotes, name);
      }
      if (opened.length > 1) spread(opened, familyOfAddress(remotes[0].address));
      return opened;
    } catch (error) {
      for (const { thread, id } of opened) thread.release(id);
      throw error;
    }
  }

  #open({ thread, id, cells }: Queue, queue: number, remotes: NativeAddress[], name: string): void {
    const { queues } = this.#options;
    const multiQueue = queues > 1;
    const { device, networks, local, vxlan, vni, addressesMax, ageMs, clampMss, flood } = this.#options;
    const family = familyOfAddress(remotes[0].address);
    const address = local.address ?? family.any;
    const native = thread.changing();
    const check = (errno: number, syscall: string) => {
      if (errno !== 0) throw errors.exceptionWithHostPort(errno, syscall, address, local.port);
    };
    // The first is bound alone: the port that another tunnel's queues share is not to be had.
    const shares = queue > 0 ? OPEN_REUSE_PORT : 0;
    check(native.open(id, family.number, OPEN_GRO | OPEN_GSO | OPEN_DROP_WHEN_FULL | shares), 'socket');
    check(native.bind(id, address, local.port), 'bind');
    if (multiQueue && queue === 0) check(native.setOption(id, SocketOption.reusePort, 1), 'setsockopt');
    native.deliver(id, false);
    const paths = pathsTo(native, id, remotes).filter((path) => path > 0);
    const path = paths.length > 0 ? Math.min(...paths) : ETHERNET_MTU;
    const tunnel = {
      device: { ...device, name, multiQueue, mtu: device.mtu ?? path - overhead(family, vxlan), networks },
      queue,
      queues,
      vxlan,
      vni,
      remotes,
      addresses: this.#options.remotes.flatMap(({ macs }, remote) => macs.map((mac) => ({ mac, remote }))),
      addressesMax,
      ageMs,
      clampMss,
      pathOverhead: device.mtu === undefined ? overhead(family, vxlan) : 0,
      flood,
    };
    const failure = native.openTunnel(id, tunnel, cells);
    if (failure !== '') throw deviceRefused(failure, device.name);
    check(native.watch(id, DATAGRAM_BYTES_MAX), 'epoll_ctl');
    thread.attach({
      id,
      pooled: true,
      onDatagram: () => {},
      onReceiveError: (errno) => void this.emit('error', errors.errnoException(errno, 'recvmsg')),
    });
  }
}

/**
 * Makes a tunnel; `start()` starts it.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_SOCKET_BAD_PORT; without the addon
 * ERR_KSOCKET_NEEDS_ADDON
 */
export function createTunnel(options: TunnelOptions): Tunnel {
  return new Tunnel(options);
}
