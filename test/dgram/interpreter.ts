// Runs scripts (script.ts) against one implementation and records what a program could see.
//
// What happens within one turn of the event loop is compared in its order over all sockets. What comes from the kernel
// is compared by where it comes from ("streams"): two sockets may hear of two things in either order.
import { AsyncLocalStorage } from 'node:async_hooks';
import nodeDgram from 'node:dgram';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { createSocket as createWitness, type Socket as Witness } from 'ksocket';
import { fakeTimers } from '../support/fakes.js';
import { describeValue } from './describe.js';
import { holdPort } from './held-port.js';
import {
  type Change,
  type Context,
  events,
  type LookupKind,
  type Op,
  type PeerName,
  type Script,
  type SocketPlan,
  type Value,
  type ViewKind,
} from './script.js';

export type Entry = unknown[];

/** What one step has brought. */
export interface StepTrace {
  inOrder: Entry[];
  byStream: Record<string, Entry[]>;
  /** What the plain peers got, a list a sender. */
  sent: string[][];
}

export type Trace = StepTrace[];

// The types do not know of it in Node 20.
const ResizableBuffer = ArrayBuffer as unknown as new (bytes: number, limit: { maxByteLength: number }) => ArrayBuffer;

// As they are before a script replaces them.
const { nextTick } = process;
const { setImmediate, setInterval, clearInterval, queueMicrotask } = globalThis;
const now = performance.now.bind(performance);

const LIMIT_MS = 10_000;
const FENCE = 'the fence';
const NO_PORT = 9; // nobody listens there

// biome-ignore lint/suspicious/noExplicitAny: either implementation's, and called in wrong ways
type Any = any;

/** 6 only where the machine has IPv6. */
export interface Peers {
  peer4: nodeDgram.Socket;
  peer6: nodeDgram.Socket | undefined;
  witness4: Witness;
  witness6: Witness | undefined;
}

