// What the addon offers, in TypeScript. Arguments are exact (the callers validate), failures are returned as -errno.

/** The memory an I/O thread shares with JavaScript: see native/core/memory/layout.h. */
export interface ThreadMemory {
  /** Shared with monitors in other threads. */
  control: Int32Array<SharedArrayBuffer>;
  descriptors: Uint8Array;
  arena: Uint8Array;
  txDescriptors: Uint8Array;
  txSources: Uint8Array;
  txArena: Uint8Array;
}

/** The ring has one record, which is this datagram (native/bridge/ring_reader.h); `entered`: its socket's async context is
 * the current one (keepContext). False: it was not read. */
export type OnLone = (
  data: Buffer<ArrayBuffer>,
  id: number,
  address: string,
  family: number,
  port: number,
  entered: boolean,
) => boolean;

export interface NativeIoThreadOptions extends ThreadMemory {
  engine: string;
  busyPoll: number;
  rxUsecs: number;
  rxFrames: number;
  adaptiveRx: boolean;
  /** May the event loop receive by itself while it is idle (native/core/sharing/loop_sharing.h)? */
  shareLoop: boolean;
}

/** A literal address. */
export interface NativeAddress {
  family: number;
  address: string;
  port: number;
}

/** Where a rule forwards to: native/core/answer/forwarder.h. */
export interface NativeForward {
  targets: NativeAddress[];
  /** 0: by source, 1: round-robin, 2: all. */
  balance: number;
  idleMs: number;
  flows: number;
}

/** An address, or a descriptor of the primary's. */
export type SharedPlace = { address: string; port: number } | { fd: number };

/** The socket is to close, and then to call back. */
export type AskedBack = (closed?: () => void) => void;

/** native/bridge/io_thread_object.h. Every `number` result is 0 (or the value) or -errno. */
export interface NativeIoThread {
  /** `onWake` reads the ring. `resource` stands for the thread in async_hooks. */
  start(onWake: () => void, onLone: OnLone, resource: { hasRef(): boolean }): number;
  /** While it runs: on these processors only. */
  setCpus(cpus: readonly number[]): number;
  /** While it runs: SCHED_FIFO with this priority. */
  setPriority(priority: number): number;
  stop(): void;
  getEngineName(): string;
  /** Only where the event loop receives by itself. chunks[place], of CHUNK_BYTES, is received into from now on, for this socket,
   * and stays there until that place is given again; place CHUNKS: only what was given before, for this socket. Always the
   * same array. native/core/memory/chunks.h */
  giveChunk?(chunks: ArrayBuffer[], place: number, id: number): number;
  addCounters(page: BigUint64Array<SharedArrayBuffer>): void;

