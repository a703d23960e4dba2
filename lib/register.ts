// `node --import ksocket/register app.js`: every user of node:dgram in the program gets ksocket's sockets.
//
// The builtin's exports are changed in place, and its ESM bindings with them. So it serves require and import, with
// and without `node:`, process.getBuiltinModule, imports that happened before, and Node's own child_process; workers
// and forked children inherit the --import.
import dgram from 'node:dgram';
import { syncBuiltinESMExports } from 'node:module';
import { defaults } from './options.js';
import { createSocket, descriptorOf, Socket } from './socket.js';

interface NativeHandle {
  open(fd: number): number;
  close(): void;
}

const NativeSocket = dgram.Socket as unknown as new (type: string) => object;

// Programs read `msg.buffer` as if it were the message: under node:dgram it is.
defaults.pooled = false;

// child.send(message, socket): child_process wants a real UDP handle, at the key where node:dgram's sockets keep theirs.
// It gets one, made on a copy of the descriptor when asked for.
const stateSymbol = Object.getOwnPropertySymbols(new NativeSocket('udp4')).find(
  (symbol) => symbol.description === 'state symbol',
);
if (stateSymbol !== undefined) {
  const made = new WeakMap<Socket, { handle: NativeHandle }>();
  Object.defineProperty(Socket.prototype, stateSymbol, {
    configurable: true,
    get(this: Socket) {
      let state = made.get(this);
      const fd = descriptorOf(this);
      if (state === undefined && fd !== undefined) {
        state = (new NativeSocket(this.type) as Record<symbol, { handle: NativeHandle }>)[stateSymbol];
        const { handle } = state;
        handle.open(fd);
        this.once('close', () => handle.close());
        made.set(this, state);
      }
      return state;
    },
  });
}

Object.assign(dgram, { createSocket, Socket });
syncBuiltinESMExports();
