// dgram-contract.md, "bind": descriptors and handles that somebody else has opened.
import { closeSync, openSync } from 'node:fs';
import net from 'node:net';
import { boundHandle } from '../handles.js';
import {
  type Context,
  call,
  cb,
  feed,
  js,
  listen,
  made,
  portOf,
  type Script,
  script,
  tick,
  type Value,
} from '../script.js';

// Kept, so that no collection closes the descriptor of a handle whose descriptor a socket has.
const kept: unknown[] = [];

/** { fd } of a bound socket. */
const boundFd = (type: 'udp4' | 'udp6', more: Record<string, unknown> = {}): Value =>
  made(() => {
    const handle = boundHandle(type);
    kept.push(handle);
    return { fd: handle.fd, ...more };
  });

const wrong = (open: (context: Context) => number): Value => made((context) => ({ fd: open(context) }));

export const fdCases: Record<string, Script> = {
  'bind({ fd })': script(
    ['udp4', 'udp4', { type: 'udp4', recvBufferSize: 10_000, sendBufferSize: 11_000 }],
    [
      listen(0, 'listening', call(0, 'address')),
      call(0, 'bind', boundFd('udp4'), cb()),
      tick(),
      call(0, 'bind'),
      call(1, 'bind', boundFd('udp4', { exclusive: true, port: 9, address: 'x' })),
      call(2, 'bind', boundFd('udp4'), cb()),
    ],
    [feed(0, 'hello'), feed(1, 'hello'), call(0, 'send', 'x', portOf('peer4'), cb())],
    [call(0, 'remoteAddress'), call(0, 'connect', portOf('peer4'), cb()), call(2, 'getRecvBufferSize')],
    [call(0, 'send', 'y', cb())],
  ),
  'bind({ fd }) of IPv6': script(
    ['udp6'],
    [call(0, 'bind', boundFd('udp6'), cb()), call(0, 'address')],
    [feed(0, 'hello'), call(0, 'send', 'x', portOf('peer6'), '::1', cb())],
  ),
  // A handle has an async context of its own, so that of 'message' is not compared.
  'bind(handle)': script(
    ['udp4', 'udp6', 'udp4'].map((type) => ({ options: { type }, events: ['listening', 'error', 'close'] })),
    [
      call(
        0,
        'bind',
        made(() => boundHandle('udp4')),
        cb(),
      ),
      call(
        1,
        'bind',
        made(() => boundHandle('udp6')),
        cb(),
      ),
      call(2, 'unref'),
      call(
        2,
        'bind',
        made(() => boundHandle('udp4')),
      ),
    ],
    [
      js('listen', ({ sockets, log }) => {
        for (const socket of sockets) socket.on('message', (data: Buffer, rinfo: object) => log(socket, data, rinfo));
      }),
      feed(0, 'hello'),
    ],
    [feed(1, 'hello')],
    [feed(2, 'hello'), call(0, 'address'), call(1, 'address')],
    [call(0, 'send', 'x', portOf('peer4'), cb()), call(1, 'send', 'x', portOf('peer6'), cb())],
  ),
  // Each on a socket of its own: node:dgram's are good for nothing afterwards.
  'bind({ fd }) of something else': script(
    ['udp4', 'udp4', 'udp4', 'udp4'],
    [
      call(
        0,
        'bind',
        wrong(({ after }) => {
          const fd = openSync('/dev/null', 'r');
          after(() => closeSync(fd));
          return fd;
        }),
        cb(),
      ),
      call(
        1,
        'bind',
        wrong(({ after }) => {
          const fd = openSync(import.meta.filename, 'r');
          after(() => closeSync(fd));
          return fd;
        }),
      ),
      call(
        2,
        'bind',
        wrong(() => 2 ** 31 - 1),
      ),
      call(
        3,
        'bind',
        wrong(({ after }) => {
          const server = net.createServer().listen(0);
          after(() => server.close());
          return (server as unknown as { _handle: { fd: number } })._handle.fd;
        }),
      ),
    ],
  ),
};
