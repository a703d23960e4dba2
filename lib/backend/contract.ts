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

/** The same of a socket that wants batches, whose id this is. */
export type OnLoneBatch = (id: number, entered: boolean) => boolean;

export interface NativeIoThreadOptions extends ThreadMemory {
  engine: string;
  busyPoll: number;
  rxUsecs: number;
  rxFrames: number;
  adaptiveRx: boolean;
  /** Is the runtime's event loop libuv's? */
  libuv: boolean;
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

/** A tunnel's device and remotes: native/core/answer/tunnel.h. */
export interface NativeTunnel {
  device: {
    /** Empty: the kernel chooses one. */
    name: string;
    persistent: boolean;
    /** One of several, each of which is opened so: behind VXLAN its frames leave from a port of its own. */
    multiQueue: boolean;
    mtu: number;
    queueFrames: number;
    /** The port has the bits of the prefix. */
    networks: NativeAddress[];
  };
  /** Which one of how many: the port that it sends from has that remainder. */
  queue: number;
  queues: number;
  vxlan: boolean;
  vni: number;
  remotes: NativeAddress[];
  addresses: { mac: Uint8Array; remote: number }[];
  addressesMax: number;
  ageMs: number;
  clampMss: boolean;
  /** By which the device's MTU is less than the path's, which it follows; 0: it stays. */
  pathOverhead: number;
  flood: boolean;
}

/** native/bridge/io_thread_object.h. Every `number` result is 0 (or the value) or -errno. */
export interface NativeIoThread {
  /** `onWake` reads the ring. `resource` stands for the thread in async_hooks. */
  start(onWake: () => void, onLone: OnLone, onLoneBatch: OnLoneBatch, resource: { hasRef(): boolean }): number;
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
  /** Makes a device whose frames go through the socket, after bind() and before watch(). '', or the call that was refused, a
   * colon and -errno. `cells`: where it counts. */
  openTunnel(id: number, tunnel: NativeTunnel, cells: BigUint64Array): string;
  /** The device's name; empty while it is not there. */
  getTunnelDevice(id: number): string;
  watch(id: number, keepBytesMax: number): number;
  unwatch(id: number): void;
  /** Takes that, and stopDrops(), back. */
  watchAgain(id: number): number;
  /** How many datagrams that the kernel has dropped are counted (modulo 2^32). Those from now on are another process's to count. */
  stopDrops(id: number): number;
  /** Before watch(), of an adopted descriptor: so many are counted; undefined: those that there are. */
  tellDrops(id: number, total: number | undefined): number;
  /** Room for what comes while nobody receives, unless a program has chosen how much. `largest`: net.core.rmem_max; 0: it is not known. */
  growReceiveBuffer(id: number, largest: number): number;
  /** Which file a local socket takes away when it closes (native/core/socket/bound_path.h); empty: none. */
  getFile(id: number): string;
  /** It does not. */
  keepFile(id: number): void;
  /** It does, as another process had done. */
  takeFile(id: number, file: string): void;
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
  getPathMtu(id: number, address: string, toMany: boolean): number;
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
  | 'openTunnel'
  | 'getTunnelDevice'
  | 'deliver'
  | 'measureLatency'
  | 'send'
  | 'sendNow'
  | 'notifyDrained'
  | 'notifyWritable'
  | 'resume'
  | 'ref'
  | 'unref';
