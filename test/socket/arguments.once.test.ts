// Wrong arguments: what node:dgram throws, ksocket throws. Each case runs against both and the errors are compared.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { inspect, isDeepStrictEqual } from 'node:util';
import * as ksocket from 'ksocket';
import { bound, closed } from '../support/peer.js';
import { test } from '../support/test.js';

// biome-ignore lint/suspicious/noExplicitAny: wrong types are the point
type Any = any;
type Implementation = { createSocket: (...args: Any[]) => Any };

/** What a call comes to: whether it throws, and all that can be seen of what it throws. */
function outcome(body: () => unknown): Record<string, unknown> {
  try {
    body();
    return { threw: false };
  } catch (caught) {
    const error = caught as Any;
    return {
      threw: true,
      class: [TypeError, RangeError, Error].find((Class) => error instanceof Class)?.name,
      name: error.name,
      message: error.message,
      code: error.code,
      stackBegins: error.stack.split('\n')[0],
      ownKeys: Object.keys(error),
      syscall: error.syscall,
      errno: error.errno,
      address: error.address,
      port: error.port,
      info: error.info,
    };
  }
}

/** Compares the two in many cases and reports all that differ. */
class Comparison implements Disposable {
  readonly #differences: string[] = [];

  /** `throws`: whether node:dgram does, so that a case which tests nothing is noticed. */
  same(body: (implementation: Implementation) => unknown, throws: boolean, name: string): void {
    const expected = outcome(() => body(dgram));
    const actual = outcome(() => body(ksocket));
    if (expected.threw !== throws)
      this.#differences.push(`${name}: node:dgram ${throws ? 'does not throw' : 'throws'}`);
    for (const [key, value] of Object.entries(expected)) {
      if (isDeepStrictEqual(actual[key], value)) continue;
      this.#differences.push(`${name}: ${key} is ${inspect(actual[key])}, node:dgram has ${inspect(value)}`);
    }
  }