// Ports that the kernel gives to nobody: a socket under test never has the peers'.
async function openPeer<T extends nodeDgram.Socket>(make: () => T, address: string): Promise<T> {
  for (;;) {
    const peer = make();
    try {
      peer.bind(20_000 + Math.floor(Math.random() * 10_000), address);
      await once(peer, 'listening');
      return peer;
    } catch (error) {
      peer.close();
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

/** The sockets on the other side. */
export async function openPeers(): Promise<Peers> {
  const plain = (type: 'udp4' | 'udp6') => () => nodeDgram.createSocket(type);
  const witness = (type: 'udp4' | 'udp6') => () => createWitness({ type, receiveTtl: 'auto', thread: 'dedicated' });
  const peer4 = await openPeer(plain('udp4'), '127.0.0.1');
  const peer6 = await openPeer(plain('udp6'), '::1').catch(() => undefined);
  const witness4 = await openPeer(witness('udp4'), '127.0.0.1');
  const witness6 = peer6 && (await openPeer(witness('udp6'), '::1'));
  return { peer4, peer6, witness4, witness6 };
}

/** One implementation of dgram, and what is needed to run scripts against it. */
export class World implements AsyncDisposable {
  readonly module: Any;
  readonly peers: Peers;
  /** Not node:dgram. */
  readonly isOurs: boolean;
  readonly #fence: Any;
  #arrived: (() => void) | undefined;

  private constructor(module: Any, peers: Peers, fence: Any) {
    this.module = module;
    this.peers = peers;
    this.isOurs = 'createServer' in module;
    this.#fence = fence;
    fence.on('message', () => this.#arrived?.());
  }

  static async open(module: Any, peers: Peers): Promise<World> {
    const fence = module.createSocket('udp4').bind(0, '127.0.0.1');
    await once(fence, 'listening');
    return new World(module, peers, fence);
  }

  /** After this every socket of the implementation, and every witness, has been told what the kernel had for it before. */
  async fence(): Promise<void> {
    for (let round = 0; round < 2; round++) {
      const arrived = new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
      this.peers.peer4.send(FENCE, this.#fence.address().port, '127.0.0.1');
      await arrived;
      const { peer4, peer6, witness4, witness6 } = this.peers;
      await fenceWitness(peer4, witness4);
      if (peer6 && witness6) await fenceWitness(peer6, witness6);
      await turn(); // else a second one could be read in the turn of the first
    }
  }

  async run(script: Script): Promise<Trace> {
    const run = new Run(this, script);
    const trace = await run.run();
    // Where the script wants it so, they share it again.
    return run.sharesPort ? await new Run(this, script).run() : trace;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#fence, 'close');
    this.#fence.close();
    await closed;
  }
}

async function fenceWitness(peer: nodeDgram.Socket, witness: Witness): Promise<void> {
  const { address, port } = witness.address();
  const arrived = new Promise<void>((resolve) => {
    witness.on('message', function onMessage(data) {
      if (data.toString() !== FENCE) return;
      witness.off('message', onMessage);
      resolve();
    });
  });
  peer.send(FENCE, port, address);
  await arrived;
}

const als = new AsyncLocalStorage<string>();

class Run implements Context {
  readonly module: Any;
  readonly sockets: Any[] = [];
  /** Of two sockets with SO_REUSEADDR that ask for any port, each can get the other's, once in some 28 000 times: which of
   * them then gets a datagram says nothing. */
  sharesPort = false;
  readonly #world: World;
  readonly #script: Script;
  readonly #controllers: AbortController[] = [];
  readonly #known: Map<number, string>;
  readonly #afters: (() => void)[] = [];
  #step: StepTrace = { inOrder: [], byStream: {}, sent: [] };
  #received = new Map<number, string[]>();
  #counts = new Map<string, number>();
  #entries = 0;
  #ordered = false; // is this the turn in which the step's operations run?
  #stream = 'script'; // of the operation that runs now
  #pending = 0; // lookups, immediates and conditions that will come to an end
  #feeds: [socket: number, text: string][] = [];
  #changes: (() => void)[] = []; // to the memory that the present call was given

  constructor(world: World, script: Script) {
    this.#world = world;
    this.#script = script;
    this.module = world.module;
    this.#known = new Map(Object.entries(world.peers).map(([name, peer]) => [peer?.address().port ?? -1, `<${name}>`]));
  }

  async run(): Promise<Trace> {
    const onPeer = (data: Buffer, { port, ttl }: nodeDgram.RemoteInfo & { ttl?: number }) => {
      if (data.toString() === FENCE) return;
      const texts = this.#received.get(port) ?? [];
      const text = data.length > 100 ? `${data.length} bytes` : data.toString('latin1');
      this.#received.set(port, [...texts, ttl === undefined ? text : `${text} (${ttl} hops)`]);
      this.#entries++;
    };
    const peers: nodeDgram.Socket[] = Object.values(this.#world.peers).filter((peer) => peer !== undefined);
    for (const peer of peers) peer.on('message', onPeer);
    process.setUncaughtExceptionCaptureCallback((error) => {
      this.#log('uncaught', ['uncaught', isNullHandle(error) ? notRunning(this.module) : error]);
    });
    const trace: Trace = [];
    try {
      for (let i = 0; i < this.#script.steps.length; i++) {
        trace.push(
          await this.#runStep(() => {
            if (i === 0) for (const [number, plan] of this.#script.sockets.entries()) this.#create(plan, number);
            this.#do(this.#script.steps[i], `${i}`, 'script');
          }),
        );
      }
      trace.push(
        await this.#runStep(() => {
          for (const on of this.sockets.keys()) this.#do([{ call: 'close', on, args: [] }], `end${on}`, 'script');
        }),
      );
      return trace;
    } finally {
      for (const after of this.#afters) after();
      process.setUncaughtExceptionCaptureCallback(null);
      for (const peer of peers) peer.off('message', onPeer);
    }
  }

  // ---- Context (functions, as operations take it apart)

  readonly log = (...entry: unknown[]): void => {
    this.#log(this.#stream, entry);
  };

  readonly until = (condition: () => boolean): void => {
    this.#pending++;
    const timer = setInterval(() => {
      if (!condition()) return;
      clearInterval(timer);
      this.#pending--;
    }, 1);
    this.after(() => clearInterval(timer));
  };

  readonly count = (socket: number, event: string): number => this.#counts.get(`${socket} ${event}`) ?? 0;

  readonly port = (of: number | PeerName): number => {
    if (typeof of === 'string') return this.#world.peers[of]?.address().port ?? NO_PORT;
    try {
      return this.sockets[of].address().port;
    } catch {
      return NO_PORT;
    }
  };

  readonly after = (body: () => void): void => {
    this.#afters.push(body);
  };

  // ---- steps

  async #runStep(body: () => void): Promise<StepTrace> {
    const step: StepTrace = { inOrder: [], byStream: {}, sent: [] };
    this.#step = step;
    this.#received = new Map();
    // The second of the two runs behind the first one's ticks and before anything from the kernel.
    await new Promise<void>((resolve) => {
      setImmediate(() => {
        this.#ordered = true;
        body();
      });
      setImmediate(() => {
        this.#ordered = false;
        fakeTimers(false);
        resolve();
      });
    });
    await turn(); // ticks that an uncaught exception has put off
    this.sharesPort ||= this.#sharePort();
    this.#feed();
    await this.#settle();
    step.sent = [...this.#received.values()].sort((a, b) => (a.join() < b.join() ? -1 : 1));
    return step;
  }

  async #settle(): Promise<void> {
    const end = now() + LIMIT_MS;
    for (let before = -1; before !== this.#entries || this.#pending > 0; ) {
      before = this.#entries;
      await this.#world.fence();
      if (now() > end) {
        throw new Error(`a step does not end: ${this.#pending} pending, ${JSON.stringify(this.#step)}`);
      }
    }
  }

  #sharePort(): boolean {
    const own = [...this.sockets.keys()].map((on) => `${this.sockets[on].type} ${this.port(on)}`);
    return own.some((port, on) => {
      const number = this.port(on);
      return number !== 9 && number !== 0 && !this.#known.has(number) && own.indexOf(port) !== on;
    });
  }

  #feed(): void {
    const { peer4, peer6 } = this.#world.peers;
    for (const [on, text] of this.#feeds.splice(0)) {
      const port = this.port(on);
      if (port === 9 || port === 0) continue;
      if (this.sockets[on].type === 'udp4') peer4.send(text, port, '127.0.0.1');
      else peer6?.send(text, port, '::1');
    }
  }

  #log(stream: string, entry: unknown[]): void {
    this.#entries++;
    const described = entry.map((part) => describeValue(part, this.sockets, this.#known));
    if (this.#ordered && stream === 'script') this.#step.inOrder.push(described);
    else {
      this.#step.byStream[stream] ??= [];
      this.#step.byStream[stream].push(described);
    }
  }

  // ---- sockets

  #create(plan: SocketPlan, number: number): void {
    const options = this.#value({ $: 'object', of: plan.options }, 'create') as Record<string, unknown>;
    const later = plan.lookup === 'immediate' ? '/lookup' : '';
    if (plan.lookup) options.lookup = this.#lookup(plan.lookup, number);
    if (plan.signal) {
      const controller = new AbortController();
      this.#controllers[number] = controller;
      if (plan.signal === 'aborted') controller.abort();
      options.signal = controller.signal;
    }
    let socket: Any;
    try {
      socket = als.run(`create ${number}`, () => this.module.createSocket(options));
    } catch (error) {
      this.log('createSocket', number, 'throws', error);
      // The script's other operations need something to work on.
      socket = this.module.createSocket('udp4');
    }
    this.sockets[number] = socket;
    for (const event of plan.events ?? events) {
      const run = this;
      socket.on(event, function (this: unknown, ...args: Any[]) {
        const key = `${number} ${event}`;
        run.#counts.set(key, (run.#counts.get(key) ?? 0) + 1);
        // What comes from the kernel comes when it likes.
        const received = event === 'message' || args[0]?.syscall === 'recvmsg';
        const stream = received ? `message ${number}` : run.#ordered ? 'script' : `socket ${number}${later}`;
        run.#log(stream, [event, number, ...args, this === socket ? '' : 'with another this', als.getStore()]);
      });
    }
  }

  #lookup(kind: LookupKind, number: number): unknown {
    return (host: unknown, family: unknown, done: Any, ...rest: unknown[]) => {
      const stream = this.#ordered ? 'script' : `lookup ${number}`;
      this.#log(stream, ['lookup', number, host, family, typeof done, rest.length]);
      const ip = host === 'localhost' ? (family === 6 ? '::1' : '127.0.0.1') : host;
      const failure = () => Object.assign(new Error('no such name'), { code: 'ENOTFOUND', hostname: host });
      const later = (...args: unknown[]) => {
        this.#pending++;
        setImmediate(() => {
          this.#pending--;
          done(...args);
        });
      };
      if (kind === 'sync') done(null, ip, family);
      else if (kind === 'tick') nextTick(done, null, ip, family);
      else if (kind === 'immediate') later(null, ip, family);
      else if (kind === 'failing sync') done(failure());
      else if (kind === 'failing') later(failure());
      else if (kind === 'other family') done(null, family === 6 ? '127.0.0.1' : '::1', family === 6 ? 4 : 6);
      else if (kind === 'undefined') done(null, undefined);
      else if (kind === 'number') done(null, 127);
      else if (kind === 'throwing') throw failure();
    };
  }

  // ---- operations

  #do(ops: Op[], path: string, stream: string): void {
    ops.forEach((op, i) => {
      const before = this.#stream;
      this.#stream = stream;
      try {
        als.run(`op ${path}.${i}`, () => this.#doOne(op, `${path}.${i}`, stream));
      } finally {
        this.#stream = before;
      }
    });
    if (!this.#ordered) fakeTimers(false);
  }

  #doOne(op: Op, path: string, stream: string): void {
    if ('call' in op) this.#call(op, path, stream);
    else if ('defer' in op) this.#defer(op, path, stream);
    else if ('listen' in op) this.#listen(op, path);
    else if ('feed' in op) for (const text of op.texts) this.#feeds.push([op.feed, text]);
    else if ('abort' in op) this.#controllers[op.abort]?.abort();
    else if ('block' in op) block(op.block);
    else if ('fakes' in op) fakeTimers(op.fakes && this.#world.isOurs);
    else {
      const result = op.run(this);
      if (result !== undefined) this.#log(stream, [op.name, result]);
    }
  }

  #call({ call, on, args }: Extract<Op, { call: string }>, path: string, stream: string): void {
    const socket = this.sockets[on];
    if (socket === undefined) return;
    // node:dgram does nothing, or worse, depending on what the socket was: docs/compatibility.md.
    if (call === 'connect' && isClosed(socket)) return;
    const later = this.#script.sockets[on]?.lookup === 'immediate' ? '/lookup' : '';
    const values = args.map((arg) => this.#value(arg, path, stream + later));
    const log = (...entry: unknown[]) => this.#log(stream, [path, call, on, ...entry]);
    const changes = this.#changes.splice(0);
    const port = call === 'disconnect' ? this.port(on) : NO_PORT;
    let result: Any;
    try {
      result = socket[call](...values);
    } catch (error) {
      log('throws', isNullHandle(error) ? notRunning(this.module) : error);
      return;
    } finally {
      for (const change of changes) change();
    }
    if (port !== NO_PORT) this.after(holdPort(socket.type, port));
    log('returns', result instanceof Promise ? 'a promise' : result);
    if (result instanceof Promise) {
      const end = (...entry: unknown[]) => this.#log(`promise ${on}`, [path, ...entry]);
      result.then(
        (value: unknown) => end('resolves', value),
        (error: unknown) => end('rejects', error),
      );
    }
  }

  #defer({ defer, ops }: Extract<Op, { defer: string }>, path: string, stream: string): void {
    const body = (to: string) => {
      this.#log(to, [path, defer, als.getStore()]);
      this.#do(ops, path, to);
    };
    if (defer === 'tick') nextTick(body, stream);
    else if (defer === 'microtask') queueMicrotask(() => body(stream));
    else {
      this.#pending++;
      setImmediate(() => {
        this.#pending--;
        body(`${stream}/immediate`);
      });
    }
  }

  #listen({ listen, on, count, ops }: Extract<Op, { listen: string }>, path: string): void {
    const socket = this.sockets[on];
    if (socket === undefined) return;
    let left = count;
    const listener = () => {
      if (--left <= 0) socket.removeListener(listen, listener);
      const stream = listen === 'message' ? `message ${on}` : this.#ordered ? 'script' : `socket ${on}`;
      this.#do(ops, path, stream);
    };
    socket.on(listen, listener);
  }

  // ---- arguments

  #value(value: Value, path: string, stream = 'script'): unknown {
    if (value === null || typeof value !== 'object') return value;
    if (value.$ === 'port') return this.port(value.of);
    if (value.$ === 'view') return this.#view(value);
    if (value.$ === 'list') return value.of.map((one) => this.#value(one, path, stream));
    if (value.$ === 'made') return value.make(this);
    if (value.$ === 'object') {
      return Object.fromEntries(
        Object.entries(value.of).map(([key, one]) => [key, this.#value(one, path, stream)] as const),
      );
    }
    return this.#callback(value, path, stream);
  }

  #view({ kind, text, change: how }: Extract<Value, { $: 'view' }>): unknown {
    const view = makeView(kind, text, how);
    if (how === undefined) return view;
    this.#changes.push(() => change(view, how));
    return this.#world.isOurs ? view : makeView(kind, text, how);
  }

  #callback(value: Extract<Value, { $: 'callback' }>, path: string, stream: string): unknown {
    const run = this;
    return function callback(this: unknown, ...args: unknown[]) {
      const onSocket = run.sockets.indexOf(this as Any);
      const self = onSocket >= 0 ? `this is socket ${onSocket}` : this === undefined ? '' : 'this is something';
      const to = run.#ordered && stream === 'script' ? 'script' : `${stream} callbacks`;
      run.#log(to, [`${path} callback`, ...args, self, als.getStore()]);
      run.#do(value.then, path, to);
    };
  }
}

