// dgram-contract.md, "message", and what lookup functions can do.
import { isIPv6 } from 'node:net';
import {
  bound,
  call,
  cb,
  feed,
  immediate,
  js,
  type LookupKind,
  listen,
  listenAlways,
  microtask,
  type Op,
  portOf,
  type Script,
  script,
  tick,
} from '../script.js';

const peer = portOf('peer4');
const here = '127.0.0.1';

const throwing = js('throw', () => {
  throw new Error('from a listener');
});

const lookups: LookupKind[] = [
  'sync',
  'tick',
  'immediate',
  'failing sync',
  'failing',
  'never',
  'other family',
  'undefined',
  'number',
  'throwing',
];

/** Everything that looks something up. */
const lookingUp: Op[][] = [
  [call(0, 'bind', 0, here, cb()), tick(), microtask(), call(0, 'address')],
  [call(1, 'bind'), call(1, 'send', 'early', peer, 'localhost', cb()), tick()],
  [call(2, 'send', 'x', peer, 'localhost', cb(call(2, 'send', 'y', peer, cb()))), tick(), microtask()],
  [call(2, 'send', 'a', peer, 'localhost', cb()), call(2, 'send', 'b', peer, here), tick(), microtask()],
  [call(2, 'send', 'c', peer, 'localhost', cb()), call(2, 'close'), tick()],
  [call(3, 'connect', peer, 'localhost', cb()), tick(), microtask(), call(3, 'remoteAddress')],
  [call(3, 'send', 'x', cb()), call(3, 'disconnect'), call(3, 'send', 'x', peer, cb())],
  [call(0, 'connect', peer, cb()), call(0, 'send', 'x', peer, cb()), call(0, 'close', cb())],
  [call(4, 'bind', 0, here), call(4, 'close')],
];

export const lookupCases: Record<string, Script> = Object.fromEntries(
  lookups.flatMap((lookup) =>
    ['udp4', 'udp6'].map((type) => [
      `a lookup that is ${lookup}, ${type}`,
      script(
        [0, 1, 2, 3, 4].map(() => ({ options: { type }, lookup })),
        ...(type === 'udp4'
          ? lookingUp
          : lookingUp.map((ops) => JSON.parse(JSON.stringify(ops).replaceAll(here, '::1'), six))),
      ),
    ]),
  ),
);

// JSON has no way to say undefined, but nothing here does.
function six(_key: string, value: unknown): unknown {
  return value === 'peer4' ? 'peer6' : value;
}

