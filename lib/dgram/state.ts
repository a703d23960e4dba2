// What node:dgram's sockets keep under a symbol, for those who know of it: child_process, for child.send(message,
// socket); node:dgram's own deprecated properties (`_handle`, `_bindState`, …), which lead there; and programs that
// need socket._handle.fd. A ksocket has no such state: this makes one when asked, of what the socket knows.
import dgram from 'node:dgram';
import { OPEN_IPV6_ONLY, OPEN_REUSE_ADDRESS, OPEN_REUSE_PORT, SocketOption } from '../backend/layout.js';

/** The part of libuv's UDP handle, as Node wraps it, that is needed here. */
interface UdpHandle {
  readonly fd: number;
  open(fd: number): number;
  unref(): void;
  close(): void;
}

/** What the state tells of a socket. */
export interface StateSource {
  readonly family: { readonly type: string };
  readonly options: { readonly recvBufferSize: number; readonly sendBufferSize: number };
  /** The OPEN_ flags of layout.ts that it is bound with. */
  flags: number;
  readonly closed: boolean;
  readonly receiving: boolean;
  readonly bindState: 'unbound' | 'binding' | 'bound';
  readonly connectState: 'disconnected' | 'connecting' | 'connected';
  /** What waits for the bind. */
  readonly queue: readonly (() => void)[] | undefined;
  /** Ends the events of what comes in, for good, and no longer keeps the event loop running. */
  stopReceiving(): void;
  /** What was sent before leaves. */
  handOver(): void;
  /** A new descriptor for the same open socket; the caller closes it. */
  descriptorCopy(): number | undefined;
  /** The value that the kernel has, or -errno. */
  option(option: number): number;
  /** 0, or -errno. */
  setOption(option: number, value: number): number;
}

const NativeSocket = dgram.Socket as unknown as new (type: string) => Record<symbol, { handle: UdpHandle }>;

function findSymbol(): symbol | undefined {
  let found: symbol | undefined;
  const witness = new Proxy(
    {},
    {
      get(_, key) {
        if (typeof key === 'symbol' && key.description === 'state symbol') found = key;
        return { handle: null };
      },
    },
  );
  try {
    dgram.Socket.prototype.ref.call(witness as dgram.Socket);
  } catch {
    // dgram has been replaced, or a later Node's has no such symbol
  }
  return found;
}

/** Where node:dgram's sockets have their state; undefined where they have it no more. */
export const stateSymbol = findSymbol();

const bindStates = ['unbound', 'binding', 'bound'];
const connectStates = ['disconnected', 'connecting', 'connected'];

/** Names and values are node:dgram's. */
export class SocketState {
  readonly #source: StateSource;
  readonly #handle: UdpHandle;
  #open = false;

  constructor(source: StateSource, symbol: symbol) {
    this.#source = source;
    this.#handle = new NativeSocket(source.family.type)[symbol].handle;
    this.#handle.unref(); // whether the event loop has to go on is the socket's own affair
  }

  /** Node's own handle, on a copy of the descriptor: nothing is received through it. */
  get handle(): UdpHandle | null {
    if (this.#source.closed) return null;
    this.#source.handOver(); // it can change the socket
    this.follow();
    return this.#handle;
  }

  get receiving(): boolean {
    return this.#source.receiving;
  }
  set receiving(on: unknown) {
    if (!on) this.#source.stopReceiving();
  }

  get bindState(): number {
    return bindStates.indexOf(this.#source.bindState);
  }

  get connectState(): number {
    return connectStates.indexOf(this.#source.connectState);
  }

  get queue(): readonly unknown[] | undefined {
    return this.#source.queue;
  }

  /** Takes effect if set before the socket is bound. */
  get reuseAddr(): boolean | undefined {
    return this.#flag(OPEN_REUSE_ADDRESS);
  }
  set reuseAddr(on: unknown) {
    const { flags } = this.#source;
    this.#source.flags = on ? flags | OPEN_REUSE_ADDRESS : flags & ~OPEN_REUSE_ADDRESS;
  }

  get reusePort(): boolean | undefined {
    return this.#flag(OPEN_REUSE_PORT);
  }

  get ipv6Only(): boolean | undefined {
    return this.#flag(OPEN_IPV6_ONLY);
  }

  get recvBufferSize(): number | undefined {
    return this.#source.options.recvBufferSize || undefined;
  }

  get sendBufferSize(): number | undefined {
    return this.#source.options.sendBufferSize || undefined;
  }

  /** Once the socket has a descriptor the handle has a copy. */
  follow(): void {
    const fd = this.#open ? undefined : this.#source.descriptorCopy();
    if (fd === undefined) return;
    this.#open = true;
    const reuseAddress = this.#source.option(SocketOption.reuseAddress);
    this.#handle.open(fd);
    // uv_udp_open() has switched it on, for all copies.
    if (reuseAddress === 0) this.#source.setOption(SocketOption.reuseAddress, 0);
  }

  /** The descriptor is gone. */
  close(): void {
    this.#handle.close();
  }

  #flag(flag: number): boolean | undefined {
    return (this.#source.flags & flag) !== 0 || undefined;
  }
}

// Programs may assign to the deprecated properties. To these it has no effect: the socket does not read them.
for (const name of ['handle', 'bindState', 'queue']) {
  const { get } = Object.getOwnPropertyDescriptor(SocketState.prototype, name) as PropertyDescriptor;
  Object.defineProperty(SocketState.prototype, name, { get, set() {}, configurable: true });
}

const inherited = ['_handle', '_receiving', '_bindState', '_queue', '_reuseAddr', '_healthCheck', '_stopReceiving'];

/** The running Node's deprecated properties, with their warning, as far as it has them. */
export function deprecatedProperties(): PropertyDescriptorMap {
  const found: PropertyDescriptorMap = {};
  for (const name of stateSymbol === undefined ? [] : inherited) {
    const descriptor = Object.getOwnPropertyDescriptor(dgram.Socket.prototype, name);
    if (descriptor !== undefined) found[name] = descriptor;
  }
  return found;
}