  open(id: number, family: number, flags: number): number;
  /** open(), bind() and watch() in one. What bind() refuses leaves the descriptor open. */
  openAt(id: number, family: number, flags: number, address: string, port: number, keepBytesMax: number): number;
  /** Takes a bound UDP descriptor made elsewhere, or a copy of it; with `libuv` not one that a handle of libuv's has. `family`
   * is what the caller takes it for. */
  adopt(id: number, given: { fd: number; copy: boolean; flags: number; libuv: boolean; family: number }): number;
  /** Only where the kernel can be asked: PACKET_INFO_BYTES for each of the ring's records, before a socket is opened that
   * wants them. */
  lendPacketInfos?(memory: Uint8Array): number;
  /** The same: as if the socket were opened with OPEN_RECEIVE_LOCAL, from the next datagram on. */
  receiveLocal?(id: number): number;
  /** -EBADF: it has none; -ENOTSUP: one that nobody can see. */
  getFd(id: number): number;
  /** A duplicate, for the caller to close. */
  copyFd(id: number): number;
  bind(id: number, address: string, port: number): number;
  /** Of a local socket: native/core/socket/bound_path.h. `mode` -1: what the umask says. */
  bindPath(id: number, path: string, mode: number, replaceStale: boolean, keep: boolean): number;
  /** Only where descriptors cannot be copied: binds to what a cluster's workers share, and calls `done` with 0 or -errno;
   * `askedBack` when the worker disconnects. */
  bindShared?(id: number, shared: SharedPlace, done: (errno: number) => void, askedBack: AskedBack): void;
  /** How many descriptors came with a datagram, which are in `out` and the caller's now; none a second time. */
  takeRights(id: number, number: number, out: Int32Array): number;
  /** Does anything wait for this receiver, the words of a ParsedAddress, or for a connected socket's peer? */
  waitsFor(id: number, to: Uint32Array | null): boolean;
  connect(id: number, address: string, port: number): number;
  disconnect(id: number): number;
  /** After bind(), before it is set who answers: native/core/answer/protection/loop_guard.h. */
  guardLoops(
    id: number,
    guard: { servicePorts: number[]; servicesGetReplies: boolean; repeats?: { rate: number; burst: number } },
  ): number;
  /** Which of these is where the socket itself listens, or -1. */
  findOwn(id: number, targets: NativeAddress[]): number;
  /** Without a target it answers each source. */
  respond(id: number, how: { echo: boolean; reply: Uint8Array; keepBytesMax: number; target?: NativeAddress }): number;
  /** Answers by these rules from the next batch on; `bytes` as lib/server/rules/encode.ts writes them. */
  setRules(id: number, rules: { bytes: Uint8Array; names: string[]; forwards: NativeForward[] }): number;
  /** How often each rule has matched. */
  getRuleHits(id: number): number[];
  /** Loads a handler, to answer instead. "", or why not. */
  loadHandler(id: number, handler: { path: string; argument: string }): string;
  /** Lists as lib/server/protection.ts encodes them; again whenever they change. */
  protect(
    id: number,
    protection: {
      deny: Uint8Array;
      allow?: Uint8Array;
      perSource?: { rate: number; burst: number; sources: number };
      total?: { rate: number; burst: number };
      /** What the kernel's filter is to begin with, as of setFilter(). */
      before?: Uint8Array;
    },
  ): number;
  watch(id: number, keepBytesMax: number): number;
  unwatch(id: number): void;
  /** Takes that, and stopDrops(), back. */
  watchAgain(id: number): number;
  /** How many datagrams that the kernel has dropped are counted (modulo 2^32). Those from now on are another process's to count. */
  stopDrops(id: number): number;
  /** Before watch(), of an adopted descriptor: so many are counted; undefined: those that there are. */
  tellDrops(id: number, total: number | undefined): number;
  /** Which file a local socket takes away when it closes (native/core/socket/bound_path.h); empty: none. */
  getFile(id: number): string;
  /** It does not. */
  keepFile(id: number): void;
  /** It does, as another process had done. */
  takeFile(id: number, path: string, file: string): void;
  /** The flows of a server's forwarding rules: 16 bytes, two doubles (where to go on, Infinity: nowhere; or -errno; and the bytes of
   * a row), and rows (native/core/answer/flow_row.h) whose descriptors are copies, but of those that `known` has: rule, serial, …. */
  getFlows(id: number, from: number, rowsMax: number, known: Float64Array): Uint8Array<ArrayBuffer>;
  /** Rows from another process, whose descriptors are native code's now; -1: none. `all`: these are all that there are. */
  takeFlows(id: number, rows: Uint8Array, fds: Int32Array, all: boolean): number;
  /** Once watch() was called: they are read, too. */
  beginFlows(id: number): number;
  /** Of each rule how often it has matched, and how many answers it has given. */
  getTallies(id: number): Float64Array<ArrayBuffer>;
  setTallies(id: number, tallies: Float64Array): number;
  /** From now on its lone datagrams come in an async context that begins here; `resource` stands for it. */
  keepContext(id: number, resource: object): void;
  close(id: number): void;

  getName(id: number, peer: boolean): [address: string, port: number] | number;
  setOption(id: number, option: number, value: number | Uint8Array): number;
  getOption(id: number, option: number): number;
  /** Bytes, or -errno: native/core/socket/path_mtu.h. */
  getPathMtu(id: number, address: string): number;
  /** Of any level and name (native/core/socket/raw_options.h). A text says why such a call is not made. */
  setRawOption(id: number, level: number, name: number, value: Uint8Array): number | string;
  /** How many bytes of `out`, which is zeroes, are the value now. */
  getRawOption(id: number, level: number, name: number, out: Uint8Array): number | string;
  /** What arrives from now on passes this filter: an array of `struct sock_filter`, empty for none. `ofFlows`: it looks at
   * nothing that joined datagrams do not have in common. `lock`: nobody can change it any more. */
  setFilter(id: number, filter: { program: Uint8Array; lock: boolean; ofFlows: boolean }): number;
  /** The kernel asks this program, an array of `struct sock_filter`, which of the sockets that share the port gets a datagram. */
  steer(id: number, program: Uint8Array): number;
  /** Empty texts where not given. `everywhere`: on every interface, and on those that come. */
  changeMembership(
    id: number,
    membership: { join: boolean; group: string; networkInterface: string; source: string; everywhere: boolean },
  ): number;
  setMulticastInterface(id: number, address: string): number;
  deliver(id: number, wanted: boolean): void;
  /** Counts into LATENCY_CELLS cells (native/core/memory/latency_histogram.h) from now on, or with null no more. */
  measureLatency(id: number, cells: BigUint64Array<SharedArrayBuffer> | null): number;
  /** The counters have what the kernel has dropped up to now. */
  countKernelDrops(id: number): void;
  getBacklog(id: number): [datagrams: number, bytes: number];

