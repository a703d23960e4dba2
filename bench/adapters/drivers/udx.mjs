import { Unavailable } from '../unavailable.mjs';

const { default: UDX } = await import('udx-native').catch((error) => {
  throw new Unavailable(`udx-native does not load: ${error.message}`);
});

const HOST = '127.0.0.1';
const udx = new UDX();

function open() {
  const socket = udx.createSocket();
  socket.bind(0, HOST);
  return socket;
}

async function openReceivers(options, onMessage) {
  const sockets = [];
  for (let i = 0; i < (options.sockets ?? 1); i++) {
    const socket = open();
    socket.on('message', (message, peer) => onMessage(socket, message, peer));
    sockets.push(socket);
  }
  return { ports: sockets.map((socket) => socket.address().port) };
}

export const roles = {
  receive: (options, tally) =>
    openReceivers(options, (_socket, message) => {
      tally.count++;
      tally.bytes += message.length;
    }),

  echo: (options, tally) =>
    openReceivers(options, (socket, message, peer) => {
      tally.count++;
      tally.bytes += message.length;
      socket.trySend(message, peer.port, peer.host);
    }),

  // trySend() reports nothing. It calls the kernel at once, and on loopback the kernel takes all:
  // the scenario's column of what was delivered says whether that held.
  async send({ ports, size, batch }, tally) {
    const socket = open();
    const payload = Buffer.alloc(size, 'k');
    let next = 0;
    setImmediate(function turn() {
      for (let i = 0; i < batch; i++) {
        socket.trySend(payload, ports[next], HOST);
        if (++next === ports.length) next = 0;
      }
      tally.count += batch;
      tally.bytes += batch * size;
      setImmediate(turn);
    });
    return {};
  },

  // Refilled once a turn, as for dgram: a send is done before its promise is awaited, and a loop of
  // awaits would starve the event loop.
  async 'send-callbacks'({ ports, size, outstanding }, tally) {
    const socket = open();
    const payload = Buffer.alloc(size, 'k');
    let inFlight = 0;
    let refillScheduled = false;

    function onSent(sent) {
      inFlight--;
      if (sent) {
        tally.count++;
        tally.bytes += size;
      } else {
        tally.errors++;
      }
      if (refillScheduled) return;
      refillScheduled = true;
      setImmediate(refill);
    }
    function refill() {
      refillScheduled = false;
      while (inFlight < outstanding) {
        inFlight++;
        socket.send(payload, ports[0], HOST).then(onSent);
      }
    }
    refill();
    return {};
  },
};