  [Symbol.dispose](): void {
    if (this.#differences.length > 0) assert.fail(this.#differences.join('\n'));
  }
}

function describe(value: unknown): string {
  return typeof value === 'function'
    ? 'function'
    : `${typeof value} ${Object.prototype.toString.call(value)} ${String(typeof value === 'symbol' ? 'symbol' : JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}n` : v)))}`;
}

test('createSocket() refuses what is no socket type as node:dgram does', () => {
  using cases = new Comparison();
  const bad = [
    undefined,
    null,
    '',
    'udp',
    'UDP4',
    'udp5',
    4,
    [],
    ['udp4'],
    {},
    { type: 'udp' },
    { type: null },
    new String('udp4'),
    Symbol('x'),
    () => {},
  ];
  for (const type of bad) cases.same(({ createSocket }) => createSocket(type), true, `type ${describe(type)}`);
  for (const type of ['udp4', 'udp6', { type: 'udp4' }, { type: 'udp6' }]) {
    cases.same(({ createSocket }) => createSocket(type), false, `type ${describe(type)}`);
  }
});

test('createSocket() refuses wrong options as node:dgram does', () => {
  using cases = new Comparison();
  const bad: Record<string, unknown[]> = {
    lookup: [null, 'name', 1, {}, true, Symbol('x')],
    recvBufferSize: ['1000', {}, true, -1, 1.5, Infinity, 2 ** 32, 2 ** 40, Symbol('x')],
    sendBufferSize: ['1000', [], -1, 0.5, Number.MAX_SAFE_INTEGER],
    signal: [null, {}, 'signal', 1, new EventTarget()],
  };
  for (const [option, values] of Object.entries(bad)) {
    for (const value of values) {
      cases.same(
        ({ createSocket }) => createSocket({ type: 'udp4', [option]: value }),
        true,
        `${option} ${describe(value)}`,
      );
    }
  }
  const good: Record<string, unknown[]> = {
    lookup: [undefined, () => {}],
    recvBufferSize: [undefined, null, 0, 1, 4096, 2 ** 32 - 1, NaN, ''],
    sendBufferSize: [undefined, null, 0, 1, 4096, 2 ** 32 - 1, NaN, ''],
    signal: [undefined, new AbortController().signal],
    reuseAddr: [undefined, true, false, 1, 'yes'],
    ipv6Only: [undefined, true, false],
  };
  for (const [option, values] of Object.entries(good)) {
    for (const value of values) {
      cases.same(
        ({ createSocket }) => createSocket({ type: 'udp4', [option]: value }),
        false,
        `${option} ${describe(value)}`,
      );
    }
  }
});

/** Arguments of send() on a socket that is bound and not connected. */
const badSends: unknown[][] = [
  [],
  [undefined],
  [null, 1, '127.0.0.1'],
  [undefined, 1],
  [5, 9],
  [true, 9],
  [{}, 9],
  [() => {}, 9],
  [Symbol('x'), 9],
  [new ArrayBuffer(4), 9],
  [new SharedArrayBuffer(4), 9],
  [10n, 9],
  [[1], 9],
  [['a', null], 9],
  [[new ArrayBuffer(2)], 9],
  [[[]], 9],
  ['x'],
  ['x', undefined],
  ['x', null],
  ['x', 0],
  ['x', -1],
  ['x', 65536],
  ['x', 1.5],
  ['x', Number.NaN],
  ['x', Infinity],
  ['x', ''],
  ['x', ' '],
  ['x', 'port'],
  ['x', '-1'],
  ['x', '65536'],
  ['x', '1.5'],
  ['x', {}],
  ['x', []],
  ['x', [9]],
  ['x', true],
  ['x', () => {}],
  ['x', 9n],
  ['x', Symbol('x')],
  ['x', 9, 5],
  ['x', 9, {}],
  ['x', 9, []],
  ['x', 9, true],
  ['x', 9, false],
  ['x', 9, 0],
  ['x', 9, Number.NaN],
  ['x', 9, Symbol('x')],
  ['abc', 4, 0, 9],
  ['abc', 0, 4, 9],
  ['abc', 2, 2, 9, '127.0.0.1'],
  ['abc', -1, 1, 9, '127.0.0.1'],
  ['abc', 0, -1, 9, '127.0.0.1'],
  ['é', 0, 3, 9],
  [Buffer.alloc(4), 5, 0, 9],
  [Buffer.alloc(4), 0, 5, 9],
  [Buffer.alloc(4), 4, 1, 9],
  [new Uint16Array(2), 0, 5, 9],
  [['abc'], 0, 3, 9],
  [{}, 0, 3, 9],
  [new ArrayBuffer(3), 0, 3, 9],
  [null, 0, 0, 9],
  ['abc', 0, 3],
  ['abc', 0, 3, 0],
  ['abc', 0, 3, null],
  ['abc', 0, 3, 65536],
  ['abc', 0, 3, -1, '127.0.0.1'],
  ['abc', 0, 3, {}],
  ['abc', 0, 3, 9, 5],
  ['abc', 0, 3, 9, {}],
  ['abc', undefined, undefined, 0, '127.0.0.1'],
];

async function withSockets(body: (sockets: Map<Implementation, Any>) => Promise<void> | void): Promise<void> {
  const sockets = new Map<Implementation, Any>([
    [dgram, dgram.createSocket('udp4')],
    [ksocket, ksocket.createSocket('udp4')],
  ]);
  try {
    await body(sockets);
  } finally {
    for (const socket of sockets.values()) await closed(socket).catch(() => {});
  }
}

test('send() on an unconnected socket refuses wrong arguments as node:dgram does', async () => {
  using cases = new Comparison();
  await withSockets(async (sockets) => {
    for (const socket of sockets.values()) await bound(socket);
    for (const args of badSends) {
      cases.same((implementation) => sockets.get(implementation).send(...args), true, `send(${args.map(describe)})`);
    }
  });
});

test('send() on a connected socket refuses wrong arguments as node:dgram does', async () => {
  using cases = new Comparison();
  await withSockets(async (sockets) => {
    const port = await bound(sockets.get(dgram));
    for (const socket of sockets.values()) {
      socket.connect(port, '127.0.0.1');
      await once(socket, 'connect');
    }
    const bad: unknown[][] = [
      [],
      [null],
      [5],
      [{}],
      [new ArrayBuffer(3)],
      [[1]],
      ['abc', 0, 4],
      ['abc', 4, 0],
      ['abc', 0, 3, 9],
      ['abc', 0, 3, 9, '127.0.0.1'],
      ['abc', 0, 3, null, '127.0.0.1'],
      ['abc', 9, '127.0.0.1', 1],
      ['abc', 9, '127.0.0.1', 'x', 'y'],
    ];
    for (const args of bad) {
      cases.same((implementation) => sockets.get(implementation).send(...args), true, `send(${args.map(describe)})`);
    }
    const again: unknown[][] = [[port, '127.0.0.1'], [port]];
    for (const args of again)
      cases.same((implementation) => sockets.get(implementation).connect(...args), true, 'connect again');
  });
});

test('connect() refuses wrong arguments as node:dgram does', async () => {
  using cases = new Comparison();
  const bad: unknown[][] = [
    [],
    [undefined],
    [null],
    [0],
    [-1],
    [65536],
    [1.5],
    ['x'],
    [{}],
    [true],
    [9, 5],
    [9, null],
    [9, {}],
    [9, true],
  ];
  await withSockets((sockets) => {
    for (const args of bad) {
      cases.same(
        (implementation) => sockets.get(implementation).connect(...args),
        true,
        `connect(${args.map(describe)})`,
      );
    }
    cases.same((implementation) => sockets.get(implementation).disconnect(), true, 'disconnect() when not connected');
    cases.same(
      (implementation) => sockets.get(implementation).remoteAddress(),
      true,
      'remoteAddress() when not connected',
    );
  });
});

test('a socket that was never bound says so as node:dgram does', async () => {
  using cases = new Comparison();
  await withSockets((sockets) => {
    const bad: [string, ...unknown[]][] = [
      ['address'],
      ['setBroadcast', true],
      ['setTTL', 16],
      ['setTTL', 'x'],
      ['setMulticastTTL', 16],
      ['setMulticastTTL', null],
      ['setMulticastLoopback', true],
      ['getRecvBufferSize'],
      ['getSendBufferSize'],
      ['setRecvBufferSize', 4096],
      ['setSendBufferSize', 4096],
    ];
    for (const [method, ...args] of bad) {
      cases.same(
        (implementation) => sockets.get(implementation)[method](...args),
        true,
        `${method}(${args.map(describe)})`,
      );
    }
  });
});

test('options of a bound socket refuse wrong values as node:dgram does', async () => {
  using cases = new Comparison();
  await withSockets(async (sockets) => {
    for (const socket of sockets.values()) await bound(socket);
    const bad: [string, ...unknown[]][] = [
      ['bind', 0],
      ['setTTL', 0],
      ['setTTL', 256],
      ['setTTL', -1],
      ['setTTL', 1000],
      ['setTTL', '16'],
      ['setTTL', null],
      ['setTTL'],
      ['setMulticastTTL', 256],
      ['setMulticastTTL', -1],
      ['setMulticastTTL', 'x'],
    ];
    for (const size of [
      -1,
      Infinity,
      Number.NaN,
      'x',
      '9000',
      1.5,
      null,
      undefined,
      {},
      2 ** 32,
      2 ** 31,
      2 ** 32 - 1,
    ]) {
      bad.push(['setRecvBufferSize', size], ['setSendBufferSize', size]);
    }
    for (const [method, ...args] of bad) {
      cases.same(
        (implementation) => sockets.get(implementation)[method](...args),
        true,
        `${method}(${args.map(describe)})`,
      );
    }
    const good: [string, ...unknown[]][] = [
      ['setTTL', 1],
      ['setTTL', 255],
      ['setMulticastTTL', 0],
      ['setMulticastTTL', 255],
      ['setMulticastLoopback', false],
      ['setBroadcast', true],
      ['setRecvBufferSize', 16384],
      ['setRecvBufferSize', 0],
      ['setSendBufferSize', 16384],
    ];
    for (const [method, ...args] of good) {
      cases.same(
        (implementation) => sockets.get(implementation)[method](...args),
        false,
        `${method}(${args.map(describe)})`,
      );
      assert.deepEqual(sockets.get(ksocket)[method](...args), sockets.get(dgram)[method](...args), `${method} returns`);
    }
  });
});

test('a closed socket refuses as node:dgram does', async () => {
  using cases = new Comparison();
  for (const wasBound of [false, true]) {
    await withSockets(async (sockets) => {
      for (const socket of sockets.values()) {
        if (wasBound) await bound(socket);
        await closed(socket);
      }
      const refused: [string, ...unknown[]][] = [
        ['close'],
        ['bind'],
        ['bind', 0],
        ['address'],
        ['remoteAddress'],
        ['send', 'x', 9, '127.0.0.1'],
        ['send', 'x', 0, 1, 9, '127.0.0.1'],
      ];
      for (const [method, ...args] of refused) {
        cases.same((implementation) => sockets.get(implementation)[method](...args), true, `${method} after close`);
      }
      for (const method of ['ref', 'unref']) {
        cases.same((implementation) => sockets.get(implementation)[method](), false, `${method} after close`);
        assert.equal(sockets.get(ksocket)[method](), sockets.get(ksocket));
      }
    });
  }
});

test('methods return what node:dgram’s return', async () => {
  await withSockets(async (sockets) => {
    for (const socket of sockets.values()) {
      assert.equal(socket.ref(), socket);
      assert.equal(socket.unref(), socket);
      assert.equal(socket.ref(), socket);
      const listening = once(socket, 'listening');
      assert.equal(socket.bind(0, '127.0.0.1'), socket);
      await listening;
      assert.equal(socket.send('x', socket.address().port, '127.0.0.1'), undefined);
      assert.equal(socket.connect(socket.address().port, '127.0.0.1'), undefined);
      await once(socket, 'connect');
      assert.equal(socket.disconnect(), undefined);
      assert.equal(socket.getSendQueueSize(), 0);
      assert.equal(socket.getSendQueueCount(), 0);
      const done = once(socket, 'close');
      assert.equal(socket.close(), socket);
      await done;
    }
  });
});

test('an error is written as node:dgram’s is', async () => {
  await withSockets((sockets) => {
    const texts = [dgram, ksocket].map((implementation) => {
      const text = (body: () => void) => {
        try {
          body();
        } catch (error) {
          return [String(error), inspect(error).split('\n')[0]];
        }
      };
      const socket = sockets.get(implementation);
      return [
        text(() => (implementation as Implementation).createSocket('x')),
        text(() => socket.send('x', 0)),
        text(() => socket.send('x', 0, 9, 9)),
        text(() => socket.disconnect()),
        text(() => socket.address()),
        text(() => socket.getRecvBufferSize()),
      ];
    });
    assert.deepEqual(texts[1], texts[0]);
  });
});