  /** Returns how many datagrams have to wait. */
  send(count: number): number;
  /** The same where the payloads are in `bytes`, which is not read any more once this returns. */
  sendFrom(bytes: Uint8Array, count: number): number;
  /** One datagram of a local socket, at once: bytes, or -errno, EAGAIN and ENOBUFS, too, as nothing is kept of it. `to`: as
   * parseAddress() writes it; null on a connected socket. */
  sendNow(id: number, bytes: Uint8Array, to: Uint32Array | null): number;
  /** Asks for a `drained` record once nothing waits any more. False when nothing does. */
  notifyDrained(id: number): boolean;
  /** Asks for a `drained` record once the socket is writable: a connected local one, where its peer has room. */
  notifyWritable(id: number): void;
  resume(): void;
  ref(): void;
  unref(): void;
}

/** The part of a server that answers in the kernel: native/core/xdp/kernel_answers.h. */
export interface NativeKernelAnswers {
  /** Loads rules (as setRules() takes them), lists and limits (as protect() does) and a guard (as guardLoops() does): 0 or -errno,
   * and what that needs. `sameLists`: they are those of the commit before. */
  prepare(
    rules: Uint8Array,
    names: string[],
    protection: Omit<Parameters<NativeIoThread['protect']>[1], 'before'>,
    guard: Parameters<NativeIoThread['guardLoops']>[1] | undefined,
    sameLists: boolean,
  ): [errno: number, needs: string];
  /** They are in force when this returns. */
  commit(): [errno: number, needs: string];
  /** Of each interface that is wanted. */
  getPlaces(): [name: string, mode: number, errno: number, reason: string][];
  /** Why nothing is compiled, and then what is: otherwise, and each rule. */
  getFates(): NativeFates;
  getHits(): number[];
  /** The counters have everything up to now. */
  count(): void;
  /** Nothing is attached when this returns. */
  stop(): void;
}

/** Of a rule. `reason`: why the thread has to decide, at all or in part. */
export type NativeFate = [compiled: boolean, reason: string];

export type NativeFates = [refused: string, otherwise: NativeFate, ...rules: NativeFate[]];

export interface NativeKernelOptions {
  /** Names; none: those that have the address. */
  interfaces: string[];
  /** 0: whichever there is, 1: native, 2: generic. */
  mode: number;
  own: NativeAddress;
  ipv4: boolean;
  ipv6: boolean;
  ttl: number;
  tos: number;
  counters: BigUint64Array<SharedArrayBuffer>;
}

/** The calls after which everything is sent, and arrives, as before. */
export type SteadyCall =
  | 'start'
  | 'setCpus'
  | 'setPriority'
  | 'stop'
  | 'getEngineName'
  | 'addCounters'
  | 'lendPacketInfos'
  | 'receiveLocal'
  | 'takeRights'
  | 'waitsFor'
  | 'getFd'
  | 'getName'
  | 'getOption'
  | 'getPathMtu'
  | 'getRawOption'
  | 'getBacklog'
  | 'countKernelDrops'
  | 'keepContext'
  | 'getRuleHits'
  | 'watchAgain'
  | 'stopDrops'
  | 'tellDrops'
  | 'getFile'
  | 'keepFile'
  | 'takeFile'
  | 'getFlows'
  | 'takeFlows'
  | 'beginFlows'
  | 'getTallies'
  | 'setTallies'
  | 'findOwn'
  | 'guardLoops'
  | 'respond'
  | 'setRules'
  | 'loadHandler'
  | 'deliver'
  | 'measureLatency'
  | 'send'
  | 'sendNow'
  | 'notifyDrained'
  | 'notifyWritable'
  | 'resume'
  | 'ref'
  | 'unref';

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
