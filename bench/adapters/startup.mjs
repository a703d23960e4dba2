// `startup.mjs WHAT`: takes the time of the import and of the first datagram, which it sends to itself.
/* global Bun, Deno */
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { listen, say } from './protocol.mjs';

const HOST = '127.0.0.1';

function withDgram({ createSocket }) {
  return new Promise((resolve) => {
    const socket = createSocket('udp4', resolve);
    socket.bind(0, HOST, () => socket.send('first', socket.address().port, HOST));
  });
}

const ways = {
  ksocket: async () => {
    const dir = process.env.KSOCKET_DIR ?? `${import.meta.dirname}/../..`;
    return [await import(pathToFileURL(`${dir}/dist/index.js`).href), withDgram];
  },
  dgram: async () => [await import('node:dgram'), withDgram],
  bun: async () => [
    Bun,
    () =>
      new Promise((resolve) => {
        Bun.udpSocket({ hostname: HOST, socket: { data: resolve } }).then((socket) =>
          socket.send('first', socket.port, HOST),
        );
      }),
  ],
  deno: async () => [
    Deno,
    async () => {
      const socket = Deno.listenDatagram({ transport: 'udp', hostname: HOST, port: 0 });
      await socket.send(new TextEncoder().encode('first'), socket.addr);
      await socket.receive();
    },
  ],
};

const before = performance.now();
const [module, hear] = await ways[process.argv[2]]();
const importMs = performance.now() - before;
await hear(module);
// From the start of the process on.
const firstMs = performance.now();
say({ event: 'ready', startup: { importMs, firstMs, rssBytes: process.memoryUsage.rss() } });
listen({ start() {}, stop() {}, exit: () => process.exit(0) });
