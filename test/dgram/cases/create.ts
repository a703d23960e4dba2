// dgram-contract.md, "Module and constructor".
import { inspect } from 'node:util';
import { bound, type Context, call, cb, feed, js, listen, portOf, type Script, script, tick } from '../script.js';

/** What a call comes to, for the trace. */
function outcome({ log }: Context, name: string, body: () => unknown): void {
  try {
    log(name, 'returns', body());
  } catch (error) {
    log(name, 'throws', error);
  }
}

/** Tries createSocket with each argument. */
const creating = (first: () => unknown[]) =>
  js('createSocket', (context) => {
    for (const argument of first()) {
      outcome(context, inspect(argument), () => {
        const socket = context.module.createSocket(argument);
        socket.close();
        return socket.type;
      });
    }
  });

const odd = (): unknown[] => [
  undefined,
  null,
  true,
  false,
  0,
  5,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  '',
  'text',
  "it's a long text, and longer than what fits",
  10n,
  Symbol('s'),
  () => {},
  function named() {},
  class Named {},
  {},
  [],
  new Date(0),
  Object.create(null),
  new (class extends Array {})(),
  /x/,
  new Map(),
  { constructor: { name: '' } },
];

export const createCases: Record<string, Script> = {
  types: script(
    [],
    [
      creating(() => [
        ...odd(),
        'udp4',
        'udp6',
        'UDP4',
        'udp',
        'udp5',
        new String('udp4'),
        { type: 'udp4' },
        { type: 'UDP6' },
        { type: new String('udp4') },
        { type: null },
        ['udp4'],
        Object.assign([], { type: 'udp4' }),
        Object.create({ type: 'udp6' }),
      ]),
    ],
  ),
  ...Object.fromEntries(
    ['lookup', 'recvBufferSize', 'sendBufferSize', 'signal', 'reuseAddr', 'ipv6Only', 'unknown'].map((name) => [
      `option ${name}`,
      script([], [creating(() => odd().map((value) => ({ type: 'udp4', [name]: value })))]),
    ]),
  ),
  'which of several wrong options is reported': script(
    [],
    [
      creating(() => [
        { type: 'x', lookup: null },
        { type: 'x', recvBufferSize: 'x' },
        { type: 'x', sendBufferSize: 'x', recvBufferSize: 'y' },
        { type: 'x', signal: null },
        { type: 'udp4', signal: null, lookup: null },
        { type: 'udp4', lookup: null, sendBufferSize: 1.5 },
        { signal: null },
      ]),
    ],
  ),
  'signals that are none': script(
    [],
    [
      creating(() => [
        { type: 'udp4', signal: { aborted: false } },
        { type: 'udp4', signal: { aborted: true } },
        { type: 'udp4', signal: Object.assign(new EventTarget(), { aborted: false }) },
        { type: 'udp4', signal: AbortSignal },
        { type: 'udp4', signal: AbortSignal.abort() },
      ]),
    ],
  ),
  'an abort': script(
    [
      { options: { type: 'udp4' }, signal: 'fresh' },
      { options: { type: 'udp4' }, signal: 'fresh' },
      { options: { type: 'udp4' }, signal: 'fresh' },
      { options: { type: 'udp4' }, signal: 'fresh' },
    ],
    [bound(0), call(1, 'send', 'x', portOf('peer4'), '127.0.0.1', cb()), { abort: 1 }, bound(2)],
    [{ abort: 0 }, tick(), call(0, 'address'), { abort: 0 }],
    [call(2, 'close'), { abort: 2 }, tick({ abort: 2 })],
    [listen(3, 'listening', { abort: 3 }), bound(3), call(3, 'address')],
  ),
  'an abort before': script(
    [
      { options: { type: 'udp4' }, signal: 'aborted' },
      { options: { type: 'udp4' }, signal: 'aborted' },
    ],
    [call(0, 'bind', cb()), call(1, 'close'), call(0, 'send', 'x', 9), tick(), call(0, 'ref'), call(0, 'unref')],
  ),
  'the abort listener goes with the socket': script(
    [],
    [
      js('listeners', ({ module, log }) => {
        const signal = new AbortController().signal;
        const counts: string[] = [];
        for (const name of ['addEventListener', 'removeEventListener'] as const) {
          const original = signal[name].bind(signal);
          signal[name] = ((type: string, ...rest: [never]) => {
            counts.push(`${name} ${type}`);
            return original(type, ...rest);
          }) as never;
        }
        const socket = module.createSocket({ type: 'udp4', signal });
        socket.close(() => log(...counts));
        log(...counts);
      }),
    ],
  ),
  'new, no new, inheritance': script(
    [],
    [
      js('Socket', (context) => {
        const { Socket, createSocket } = context.module;
        const test = (name: string, body: () => unknown) => outcome(context, name, body);
        test('new Socket', () => new Socket('udp4') instanceof Socket);
        test('new createSocket', () => new createSocket('udp6') instanceof Socket);
        test('Socket.call', () => {
          function Old(this: object) {
            Socket.call(this, 'udp4');
          }
          Old.prototype = Object.create(Socket.prototype);
          // biome-ignore lint/suspicious/noExplicitAny: an old program
          const old = new (Old as any)();
          return [old.type, old instanceof Socket, Object.keys(old), typeof old.bind];
        });
        test('class', () => {
          class Newer extends (Socket as new (options: object) => { type: string }) {}
          const newer = new Newer({ type: 'udp6' });
          return [newer.type, newer instanceof Socket, Object.getPrototypeOf(newer) === Newer.prototype];
        });
        test('no new', () => Socket('udp4'));
        test('Socket.call without inheritance', () => Socket.call({}, 'udp4'));
        test('listener', () => createSocket('udp4', () => {}).listenerCount('message'));
        for (const listener of [null, 5, 'x', {}]) {
          test('no listener', () => createSocket('udp4', listener).listenerCount('message'));
        }
        test('own keys', () => Object.keys(createSocket('udp4')));
        test('own keys with options', () => Object.keys(createSocket({ type: 'udp4', reuseAddr: true })));
        test('type is writable', () => Object.assign(createSocket('udp4'), { type: 'other' }).type);
        test('function', () => [typeof Socket, Socket.name, Socket.length, createSocket.name, createSocket.length]);
      }),
    ],
  ),
  'the prototype': script(
    [],
    [
      js('Socket.prototype', ({ module, log }) => {
        const { Socket } = module;
        const prototype = Socket.prototype;
        // Node ≤ 24 has deprecated properties too: docs/compatibility.md.
        const names = Object.keys(prototype).filter(
          (name) =>
            !/^_|^(peer|sendMany|setSendDefaults|stats|[gs]etsockopt|pathMtu|setMtuDiscover|filter|shard|setShards|handOver|takeOver)$/.test(
              name,
            ),
        );
        const bySync = names.filter((name) => !name.endsWith('Sync')).sort();
        for (const name of bySync) {
          const { enumerable, writable, configurable } = Object.getOwnPropertyDescriptor(prototype, name) ?? {};
          log(name, typeof prototype[name], prototype[name].length, enumerable, writable, configurable);
        }
        log(prototype.constructor === Socket, Object.keys(prototype).includes('constructor'));
        log(typeof prototype[Symbol.asyncDispose], Object.prototype.toString.call(prototype));
      }),
    ],
  ),
  'buffer sizes in the options': script(
    [
      { type: 'udp4', recvBufferSize: 10000, sendBufferSize: 11000 },
      { type: 'udp6', recvBufferSize: 1, sendBufferSize: 1 },
      { type: 'udp4', recvBufferSize: 0, sendBufferSize: null },
      { type: 'udp4', recvBufferSize: 2 ** 31 - 1, sendBufferSize: 2 ** 30 },
    ],
    [0, 1, 2, 3].flatMap((on) => [
      listen(on, 'listening', call(on, 'getRecvBufferSize'), call(on, 'getSendBufferSize')),
      call(on, 'bind', 0, cb(call(on, 'getRecvBufferSize'))),
    ]),
    [0, 1, 2, 3].flatMap((on) => [call(on, 'getRecvBufferSize'), call(on, 'getSendBufferSize')]),
  ),
  'a listener given to createSocket': script(
    ['udp4'],
    [
      js('createSocket', (context) => {
        const socket = context.module.createSocket('udp4', function (this: unknown, data: Buffer, rinfo: object) {
          context.log('received', data, rinfo, this === socket);
          socket.close();
        });
        context.sockets[0].close();
        context.sockets[0] = socket;
        socket.bind(0, '127.0.0.1');
      }),
    ],
    [feed(0, 'hello')],
  ),
};
