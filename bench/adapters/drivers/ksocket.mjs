import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { placeForSocket } from '../socket-file.mjs';
import { Unavailable } from '../unavailable.mjs';
import { dgramRoles } from './dgram-roles.mjs';

const HOST = process.env.KSOCKET_BENCH_SELF ?? '127.0.0.1'; // an end of a cable: harness/cable.mjs

// By path and not by name: the copy that was just built is measured, whatever is installed.
// KSOCKET_DIR names another build, for --also-ksocket.
const dir = process.env.KSOCKET_DIR ?? join(import.meta.dirname, '../../..');
const entry = join(dir, 'dist/index.js');
if (!existsSync(entry)) throw new Unavailable(`${entry} is missing: run \`npm run build\``);
const { createServer, createSocket } = await import(pathToFileURL(entry).href);

const dgramLike = dgramRoles(createSocket);

/** @param {object} socket */
function requireMethod(socket, name) {
  if (typeof socket[name] !== 'function') throw new Unavailable(`this build has no socket.${name}()`);
}

function receiveBatches(onBatch) {
  return (options, tally) =>
    dgramLike.openReceivers(options, tally, (socket) => {
      socket.on('batch', (batch) => onBatch(batch, tally));
    });
}

function receiveLocal(event, onEvent) {
  return (_options, tally) => {
    const path = placeForSocket();
    const socket = createSocket('unix_dgram');
    socket.bindSync(path);
    socket.on(event, (received) => onEvent(received, tally));
    return { ports: [path], stats: () => socket.stats() };
  };
}

// When the last of a batch has been taken the next begins.
function sendLocal(send) {
  return (options, tally) => {
    const { ports, size, batch } = options;
    const socket = createSocket('unix_dgram');
    socket.connectSync(ports[0]);
    const [last, ...list] = payloads(options);
    const taken = () => {
      tally.count += batch;
      tally.bytes += batch * size;
      setImmediate(turn);
    };
    function turn() {
      send(socket, list);
      socket.send(last, taken);
    }
    setImmediate(turn);
    return { stats: () => socket.stats() };
  };
}

export const roles = {
  ...dgramLike.roles,

  'unix-receive': receiveLocal('message', (message, tally) => {
    tally.count++;
    tally.bytes += message.length;
  }),

  'unix-receive-batch': receiveLocal('batch', (batch, tally) => {
    tally.count += batch.length;
    for (let i = 0; i < batch.length; i++) tally.bytes += batch.size(i);
  }),

  'unix-send': sendLocal((socket, list) => {
    for (const payload of list) socket.send(payload);
  }),

  'unix-send-many': sendLocal((socket, list) => socket.sendMany(list)),

  'receive-batch': receiveBatches((batch, tally) => {
    tally.count += batch.length;
    for (let i = 0; i < batch.length; i++) tally.bytes += batch.size(i);
  }),

  // Looks at each payload, where `receive-batch` reads only its size, as the C sink does.
  'receive-batch-data': receiveBatches((batch, tally) => {
    tally.count += batch.length;
    for (let i = 0; i < batch.length; i++) tally.bytes += batch.data(i).length;
  }),

  'echo-batch': receiveBatches((batch, tally) => {
    tally.count += batch.length;
    for (let i = 0; i < batch.length; i++) {
      tally.bytes += batch.size(i);
      batch.reply(i, batch.data(i));
    }
  }),

  // The server's own thread answers; JavaScript takes no part.
  async 'echo-server'(options, tally) {
    const server = createServer({ address: HOST, port: 0, reply: 'echo', ...options.serverOptions });
    await server.start();
    Object.defineProperties(tally, {
      count: { get: () => server.stats().rxDatagrams },
      bytes: { get: () => server.stats().rxBytes },
    });
    return { ports: [server.address().port], stats: () => server.stats() };
  },

  // The same, counting answers: what C counts, too.
  async answer(options, tally) {
    const server = createServer({ address: HOST, port: 0, ...options.serverOptions });
    await server.start();
    Object.defineProperties(tally, {
      count: { get: () => server.stats().txDatagrams },
      bytes: { get: () => server.stats().txBytes },
    });
    return { ports: [server.address().port], stats: () => server.stats() };
  },

  // The same in the kernel, where this process may.
  async 'answer-kernel'(options, tally) {
    const kernel = { interfaces: [process.env.KSOCKET_BENCH_INTERFACE ?? 'lo'], required: true };
    const server = createServer({ address: HOST, port: 0, kernel, ...options.serverOptions });
    await server.start().catch((error) => {
      throw new Unavailable(error.message);
    });
    Object.defineProperties(tally, {
      count: { get: () => server.stats().answering.kernelReplies },
      bytes: { get: () => server.stats().answering.kernelReplyBytes },
    });
    return { ports: [server.address().port], stats: () => server.stats() };
  },

  async forward({ target }, tally) {
    const forward = { address: '127.0.0.1', port: target };
    const server = createServer({ address: '127.0.0.1', port: 0, rules: [{ action: { forward } }] });
    await server.start();
    Object.defineProperty(tally, 'count', { get: () => server.stats().answering.forwarded });
    return { ports: [server.address().port], stats: () => server.stats() };
  },

  async 'send-many'(options, tally) {
    const { ports, size, batch, connected } = options;
    const socket = await dgramLike.openSender(options, tally);
    requireMethod(socket, 'sendMany');
    const step = connected ? 1 : 3;
    const list = [];
    for (const [i, payload] of payloads(options).entries()) {
      list.push(payload);
      if (!connected) list.push(ports[i % ports.length], '127.0.0.1');
    }
    sendInTurns(socket, tally, size, batch, (from) => socket.sendMany(from === 0 ? list : list.slice(from * step)));
    return { stats: () => socket.stats?.() };
  },

  async 'send-list'(options, tally) {
    const { ports, size, batch } = options;
    const socket = await dgramLike.openSender(options, tally);
    requireMethod(socket, 'peer');
    const peer = socket.peer('127.0.0.1', ports[0], options.say);
    const list = payloads(options);
    sendInTurns(socket, tally, size, batch, (from) => socket.sendMany(from === 0 ? list : list.slice(from), peer));
    return { stats: () => socket.stats?.() };
  },

  async 'send-segments'(options, tally) {
    const { ports, size, batch } = options;
    const socket = await dgramLike.openSender(options, tally);
    requireMethod(socket, 'peer');
    const how = { segmentSize: size, peer: socket.peer('127.0.0.1', ports[0]) };
    const bytes = Buffer.alloc(size * batch, 'k');
    sendInTurns(socket, tally, size, batch, (from) => socket.sendMany(bytes.subarray(from * size), how));
    return { stats: () => socket.stats?.() };
  },
};

// One again and again, as the other libraries' senders have it, or each `distinct`: then none is copied for many.
function payloads({ size, batch, distinct = false }) {
  const one = Buffer.alloc(size, 'k');
  return Array.from({ length: batch }, () => (distinct ? Buffer.from(one) : one));
}

// `send` sends a batch from its `from`-th datagram on. What was not taken goes first, or the first peers of a list would
// get more than the last.
function sendInTurns(socket, tally, size, batch, send) {
  let from = 0;
  setImmediate(function turn() {
    const taken = send(from);
    tally.count += taken;
    tally.bytes += taken * size;
    from += taken;
    if (from < batch) socket.once('drain', turn);
    else {
      from = 0;
      setImmediate(turn);
    }
  });
}
