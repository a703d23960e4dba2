/* global Deno */
import { Unavailable } from '../unavailable.mjs';

if (typeof Deno === 'undefined') throw new Unavailable('not running in Deno');

const hostname = '127.0.0.1';
const PAYLOAD_BYTES_MAX = 65536;

function open() {
  return Deno.listenDatagram({ transport: 'udp', hostname, port: 0 });
}

async function openReceivers(options, onMessage) {
  const sockets = [];
  for (let i = 0; i < (options.sockets ?? 1); i++) sockets.push(open());
  for (const socket of sockets) {
    (async () => {
      const buffer = new Uint8Array(PAYLOAD_BYTES_MAX);
      for (;;) {
        const [message, peer] = await socket.receive(buffer);
        await onMessage(socket, message, peer);
      }
    })();
  }
  return { ports: sockets.map((socket) => socket.addr.port) };
}

/** `outstanding` loops, each waiting for its own send. */
function sendLoops({ ports, size, outstanding }, tally) {
  const socket = open();
  const payload = new Uint8Array(size).fill(107);
  const peers = ports.map((port) => ({ transport: 'udp', hostname, port }));
  let next = 0;
  async function loop() {
    for (;;) {
      const peer = peers[next];
      if (++next === peers.length) next = 0;
      await socket.send(payload, peer);
      tally.count++;
      tally.bytes += size;
    }
  }
  for (let i = 0; i < outstanding; i++) loop();
  return {};
}

export const roles = {
  receive: (options, tally) =>
    openReceivers(options, (_socket, message) => {
      tally.count++;
      tally.bytes += message.length;
    }),

  echo: (options, tally) =>
    openReceivers(options, async (socket, message, peer) => {
      await socket.send(message, peer);
      tally.count++;
      tally.bytes += message.length;
    }),

  // There is no send that does not wait for its promise: the same loops in both roles.
  send: (options, tally) => sendLoops({ ...options, outstanding: options.outstanding ?? 64 }, tally),
  'send-callbacks': sendLoops,
};
