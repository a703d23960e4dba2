// Compiles, or ksocket's types are not node:dgram's: whatever takes a dgram.Socket takes a ksocket, and the functions
// are called alike.
import type dgram from 'node:dgram';
import type { BlockList } from 'node:net';
import byDefault, * as ksocket from 'ksocket';

export function taken(blockList: BlockList, signal: AbortSignal): dgram.Socket[] {
  const made: dgram.Socket = ksocket.createSocket('udp4');
  const instance: dgram.Socket = new ksocket.Socket('udp6');
  const createSocket: typeof dgram.createSocket = ksocket.createSocket;
  const options: dgram.SocketOptions = {
    type: 'udp4',
    reuseAddr: true,
    reusePort: true,
    ipv6Only: false,
    recvBufferSize: 1,
    sendBufferSize: 1,
    lookup: (_host, _options, done) => done(null, '127.0.0.1', 4),
    receiveBlockList: blockList,
    sendBlockList: blockList,
    signal,
  };
  ksocket.createSocket(options);
  const type: ksocket.SocketType = 'udp4' satisfies dgram.SocketType;
  const listener = (msg: NonSharedBuffer, rinfo: dgram.RemoteInfo) => void [msg.length, rinfo.address, rinfo.family];
  return [made, instance, createSocket(type, listener), ksocket.createSocket(options, listener)];
}

/** The default export, too, has node:dgram's functions and types by the same names. */
export function takenByDefault(): dgram.Socket[] {
  const options: byDefault.SocketOptions = { type: 'udp4', lookupTtlMs: 1000 };
  const type: byDefault.SocketType = 'udp4';
  const onMessage = (_: NonSharedBuffer, rinfo: byDefault.RemoteInfo) => void rinfo.address;
  const socket: byDefault.Socket = byDefault.createSocket(type, onMessage);
  const at: byDefault.BindOptions = { port: 0 };
  socket.bind(at);
  const server: ksocket.Server = byDefault.createServer();
  void server;
  return [socket, byDefault.createSocket(options), new byDefault.Socket('udp4')];
}

/** In every form that @types/node knows; run with either. */
export function used<S extends dgram.Socket>(socket: S): void {
  const on: S = socket
    .on('message', (msg, rinfo) => void [msg.byteLength, rinfo.port, rinfo.size])
    .once('listening', () => {})
    .addListener('error', (error) => void error.message)
    .prependListener('close', () => {})
    .prependOnceListener('connect', () => {});
  on.emit('listening');
}

export function usedAsKsocket(socket: ksocket.Socket): void {
  const handle = (_error?: Error | null) => {};
  const payloads = [Buffer.alloc(1), 'text', new Uint16Array(1), new DataView(new ArrayBuffer(1))] as const;
  for (const payload of payloads) {
    socket.send(payload);
    socket.send(payload, handle);
    socket.send(payload, 9);
    socket.send(payload, 9, handle);
    socket.send(payload, 9, '127.0.0.1');
    socket.send(payload, 9, '127.0.0.1', handle);
    socket.send(payload, 9, undefined, handle);
    socket.send(payload, 0, 1);
    socket.send(payload, 0, 1, handle);
    socket.send(payload, 0, 1, 9);
    socket.send(payload, 0, 1, 9, handle);
    socket.send(payload, 0, 1, 9, '127.0.0.1', handle);
  }
  socket.send(payloads, 9, '127.0.0.1', handle);
  socket
    .bind()
    .bind(0)
    .bind(0, '::')
    .bind(0, () => {})
    .bind(0, '::', () => {})
    .bind(() => {});
  socket.bind({ port: 0, address: '::', exclusive: true, fd: 3 }, () => {});
  const address: import('node:net').AddressInfo = socket.bindSync({ port: 0 });
  socket.connect(9);
  socket.connect(9, () => {});
  socket.connect(9, '::1', () => {});
  socket.connectSync(9, '::1');
  const text: string = address.address;
  const close: ksocket.Socket = socket
    .ref()
    .unref()
    .close(() => {});
  void [text, close];
}
