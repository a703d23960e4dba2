// What programs find behind a socket: node:dgram's state under its symbol, and the deprecated properties that lead there,
// in the Nodes that have them.
import dgram from 'node:dgram';
import { bound, type Context, call, cb, feed, js, listen, type Op, portOf, type Script, script } from '../script.js';

// biome-ignore lint/suspicious/noExplicitAny: nothing of it is in the types
type Any = any;

/** The warning, once a process, is another test's. */
function silently(body: () => void): void {
  const before = process.noDeprecation;
  process.noDeprecation = true;
  try {
    body();
  } finally {
    process.noDeprecation = before;
  }
}

function boundPort(handle: Any): unknown {
  const name = {} as { port?: number };
  const error = handle.getsockname(name);
  return error === 0 ? name : 'none';
}

const look = (on: number): Op =>
  js('look', ({ sockets, log }: Context) => {
    const socket = sockets[on];
    silently(() => {
      log('properties', socket._receiving, socket._bindState, socket._queue?.length, Boolean(socket._reuseAddr));
      const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
      const state: Any = symbol === undefined ? undefined : socket[symbol];
      log('state', state.receiving, state.bindState, state.connectState, state.queue?.length, Boolean(state.ipv6Only));
      log('handle', socket._handle === undefined || socket._handle === state.handle, state.handle === null);
      if (state.handle !== null) log('descriptor', state.handle.fd > 0, boundPort(state.handle));
    });
  });

const assign = (on: number, name: string, value: unknown): Op =>
  js(`${name} = ${value}`, ({ sockets }: Context) => silently(() => Object.assign(sockets[on], { [name]: value })));

const stateCases: Record<string, Script> = {
  'the state of a socket': script(
    ['udp4', { type: 'udp6', ipv6Only: true }, { type: 'udp4', reuseAddr: true }],
    [look(0), look(1), look(2), bound(0), look(0), bound(1, '::1')],
    [look(0), look(1), call(2, 'send', 'x', portOf('peer4'), cb(look(2))), look(2)],
    [call(0, 'connect', portOf('peer4'), cb(look(0))), look(0)],
    [look(0), call(0, 'disconnect'), look(0), call(2, 'bind', portOf(0)), look(2)],
    [call(0, 'close'), look(0), call(1, 'close'), look(1)],
    [look(0), look(1)],
  ),
  'the state of a socket that could not be bound': script(
    ['udp4'],
    [call(0, 'bind', portOf('peer4'), '127.0.0.1'), look(0)],
    [look(0), bound(0)],
    [look(0)],
  ),
  // libuv's uv_udp_open() sets SO_REUSEADDR.
  'who looks at the descriptor opens the port to nobody': script(
    ['udp4', { type: 'udp4', reuseAddr: true }],
    [bound(0)],
    [look(0)],
    [call(1, 'bind', portOf(0), '127.0.0.1')],
    [look(0), look(1), call(0, 'getSendBufferSize')],
  ),
  'a handle that was taken before bind()': script(
    ['udp4'],
    [
      js('take', ({ sockets, log }: Context) => {
        const socket = sockets[0];
        const [symbol] = Object.getOwnPropertySymbols(socket).filter(
          ({ description }) => description === 'state symbol',
        );
        const { handle } = socket[symbol];
        socket.on('listening', () => log('descriptor', handle.fd > 0, boundPort(handle)));
      }),
      bound(0),
    ],
  ),
};

const deprecatedCases: Record<string, Script> = {
  'deprecated properties': script(
    [],
    [
      js('descriptors', ({ module, log }: Context) => {
        for (const name of ['_handle', '_receiving', '_bindState', '_queue', '_reuseAddr']) {
          const { enumerable, configurable, get, set } = Object.getOwnPropertyDescriptor(
            module.Socket.prototype,
            name,
          ) as PropertyDescriptor;
          log(name, enumerable, configurable, typeof get, typeof set);
        }
      }),
    ],
  ),
  '_reuseAddr may be set': script(
    ['udp4', 'udp4', { type: 'udp4', reuseAddr: true }],
    [assign(0, '_reuseAddr', true), assign(1, '_reuseAddr', 1), assign(2, '_reuseAddr', false), bound(0)],
    [look(0), look(1), call(1, 'bind', portOf(0), '127.0.0.1'), call(2, 'bind', portOf(0), '127.0.0.1')],
    [look(1), look(2)],
  ),
  '_stopReceiving()': script(
    ['udp4', 'udp4'],
    [js('at once', ({ sockets }: Context) => silently(() => sockets[0]._stopReceiving())), bound(0), bound(1)],
    [feed(0, 'heard'), listen(0, 'message', look(0))],
    [js('stop', ({ sockets, log }: Context) => silently(() => log('returns', sockets[0]._stopReceiving()))), look(0)],
    [feed(0, 'unheard'), call(0, 'ref'), call(0, 'send', 'x', portOf('peer4'), cb())],
    [
      js('stop', ({ sockets }: Context) => silently(() => sockets[0]._stopReceiving())),
      look(0),
      call(0, 'close', cb()),
    ],
    [js('stop', ({ sockets }: Context) => silently(() => sockets[0]._stopReceiving())), look(0)],
  ),
  '_healthCheck()': script(
    ['udp4'],
    [js('fresh', ({ sockets, log }: Context) => silently(() => log('returns', sockets[0]._healthCheck()))), bound(0)],
    [js('bound', ({ sockets, log }: Context) => silently(() => log('returns', sockets[0]._healthCheck())))],
    [
      call(0, 'close'),
      js('closed', ({ sockets, log }: Context) => {
        try {
          silently(() => sockets[0]._healthCheck());
        } catch (error) {
          log('throws', error);
        }
      }),
    ],
  ),
};

export const deepCases: Record<string, Script> = {
  ...stateCases,
  ...('_handle' in dgram.Socket.prototype ? deprecatedCases : {}),
};
