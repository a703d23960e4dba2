// The addon as a whole: what it exports, and says of the kernel.
import type { NativeIoThread, NativeIoThreadOptions } from './contract.js';
import type { NativeFates, NativeKernelAnswers, NativeKernelOptions } from './kernel-contract.js';

/** What this kernel, and the sandbox around the process, can do for UDP. */
export interface KernelFeatures {
  /** recvmmsg(2): many datagrams a receive call. */
  recvmmsg: boolean;
  /** sendmmsg(2): many datagrams a send call. */
  sendmmsg: boolean;
  /** epoll(7) and eventfd(2). */
  epoll: boolean;
  /** UDP_GRO, udp(7): the kernel joins datagrams it receives. */
  gro: boolean;
  /** UDP_SEGMENT, udp(7): the kernel splits super-datagrams it sends. */
  gso: boolean;
  /** How many datagrams one of them joins at most: 128 since Linux 6.9, 64 before, 0 without `gso`. */
  gsoSegments: number;
  /** SO_RXQ_OVFL, socket(7): the kernel counts the datagrams it drops. */
  kernelDrops: boolean;
  /** SO_BUSY_POLL, socket(7), may be set: with `busyPoll` the kernel looks into a network card's queues, too. It may
   * need CAP_NET_ADMIN. Loopback has none. */
  busyPoll: boolean;
  /** SO_ATTACH_FILTER, socket(7): `socket.filter()`. */
  filter: boolean;
  /** An IPv6 socket can be made. */
  ipv6: boolean;
}

/** The addon's exports: native/addon.cc. Without it: lib/backend/fallback/. */
export interface Binding {
  IoThread: new (options: NativeIoThreadOptions) => NativeIoThread;
  KernelAnswers: new (options: NativeKernelOptions) => NativeKernelAnswers;
  parseAddress(family: number, text: string, out: Uint8Array): number;
  formatAddress(family: number, bytes: Uint8Array): string;
  /** Copies of descriptors, to be sent: their number, or -errno. */
  copyRights(fds: Int32Array): number;
  /** Closes the copies. */
  releaseRights(number: number): void;
  /** The numbers that parseAddress() has given for paths may stand for others. */
  forgetPaths(): void;
  /** `UDP`, `TCP`, `PIPE`, `FILE`, `TTY`, `UNKNOWN` or `INVALID`, as libuv guesses. */
  getFdType(fd: number): string;
  /** What the kernel says of a socket, whoever speaks of it: 4 or 6, 1 of a local one of datagrams; 0: it is none of these. */
  getFdFamily(fd: number): number;
  /** Would the kernel give this process so many bytes, and some to spare? Where it would not, to ask for them may end the process:
   * native/core/base/room.h. */
  hasRoom(bytes: number): boolean;
  /** What an IoThread takes besides its ThreadMemory. */
  threadBytes: number;
  /** Two local sockets that are connected to each other, of datagrams or streams, or -errno. */
  socketPair(stream: boolean): Int32Array | number;
  /** A descriptor of a file in memory with these bytes, or -errno. */
  memoryFile(bytes: Uint8Array): number;
  /** As closeSync(), of what others have opened: of each such one node:fs warns in a worker. */
  closeFd(fd: number): void;
  /** Keeps the descriptor from child processes, and says what it is: native/core/socket/inherited.h. Or -errno. */
  claimInherited(fd: number): [type: string, name: string, port: number] | number;
  /** The best one first. */
  engineNames: string[];
  /** The system calls that each of them needs. */
  engineNeeds: string[];
  /** 0, or -errno where no thread gets an engine. */
  probeEngine(wanted: string): number;
  /** The name of the engine that threads get. */
  chooseEngine(wanted: string): string;
  probeFeatures(): KernelFeatures;
  /** 0, or -errno: may this process set the option (a row of SocketOption) on a socket? */
  probeOption(option: number, value: number | Uint8Array): number;
  /** 1: a network device has a qdisc of this kind, 0: none has, or -errno. */
  hasQdisc(kind: string): number;
  /** 0, or -errno: does the kernel tell this process of interfaces that come and go? */
  probeLinkEvents(): number;
  /** 0, or -errno: may this process say which of the sockets that share a port gets a datagram? */
  probeSteering(): number;
  /** 0, or -errno: may a thread be bound to processors? */
  probeCpus(): number;
  /** The highest priority of SCHED_FIFO that a thread may be given, or -errno. */
  probePriority(): number;
  /** 0 or -errno: may this process have the kernel answer? And what that needs. */
  probeKernelAnswers(): [errno: number, needs: string];
  /** What narrows what comes to a socket; '': nothing. But for what servers do themselves: a filter that is not locked, a group at the
   * port. */
  socketRestriction(fd: number, ownFilter: boolean, ownGroup: boolean): string;
  /** What NativeKernelAnswers.prepare() would load, of a server with this port; undefined where these are no rules. The text only if
   * it is asked for. */
  compileRules(
    rules: Uint8Array,
    protection: Parameters<NativeKernelAnswers['prepare']>[2],
    guard: Parameters<NativeKernelAnswers['prepare']>[3],
    port: number,
    disassemble: boolean,
  ): [fates: NativeFates, programs: number, instructions: number, text: string] | undefined;
  layoutHash: number;
}