function block(ms: number): void {
  const until = now() + ms;
  while (now() < until);
}

function change(view: unknown, how: Change): void {
  const memory: ArrayBufferLike =
    view instanceof ArrayBuffer ? view : (view as ArrayBufferView<ArrayBufferLike>).buffer;
  if (how === 'overwritten' || memory instanceof SharedArrayBuffer) new Uint8Array(memory).fill(33);
  else if (how === 'transferred') structuredClone(memory, { transfer: [memory] });
  else (memory as ArrayBuffer & { resize(bytes: number): void }).resize(9);
}

function makeView(kind: ViewKind, text: string, how?: Change): unknown {
  // In the middle of something bigger, at an offset that every kind can have.
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8 + 16);
  padded.write(text, 8, 'latin1');
  const length = padded.length - 16;
  if (kind === 'Buffer' && how !== 'shrunk') return padded.subarray(8, 8 + text.length);
  const shared = kind === 'SharedUint8Array';
  const memory: ArrayBufferLike = shared
    ? new SharedArrayBuffer(padded.length)
    : new ResizableBuffer(padded.length, { maxByteLength: padded.length });
  new Uint8Array(memory).set(padded);
  if (kind === 'ArrayBuffer') return memory;
  if (kind === 'Uint16Array') return new Uint16Array(memory, 8, length / 2);
  if (kind === 'Float64Array') return new Float64Array(memory, 8, length / 8);
  if (kind === 'Buffer') return Buffer.from(memory as ArrayBuffer, 8, text.length);
  if (kind === 'DataView') return new DataView(memory, 8, text.length);
  return new Uint8Array(memory, 8, text.length);
}

function isClosed(socket: Any): boolean {
  try {
    socket.address();
  } catch (error) {
    return (error as Any).code === 'ERR_SOCKET_DGRAM_NOT_RUNNING';
  }
  return false;
}

// node:dgram's closed sockets have a null for a handle, which many methods stumble over. ksocket's say so: that is
// a deliberate difference, too.
function isNullHandle(error: Any): boolean {
  return error instanceof TypeError && !('code' in error) && /of null \(reading '\w+'\)/.test(error.message);
}

function notRunning(module: Any): unknown {
  try {
    module.createSocket('udp4').close().close();
  } catch (error) {
    return error;
  }
}