export const messageCases: Record<string, Script> = {
  'what comes with a message': script(
    ['udp4', 'udp6'],
    [bound(0), bound(1, '::1')],
    [feed(0, 'hello', '', 'x'.repeat(9000), 'end'), feed(1, 'hello', '', 'end')],
    [
      js('a Buffer of its own', ({ sockets, log }) => {
        for (const socket of sockets) {
          socket.once('message', (data: Buffer, rinfo: object) => {
            log(
              Buffer.isBuffer(data),
              data.length,
              Object.keys(rinfo),
              Object.getPrototypeOf(rinfo) === Object.prototype,
            );
            log(Object.getOwnPropertyNames(rinfo), Object.isFrozen(rinfo));
          });
        }
      }),
      feed(0, 'more'),
      feed(1, 'more'),
    ],
  ),
  'IPv4 on a dual-stack socket': script(
    ['udp6', { type: 'udp6', ipv6Only: true }, 'udp4'],
    [call(0, 'bind', 0, '::'), call(1, 'bind', 0, '::'), bound(2)],
    [call(2, 'send', 'four', portOf(0), here, cb()), call(2, 'send', 'unheard', portOf(1), here, cb())],
    [call(0, 'send', 'back', portOf(2), '::ffff:127.0.0.1', cb())],
    [call(0, 'connect', portOf(2), '::ffff:127.0.0.1', cb())],
    [call(0, 'remoteAddress'), call(0, 'address'), call(0, 'send', 'connected', cb())],
  ),
  'ticks and microtasks between messages': script(
    ['udp4'],
    [bound(0)],
    [listenAlways(0, 'message', tick(microtask()), microtask(tick())), feed(0, '1', '2', '3', '4', '5')],
    [listen(0, 'message', immediate()), feed(0, '6', '7')],
  ),
  'close() in a message listener': script(
    ['udp4', 'udp4'],
    [bound(0), bound(1)],
    [listen(0, 'message', call(0, 'close', cb())), feed(0, '1', '2', '3')],
    [listen(1, 'message', tick(call(1, 'close', cb()))), feed(1, '1', '2', '3')],
  ),
  'close() in a microtask of a message listener': script(
    ['udp4'],
    [bound(0)],
    [listen(0, 'message', microtask(call(0, 'close', cb()))), feed(0, '1', '2', '3')],
  ),
  'close() while datagrams wait': script(
    ['udp4', 'udp4'],
    [bound(0), bound(1)],
    [
      js('feed and close', ({ sockets, port, module }) => {
        const sender = module.createSocket('udp4');
        sender.send('unheard', port(0), '127.0.0.1', () => {
          sockets[0].close();
          sender.close();
        });
      }),
    ],
  ),
  'a listener that throws': script(
    ['udp4'],
    [bound(0)],
    [listen(0, 'message', throwing), feed(0, '1', '2', '3')],
    [listenAlways(0, 'message', throwing), feed(0, '4', '5', '6')],
  ),
  'a tick of a listener that throws': script(
    ['udp4'],
    [bound(0)],
    [listenAlways(0, 'message', tick(throwing)), feed(0, '1', '2', '3')],
  ),
  'a microtask of a listener that throws': script(
    ['udp4'],
    [bound(0)],
    [listenAlways(0, 'message', microtask(throwing)), feed(0, '1', '2', '3')],
    [listenAlways(0, 'message', tick(microtask(throwing)), microtask(tick(throwing))), feed(0, '4', '5', '6')],
  ),
  'answers in a message listener': script(
    ['udp4', 'udp4'],
    [bound(0), bound(1)],
    [listenAlways(0, 'message', call(0, 'send', 'answer', peer, here)), feed(0, '1', '2', '3')],
    [call(1, 'connect', peer, here)],
    [listenAlways(1, 'message', call(1, 'send', 'answer')), feed(1, '1', '2', '3')],
  ),
  'answers before close() in a later listener': script(
    ['udp4'],
    [bound(0)],
    [
      js('answer, close at the third', ({ sockets, port }) => {
        let count = 0;
        sockets[0].on('message', (data: Buffer) => {
          sockets[0].send(`answer ${data}`, port('peer4'), '127.0.0.1');
          if (++count === 3) sockets[0].close();
        });
      }),
      feed(0, '1', '2', '3', '4', '5'),
    ],
  ),
  'answers before close() in a later listener, connected': script(
    ['udp4'],
    [call(0, 'connect', peer, here)],
    [
      js('answer, close at the third', ({ sockets }) => {
        let count = 0;
        sockets[0].on('message', (data: Buffer) => {
          sockets[0].send(`answer ${data}`);
          if (++count === 3) sockets[0].close();
        });
      }),
      feed(0, '1', '2', '3', '4', '5'),
    ],
  ),
  'connect() and disconnect() in a message listener': script(
    ['udp4'],
    [bound(0)],
    [
      listen(0, 'message', call(0, 'connect', peer, here, cb(call(0, 'send', 'x', cb(call(0, 'disconnect')))))),
      feed(0, '1'),
    ],
    [feed(0, '2'), call(0, 'remoteAddress')],
  ),
  'listeners come and go': script(
    [{ options: { type: 'udp4' }, events: ['listening', 'error', 'close'] }],
    [bound(0)],
    [feed(0, 'nobody hears it')],
    [
      js('once', ({ sockets, log }) => {
        sockets[0].once('message', (data: Buffer) => log('once', data));
        sockets[0].prependListener('message', (data: Buffer) => log('first', data));
      }),
      feed(0, '1', '2'),
    ],
    [js('removed', ({ sockets }) => sockets[0].removeAllListeners('message').listenerCount('message')), feed(0, '3')],
  ),
  'events.once, events.on, captureRejections': script(
    ['udp4'],
    [
      js('once', ({ module, log }) => {
        const socket = module.createSocket('udp4');
        socket.on('newListener', (name: string) => log('new', name));
        socket.on('removeListener', (name: string) => log('removed', name));
        socket.bind(0, '127.0.0.1', () => socket.close(() => log('closed')));
        log(socket.eventNames(), socket.listenerCount('listening'), socket.listenerCount('close'));
      }),
      bound(0),
    ],
    [
      js('a listener that rejects', ({ sockets }) => [
        sockets[0].getMaxListeners(),
        isIPv6(sockets[0].address().address),
      ]),
    ],
  ),
};
