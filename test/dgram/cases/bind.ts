// dgram-contract.md, "bind" and "close, ref, dispose".
import {
  bound,
  call,
  cb,
  immediate,
  js,
  listen,
  made,
  microtask,
  object,
  portOf,
  type Script,
  script,
  tick,
} from '../script.js';

const ports: [string, Parameters<typeof call>[2]][] = [
  ['nothing', undefined],
  ['null', null],
  ['NaN', Number.NaN],
  ['0', 0],
  ['text', '0'],
  ['no number', 'port'],
  ['false', false],
  ['65536', 65536],
  ['-65536', -65536],
  ['half', 0.5],
];

export const bindCases: Record<string, Script> = {
  'bind() and its forms': script(
    ['udp4', 'udp4', 'udp4', 'udp4', 'udp4', 'udp6', 'udp6'],
    [
      call(0, 'bind'),
      call(1, 'bind', cb()),
      call(2, 'bind', 0, cb()),
      call(3, 'bind', 0, '127.0.0.1', cb()),
      call(4, 'bind', object({ port: 0, address: '127.0.0.1' }), cb()),
      call(5, 'bind', 0, '::1', cb()),
      call(6, 'bind', object({ port: 0 }), cb()),
      tick(),
      microtask(),
      immediate(),
    ],
    [0, 1, 2, 3, 4, 5, 6].map((on) => call(on, 'address')),
  ),
  'bind(): which argument is the callback': script(
    ['udp4', 'udp4', 'udp4', 'udp4', 'udp4', 'udp4', 'udp4'],
    [
      call(0, 'bind', cb(), undefined),
      call(1, 'bind', 0, cb(), undefined),
      call(2, 'bind', 0, cb(), cb()),
      call(3, 'bind', 0, '127.0.0.1', 'x', cb()),
      call(4, 'bind', 0, '127.0.0.1', null),
      call(5, 'bind', object({ port: 0, address: '127.0.0.1' }), cb(), cb()),
      call(6, 'bind', undefined, undefined, cb()),
    ],
    [0, 1, 2, 3, 4, 5, 6].map((on) => call(on, 'address')),
  ),
  ...Object.fromEntries(
    ports.map(([name, port]) => [
      `bind() to port ${name}`,
      script(
        ['udp4', 'udp4', 'udp4'],
        [call(0, 'bind', port, '127.0.0.1'), call(1, 'bind', object({ port, address: '127.0.0.1' }))],
        [call(0, 'address'), call(1, 'address'), call(2, 'bind', port, '192.0.2.77', cb())],
      ),
    ]),
  ),
  'bind() wraps the port': script(
    ['udp4', 'udp4', 'udp4', 'udp4'],
    [call(0, 'bind', 65536 + 7431, '127.0.0.1'), call(1, 'bind', 7432 - 65536, '127.0.0.1')],
    [call(0, 'address'), call(1, 'address')],
    // The error has the port as it was given.
    [call(2, 'bind', 65536 + 7431, '127.0.0.1'), call(3, 'bind', '7432', '127.0.0.1')],
  ),
  'bind() twice': script(
    ['udp4'],
    [bound(0), bound(0), call(0, 'bind', object({ fd: 5 })), call(0, 'bind', cb())],
    [bound(0), call(0, 'address')],
  ),
  'bind() to what is in use': script(
    ['udp4', 'udp4', 'udp4', { options: { type: 'udp4' }, events: ['error', 'listening'] }],
    [
      call(0, 'bind', portOf('peer4'), '127.0.0.1', cb()),
      call(1, 'bind', portOf('peer4'), '127.0.0.1', cb()),
      call(2, 'bind', object({ port: portOf('peer4'), address: '127.0.0.1' })),
    ],
    // And again: the callback of before is gone.
    [call(0, 'bind', portOf('peer4'), '127.0.0.1'), listen(1, 'error', call(1, 'bind', 0, '127.0.0.1', cb()))],
    [call(0, 'bind', 0, '127.0.0.1', cb()), call(1, 'bind', portOf('peer4'), '127.0.0.1')],
    [
      call(0, 'address'),
      call(1, 'address'),
      call(2, 'close'),
      call(0, 'send', 'x', portOf('peer4'), '127.0.0.1', cb()),
    ],
  ),
  'bind() to no address of this machine': script(
    ['udp4', 'udp6', 'udp4', 'udp6'],
    [
      call(0, 'bind', 0, '192.0.2.77', cb()),
      call(1, 'bind', 0, '2001:db8::77', cb()),
      call(2, 'bind', 7433, '192.0.2.77', cb()),
      call(3, 'bind', 7433, '2001:db8::77', cb()),
    ],
  ),
  'bind() to an address of the other family': script(
    ['udp4', 'udp6', 'udp6'],
    [call(0, 'bind', 0, '::1', cb()), call(1, 'bind', 0, '127.0.0.1', cb()), call(2, 'bind', 0, '::ffff:127.0.0.1')],
  ),
  'a failed bind() without an error listener': script(
    [
      { options: { type: 'udp4' }, events: ['listening', 'close'] },
      { options: { type: 'udp4' }, events: ['listening', 'close'] },
    ],
    [call(0, 'bind', portOf('peer4'), '127.0.0.1', cb())],
    [call(1, 'bind', portOf('peer4'), '127.0.0.1')],
    [call(0, 'bind', 0, '127.0.0.1'), call(1, 'bind', 0, '127.0.0.1')],
  ),
  'twenty failed binds warn of no leak': script(
    ['udp4'],
    ...Array.from({ length: 20 }, () => [call(0, 'bind', portOf('peer4'), '127.0.0.1', cb())]),
    [
      js('listeners', ({ sockets }) => [sockets[0].listenerCount('error'), sockets[0].listenerCount('listening')]),
      bound(0),
    ],
    [js('listeners', ({ sockets }) => [sockets[0].listenerCount('error'), sockets[0].listenerCount('listening')])],
  ),
  'what a failed bind() leaves': script(
    ['udp4', 'udp4'],
    [call(0, 'bind', portOf('peer4'), '127.0.0.1', cb())],
    [
      call(0, 'address'),
      call(0, 'setTTL', 5),
      call(0, 'getRecvBufferSize'),
      call(0, 'remoteAddress'),
      call(0, 'getSendQueueCount'),
    ],
  ),
  'the order of listeners and ticks after bind()': script(
    ['udp4'],
    [
      tick(),
      microtask(),
      listen(0, 'listening', tick(), microtask()),
      call(0, 'bind', 0, '127.0.0.1', cb(tick(), microtask(), immediate())),
      listen(0, 'listening', call(0, 'address')),
      tick(tick()),
      microtask(microtask()),
    ],
  ),
  'close() while bind() is under way': script(
    ['udp4', 'udp4', 'udp4', 'udp4'],
    [call(0, 'bind', 0, '127.0.0.1', cb()), call(0, 'close', cb()), call(0, 'close', cb())],
    [call(1, 'bind', 0, '127.0.0.1'), tick(call(1, 'close'))],
    [call(2, 'bind', 0, 'localhost', cb()), call(2, 'close'), tick(), microtask()],
    [call(3, 'bind', portOf('peer4'), '127.0.0.1', cb()), call(3, 'close')],
  ),
  'close() in the listening listener': script(
    ['udp4'],
    [
      listen(0, 'listening', call(0, 'close'), call(0, 'close')),
      call(0, 'bind', 0, '127.0.0.1', cb(call(0, 'address'))),
    ],
  ),
  'close() and its callback': script(
    ['udp4', 'udp4', 'udp4', 'udp4', 'udp4'],
    [
      call(0, 'close', cb()),
      call(1, 'close', 5),
      call(2, 'close', null, cb()),
      call(3, 'close', object({})),
      bound(4),
      tick(),
      microtask(),
    ],
    [call(4, 'close', cb(call(4, 'close', cb()))), tick(), microtask(), call(4, 'close')],
  ),
  'everything after close()': script(
    ['udp4', 'udp4'],
    [bound(0)],
    [call(0, 'close'), call(1, 'close')],
    [0, 1].flatMap((on) => [
      call(on, 'bind'),
      call(on, 'bind', object({ fd: 3 })),
      call(on, 'close'),
      call(on, 'address'),
      call(on, 'remoteAddress'),
      call(on, 'send', 'x', 9, '127.0.0.1', cb()),
      call(on, 'send', 'x', 0),
      call(on, 'send', 5, 9),
      call(on, 'send', 'x', 0, 1, 9, '127.0.0.1', cb()),
      call(on, 'sendto', 'x', 0, 1, 9, '127.0.0.1', cb()),
      call(on, 'connect', 0),
      call(on, 'connect', 9, '127.0.0.1', cb()),
      call(on, 'connect', 9, '127.0.0.1', cb()),
      call(on, 'disconnect'),
      call(on, 'setTTL', 5),
      call(on, 'setTTL', 'x'),
      call(on, 'setTTL', 0),
      call(on, 'setMulticastTTL', 5),
      call(on, 'setMulticastLoopback', true),
      call(on, 'setBroadcast', true),
      call(on, 'setMulticastInterface', '127.0.0.1'),
      call(on, 'setMulticastInterface', 5),
      call(on, 'addMembership', '224.0.0.114'),
      call(on, 'addMembership'),
      call(on, 'dropMembership', '224.0.0.114'),
      call(on, 'addSourceSpecificMembership', '127.0.0.1', '232.1.1.1'),
      call(on, 'addSourceSpecificMembership', 5, '232.1.1.1'),
      call(on, 'dropSourceSpecificMembership', '127.0.0.1', '232.1.1.1'),
      call(on, 'getRecvBufferSize'),
      call(on, 'getSendBufferSize'),
      call(on, 'setRecvBufferSize', 4096),
      call(on, 'setRecvBufferSize', -1),
      call(on, 'setSendBufferSize', 4096),
      call(on, 'getSendQueueSize'),
      call(on, 'getSendQueueCount'),
      call(on, 'ref'),
      call(on, 'unref'),
      js('dispose', ({ sockets, log }) => {
        sockets[on][Symbol.asyncDispose]().then((value: unknown) => log('disposed', value));
      }),
    ]),
  ),
  'disconnect() and connect() after close() of a connected socket': script(
    ['udp4'],
    [call(0, 'connect', portOf('peer4'), '127.0.0.1', cb())],
    [call(0, 'close'), call(0, 'disconnect'), call(0, 'remoteAddress'), call(0, 'send', 'x', cb())],
    [call(0, 'connect', portOf('peer4')), call(0, 'disconnect')],
  ),
  asyncDispose: script(
    ['udp4', 'udp4', 'udp4', 'udp4'],
    [
      bound(0),
      js('a fresh one', ({ sockets, log }) => {
        sockets[1][Symbol.asyncDispose]().then((value: unknown) => log('disposed 1', value));
      }),
      tick(),
      microtask(),
    ],
    [
      js('a bound one', ({ sockets, log }) => {
        sockets[0][Symbol.asyncDispose]().then((value: unknown) => log('disposed 0', value));
        sockets[0][Symbol.asyncDispose]().then((value: unknown) => log('disposed 0 again', value));
      }),
      tick(),
      microtask(),
    ],
    [
      call(2, 'send', 'x', portOf('peer4'), '127.0.0.1', cb()),
      js('one that waits for its bind', ({ sockets, log }) => {
        sockets[2][Symbol.asyncDispose]().then((value: unknown) => log('disposed 2', value));
      }),
    ],
  ),
  'ref() and unref() at any time': script(
    ['udp4'],
    [call(0, 'unref'), call(0, 'ref'), call(0, 'unref'), bound(0), call(0, 'unref')],
    [call(0, 'ref'), call(0, 'unref')],
    [call(0, 'close'), call(0, 'ref'), call(0, 'unref')],
  ),
  'bind() to a name': script(
    ['udp4', 'udp6'],
    [
      call(0, 'bind', 0, 'localhost', cb()),
      js('until', (context) => context.until(() => context.count(0, 'listening') > 0)),
    ],
    [call(0, 'address')],
  ),
  'bind() with strange addresses': script(
    ['udp4', 'udp4', 'udp4', 'udp4', 'udp6', 'udp4'],
    [
      call(0, 'bind', 0, ''),
      call(1, 'bind', 0, null),
      call(2, 'bind', object({ port: 0, address: null })),
      call(3, 'bind', object({ port: 0, address: '' })),
      call(4, 'bind', 0, '::1%lo'),
      call(5, 'bind', object({})),
    ],
    [0, 1, 2, 3, 4, 5].map((on) => call(on, 'address')),
  ),
  'bind() with addresses of the wrong type': script(
    ['udp4', 'udp4', 'udp4'],
    [call(0, 'bind', 0, 5), call(1, 'bind', 0, object({})), call(2, 'bind', object({ port: 0, address: true }))],
  ),
  'bind() with options that are odd': script(
    ['udp4', 'udp4', 'udp4', 'udp4'],
    [
      call(0, 'bind', object({ fd: 0, address: '127.0.0.1' })),
      call(1, 'bind', object({ fd: -1, address: '127.0.0.1' })),
      call(2, 'bind', object({ fd: '5', address: '127.0.0.1' })),
      call(3, 'bind', object({ fd: 1.5, address: '127.0.0.1', exclusive: 1 })),
    ],
    [0, 1, 2, 3].map((on) => call(on, 'address')),
  ),
  'a listener that throws in listening': script(
    ['udp4'],
    [
      listen(
        0,
        'listening',
        js('throw', () => {
          throw new Error('from a listener');
        }),
      ),
      call(0, 'bind', 0, '127.0.0.1', cb()),
      tick(),
      microtask(),
    ],
    [call(0, 'address'), call(0, 'send', 'x', portOf('peer4'), cb())],
  ),
  'bind() to an address in use, shared with reuseAddr': script(
    [
      { type: 'udp4', reuseAddr: true },
      { type: 'udp4', reuseAddr: true },
      { type: 'udp4' },
      { type: 'udp4', reuseAddr: 1 },
    ],
    [bound(0)],
    [call(1, 'bind', portOf(0), '127.0.0.1'), call(2, 'bind', portOf(0), '127.0.0.1')],
    [call(3, 'bind', object({ port: portOf(0), address: '127.0.0.1', exclusive: false }))],
    [0, 1, 2, 3].map((on) => call(on, 'address')),
  ),
  'udp6 with ipv6Only beside udp4': script(
    [{ type: 'udp6', ipv6Only: true }, 'udp4', { type: 'udp6' }, 'udp4'],
    [call(0, 'bind', 0, '::')],
    [call(1, 'bind', portOf(0), '0.0.0.0')],
    [call(2, 'bind', 0, '::')],
    [call(3, 'bind', portOf(2), '0.0.0.0')],
  ),
  'bind() with made arguments': script(
    ['udp4', 'udp4'],
    [
      call(
        0,
        'bind',
        made(() => Object.create(null)),
        cb(),
      ),
      call(
        1,
        'bind',
        made(() => [7, '127.0.0.1']),
      ),
    ],
    [call(0, 'address'), call(1, 'address')],
  ),
};
