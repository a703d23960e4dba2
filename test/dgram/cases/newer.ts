// What only newer Nodes have, where the running one does.
import dgram from 'node:dgram';
import { BlockList } from 'node:net';
import {
  bound,
  call,
  cb,
  feed,
  list,
  listen,
  made,
  microtask,
  object,
  portOf,
  type Script,
  script,
  tick,
  type Value,
} from '../script.js';

const peer = portOf('peer4');
const here = '127.0.0.1';

const syncCases: Record<string, Script> = {
  'bindSync()': script(
    ['udp4', 'udp6', 'udp4', 'udp4'],
    [
      call(0, 'bindSync'),
      tick(),
      microtask(),
      call(0, 'address'),
      call(0, 'bindSync'),
      call(0, 'bind'),
      call(1, 'bindSync', object({ port: 0, address: '::1' })),
      call(2, 'bindSync', object({ port: peer, address: here })),
      call(2, 'bindSync', object({ address: here })),
      bound(3),
      call(3, 'bindSync'),
    ],
    [call(0, 'send', 'x', peer, cb()), feed(2, 'hello')],
    [call(0, 'close'), call(0, 'bindSync')],
  ),
  'bindSync() and its arguments': script(
    ['udp4', 'udp6'],
    [
      ...[null, 5, 'x', true, list(), cb(), Symbol('s')].map((value) => call(0, 'bindSync', value)),
      ...[-1, 65536, 1.5, 'x', '', true, Number.NaN, list()].map((port) => call(0, 'bindSync', object({ port }))),
      ...[5, true, 'localhost', '127.0.0', object({}), ' 127.0.0.1'].map((address) =>
        call(0, 'bindSync', object({ address })),
      ),
      call(0, 'bindSync', object({ address: '::1' })),
      call(0, 'bindSync', object({ address: '192.0.2.77', port: 7451 })),
      call(0, 'bindSync', object({ address: '', port: null })),
      call(1, 'bindSync', object({ address: undefined, port: '0' })),
    ],
  ),
  'close() behind bindSync()': script(['udp4'], [call(0, 'bindSync'), call(0, 'close', cb()), tick()]),
  'connectSync()': script(
    ['udp4', 'udp4', 'udp6', 'udp4', 'udp4'],
    [
      call(0, 'connectSync', peer, here),
      tick(),
      microtask(),
      call(0, 'remoteAddress'),
      call(0, 'connectSync', peer),
      call(0, 'connect', peer),
      call(0, 'send', 'x', cb()),
      call(0, 'disconnect'),
      call(0, 'connectSync', peer),
    ],
    [bound(1), call(1, 'connectSync', peer)],
    [call(1, 'connectSync', peer, null), call(2, 'connectSync', portOf('peer6'), '')],
    [call(3, 'connect', peer), call(3, 'connectSync', peer), call(4, 'connectSync', peer), call(4, 'close')],
    [call(4, 'connectSync', peer), call(0, 'send', 'y', cb()), feed(0, 'hello')],
  ),
  'connectSync() and its arguments': script(
    ['udp4'],
    [
      ...[undefined, null, 0, 65536, 'x', true, '0'].map((port) => call(0, 'connectSync', port)),
      ...[5, true, 'localhost', object({}), list()].map((address) => call(0, 'connectSync', peer, address)),
      call(0, 'connectSync', peer, '::1'),
      call(0, 'connectSync', peer, '255.255.255.255'),
      call(0, 'connectSync', peer, here),
    ],
  ),
  "port '0'": script(['udp4'], [call(0, 'send', 'x', '0', here, cb()), call(0, 'connect', '0')]),
};

const blocking = (...addresses: string[]): Value =>
  made(() => {
    const blocked = new BlockList();
    for (const address of addresses) blocked.addAddress(address, address.includes(':') ? 'ipv6' : 'ipv4');
    return blocked;
  });

const blockListCases: Record<string, Script> = {
  sendBlockList: script(
    [
      { type: 'udp4', sendBlockList: blocking(here) },
      { type: 'udp4', sendBlockList: blocking(here) },
      { type: 'udp6', sendBlockList: blocking('::1') },
      { options: { type: 'udp4', sendBlockList: blocking(here) }, lookup: 'sync' },
    ],
    [bound(0), bound(3)],
    [0, 3].flatMap((on) => [
      call(on, 'send', 'x', peer, here, cb()),
      call(on, 'send', 'y', peer, here),
      call(on, 'send', 'y', peer, cb()),
      tick(),
      microtask(),
    ]),
    [call(0, 'send', 'x', peer, '127.0.0.2', cb()), call(0, 'send', 'x', peer, here, cb()), call(0, 'close')],
    [call(1, 'connect', peer, here, cb()), tick()],
    [call(1, 'connect', peer)],
    [call(1, 'connect', peer, '127.0.0.2', cb())],
    [call(2, 'send', 'x', portOf('peer6'), cb()), call(2, 'connect', portOf('peer6'), cb())],
  ),
  receiveBlockList: script(
    [
      { type: 'udp4', receiveBlockList: blocking(here) },
      { type: 'udp6', receiveBlockList: blocking('::1') },
      { type: 'udp4', receiveBlockList: blocking('127.0.0.2') },
    ],
    [bound(0), bound(1, '::1'), bound(2)],
    [listen(0, 'message', call(0, 'close')), feed(0, 'unheard'), feed(1, 'unheard'), feed(2, 'heard')],
  ),
  'block lists that are none': script(
    [5, 'x', true, object({}), list(), cb()].map((value) => ({ type: 'udp4', sendBlockList: value })),
    [],
  ),
  'block lists that are none, receiving': script(
    [5, 'x', true, object({}), list(), null, '', 0].map((value) => ({ type: 'udp4', receiveBlockList: value })),
    [],
  ),
  'which of several wrong options is reported, block lists': script(
    [
      { type: 'x', receiveBlockList: 5 },
      { type: 'udp4', sendBlockList: 5, receiveBlockList: 6 },
      { type: 'udp4', sendBlockList: 5, lookup: 5 },
      { type: 'udp4', sendBlockList: 5, sendBufferSize: 'x' },
    ],
    [],
  ),
};

const reusePortCases: Record<string, Script> = {
  reusePort: script(
    [{ type: 'udp4', reusePort: true }, { type: 'udp4', reusePort: true }, 'udp4'],
    [bound(0)],
    [call(1, 'bind', portOf(0), here), call(2, 'bind', portOf(0), here)],
    [call(0, 'address'), call(1, 'address')],
  ),
};

const source = String(dgram.Socket);

export const newerCases: Record<string, Script> = {
  ...('bindSync' in dgram.Socket.prototype ? syncCases : {}),
  ...(source.includes('receiveBlockList') ? blockListCases : {}),
  ...(source.includes('reusePort') ? reusePortCases : {}),
};
