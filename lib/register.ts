// `node --import ksocket/register app.js`: every user of node:dgram in the program gets ksocket's sockets.
//
// The builtin's exports are changed in place, and its ESM bindings with them. So it serves require and import, with
// and without `node:`, process.getBuiltinModule, imports that happened before, and Node's own child_process; workers
// and forked children inherit the --import.
import dgram from 'node:dgram';
import { syncBuiltinESMExports } from 'node:module';
import { listActiveSockets } from './dgram/active-resources.js';
import { defaults } from './socket/options.js';
import { holdingSockets } from './socket/place.js';
import { createSocket, Socket } from './socket/socket.js';

// Programs read `msg.buffer` as if it were the message: under node:dgram it is.
defaults.pooled = false;

listActiveSockets(holdingSockets);
Object.assign(dgram, { createSocket, Socket });
syncBuiltinESMExports();
