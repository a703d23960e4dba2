// Runs scripts (script.ts) against one implementation and records what a program could see.
//
// What happens within one turn of the event loop is compared in its order over all sockets. What comes from the kernel
// is compared by where it comes from ("streams"): two sockets may hear of two things in either order.
import { AsyncLocalStorage } from 'node:async_hooks';
import nodeDgram from 'node:dgram';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { describeValue } from './describe.js';
import { type Context, events, type LookupKind, type Op, type Script, type SocketPlan, type Value } from './script.js';

export type Entry = unknown[];

/** What one step has brought. */
export interface StepTrace {
  inOrder: Entry[];
  byStream: Record<string, Entry[]>;
  /** What the plain peers got, a list a sender. */
  sent: string[][];
}

export type Trace = StepTrace[];

const LIMIT_MS = 10_000;
const FENCE = 'the fence';

// biome-ignore lint/suspicious/noExplicitAny: either implementation's, and called in wrong ways
type Any = any;

export interface Peers {
  peer4: nodeDgram.Socket;
  peer6: nodeDgram.Socket | undefined;
}

// Ports that the kernel gives to nobody: a socket under test never has the peers'.
async function openPeer(type: 'udp4' | 'udp6', address: string): Promise<nodeDgram.Socket> {
  for (;;) {
    const peer = nodeDgram.createSocket(type);
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

/** The plain sockets on the other side; 6 only where the machine has IPv6. */
export async function openPeers(): Promise<Peers> {
  const peer4 = await openPeer('udp4', '127.0.0.1');
  const peer6 = await openPeer('udp6', '::1').catch(() => undefined);
  return { peer4, peer6 };
}

/** One implementation of dgram, and what is needed to run scripts against it. */
export class World implements AsyncDisposable {
  readonly module: Any;
  readonly peers: Peers;
  readonly #fence: Any;
  #arrived: (() => void) | undefined;

  private constructor(module: Any, peers: Peers, fence: Any) {
    this.module = module;
    this.peers = peers;
    this.#fence = fence;
    fence.on('message', () => this.#arrived?.());
  }

  static async open(module: Any, peers: Peers): Promise<World> {
    const fence = module.createSocket('udp4').bind(0, '127.0.0.1');
    await once(fence, 'listening');
    return new World(module, peers, fence);
  }

  /** After this every socket of the implementation has been told what the kernel had for it before. */
  async fence(): Promise<void> {
    for (let round = 0; round < 2; round++) {
      const arrived = new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
      this.peers.peer4.send(FENCE, this.#fence.address().port, '127.0.0.1');
      await arrived;
      await turn(); // else a second one could be read in the turn of the first
    }
  }

  async run(script: Script): Promise<Trace> {
    return await new Run(this, script).run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#fence, 'close');
    this.#fence.close();
    await closed;
  }
}

const als = new AsyncLocalStorage<string>();

class Run implements Context {
  readonly module: Any;
  readonly sockets: Any[] = [];
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

  constructor(world: World, script: Script) {
    this.#world = world;
    this.#script = script;
    this.module = world.module;
    const { peer4, peer6 } = world.peers;
    this.#known = new Map([[peer4.address().port, '<peer4>']]);
    if (peer6) this.#known.set(peer6.address().port, '<peer6>');
  }

  async run(): Promise<Trace> {
    const { peer4, peer6 } = this.#world.peers;
    const onPeer = (data: Buffer, { port }: nodeDgram.RemoteInfo) => {
      const texts = this.#received.get(port) ?? [];
      this.#received.set(port, [...texts, data.length > 100 ? `${data.length} bytes` : data.toString('latin1')]);
      this.#entries++;
    };
    peer4.on('message', onPeer);
    peer6?.on('message', onPeer);
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
      peer4.off('message', onPeer);
      peer6?.off('message', onPeer);
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

  readonly port = (of: number | 'peer4' | 'peer6'): number => {
    if (typeof of === 'string') return this.#world.peers[of]?.address().port ?? 9;
    try {
      return this.sockets[of].address().port;
    } catch {
      return 9;
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
        resolve();
      });
    });
    await turn(); // ticks that an uncaught exception has put off
    this.#feed();
    await this.#settle();
    step.sent = [...this.#received.values()].sort((a, b) => (a.join() < b.join() ? -1 : 1));
    return step;
  }

  async #settle(): Promise<void> {
    const end = performance.now() + LIMIT_MS;
    for (let before = -1; before !== this.#entries || this.#pending > 0; ) {
      before = this.#entries;
      await this.#world.fence();
      if (performance.now() > end) {
        throw new Error(`a step does not end: ${this.#pending} pending, ${JSON.stringify(this.#step)}`);
      }
    }
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
      else if (kind === 'tick') process.nextTick(done, null, ip, family);
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
  }

  #doOne(op: Op, path: string, stream: string): void {
    if ('call' in op) this.#call(op, path, stream);
    else if ('defer' in op) this.#defer(op, path, stream);
    else if ('listen' in op) this.#listen(op, path);
    else if ('feed' in op) for (const text of op.texts) this.#feeds.push([op.feed, text]);
    else if ('abort' in op) this.#controllers[op.abort]?.abort();
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
    let result: Any;
    try {
      result = socket[call](...values);
    } catch (error) {
      log('throws', isNullHandle(error) ? notRunning(this.module) : error);
      return;
    }
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
    if (defer === 'tick') process.nextTick(body, stream);
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
    if (value.$ === 'view') return makeView(value.kind, value.text);
    if (value.$ === 'list') return value.of.map((one) => this.#value(one, path, stream));
    if (value.$ === 'made') return value.make(this);
    if (value.$ === 'object') {
      return Object.fromEntries(
        Object.entries(value.of).map(([key, one]) => [key, this.#value(one, path, stream)] as const),
      );
    }
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

function makeView(kind: string, text: string): unknown {
  // In the middle of something bigger, at an offset that every kind can have.
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8 + 16);
  padded.write(text, 8, 'latin1');
  const length = padded.length - 16;
  if (kind === 'Buffer') return padded.subarray(8, 8 + text.length);
  const shared = kind === 'SharedUint8Array';
  const memory = shared ? new SharedArrayBuffer(padded.length) : new ArrayBuffer(padded.length);
  new Uint8Array(memory).set(padded);
  if (kind === 'ArrayBuffer') return memory;
  if (kind === 'Uint16Array') return new Uint16Array(memory, 8, length / 2);
  if (kind === 'Float64Array') return new Float64Array(memory, 8, length / 8);
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
