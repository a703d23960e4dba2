// The language of the differential tests: a script is what a program does with sockets, as data, so that it can be run
// against two implementations, printed, generated and shrunk.
import { inspect } from 'node:util';

/** An argument. What no literal can be is an object with a `$`. */
export type Value =
  | undefined
  | null
  | boolean
  | number
  | string
  | bigint
  | symbol
  | { $: 'callback'; then: Op[] }
  /** The port of socket `of`, or of a peer. 9 while there is none. */
  | { $: 'port'; of: number | PeerName }
  /** `change`: what becomes of its memory when the call has returned. node:dgram, which would send that, is given a copy:
   * docs/compatibility.md. */
  | { $: 'view'; kind: ViewKind; text: string; change?: Change }
  | { $: 'list'; of: Value[] }
  | { $: 'object'; of: Record<string, Value> }
  /** Anything else, by the name in the trace. */
  | { $: 'made'; make: (context: Context) => unknown };

export const viewKinds = [
  'Buffer',
  'Uint8Array',
  'Uint16Array',
  'Float64Array',
  'DataView',
  'SharedUint8Array',
  'ArrayBuffer',
] as const;
export type ViewKind = (typeof viewKinds)[number];

export const changes = ['overwritten', 'transferred', 'shrunk'] as const;
export type Change = (typeof changes)[number];

/** `peer`: a plain one. `witness`: one that says of each datagram what its hop limit was. */
export type PeerName = 'peer4' | 'peer6' | 'witness4' | 'witness6';

export type Op =
  /** A method of a socket. */
  | { call: string; on: number; args: Value[] }
  | { defer: 'tick' | 'microtask' | 'immediate'; ops: Op[] }
  /** Does `ops` at the next `count` events. */
  | { listen: string; on: number; count: number; ops: Op[] }
  /** The plain peer sends datagrams to the socket. */
  | { feed: number; texts: string[] }
  | { abort: number }
  /** Fake timers are installed, or taken away; at the latest when the script's turn, or the listener, has ended. */
  | { fakes: boolean }
  /** Nothing else happens for so many milliseconds. */
  | { block: number }
  /** Hand-written scripts may do anything. */
  | { name: string; run: (context: Context) => unknown };

export type LookupKind =
  | 'sync'
  | 'tick'
  | 'immediate'
  | 'failing sync'
  | 'failing'
  | 'never'
  | 'other family'
  | 'undefined'
  | 'number'
  | 'throwing';

export interface SocketPlan {
  /** createSocket's first argument, but for what is below. */
  options: Record<string, Value>;
  lookup?: LookupKind;
  signal?: 'fresh' | 'aborted';
  /** What is listened to and recorded; everything by default. */
  events?: readonly string[];
}

/** Between two steps nothing is under way any more. */
export interface Script {
  sockets: SocketPlan[];
  steps: Op[][];
}

/** What operations written in TypeScript see. */
export interface Context {
  // biome-ignore lint/suspicious/noExplicitAny: either implementation's, and called in wrong ways
  readonly module: any;
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly sockets: any[];
  /** Writes to the trace. */
  log(...entry: unknown[]): void;
  /** The next step waits until this is true. */
  until(condition: () => boolean): void;
  /** How many entries the trace has with this event of this socket. */
  count(socket: number, event: string): number;
  port(of: number | PeerName): number;
  /** Runs at the end of the script. */
  after(body: () => void): void;
}

// ---- how scripts are written by hand

export const events = ['message', 'listening', 'connect', 'error', 'close'] as const;

export const call = (on: number, method: string, ...args: Value[]): Op => ({ call: method, on, args });
export const cb = (...then: Op[]): Value => ({ $: 'callback', then });
export const tick = (...ops: Op[]): Op => ({ defer: 'tick', ops });
export const microtask = (...ops: Op[]): Op => ({ defer: 'microtask', ops });
export const immediate = (...ops: Op[]): Op => ({ defer: 'immediate', ops });
export const listen = (on: number, event: string, ...ops: Op[]): Op => ({ listen: event, on, count: 1, ops });
export const listenAlways = (on: number, event: string, ...ops: Op[]): Op => ({
  listen: event,
  on,
  count: Number.POSITIVE_INFINITY,
  ops,
});
export const feed = (on: number, ...texts: string[]): Op => ({ feed: on, texts });
export const js = (name: string, run: (context: Context) => unknown): Op => ({ name, run });
export const portOf = (of: number | PeerName): Value => ({ $: 'port', of });
export const view = (kind: ViewKind, text: string, change?: Change): Value => ({ $: 'view', kind, text, change });
export const list = (...of: Value[]): Value => ({ $: 'list', of });
export const object = (of: Record<string, Value>): Value => ({ $: 'object', of });
export const made = (make: (context: Context) => unknown): Value => ({ $: 'made', make });
export const bound = (on: number, address = '127.0.0.1'): Op => call(on, 'bind', 0, address);

export function script(sockets: (string | Record<string, Value> | SocketPlan)[], ...steps: Op[][]): Script {
  return {
    sockets: sockets.map((plan) => {
      if (typeof plan === 'string') return { options: { type: plan } };
      return 'options' in plan ? (plan as SocketPlan) : { options: plan as Record<string, Value> };
    }),
    steps,
  };
}

export function print(given: Script): string {
  return inspect(given, { depth: 20, breakLength: 110 });
}
