/* global Bun */
import { Unavailable } from '../unavailable.mjs';

if (typeof Bun === 'undefined') throw new Unavailable('not running in Bun');

const hostname = '127.0.0.1';

async function openReceivers(options, data) {
  const sockets = [];
  for (let i = 0; i < (options.sockets ?? 1); i++) {
    sockets.push(await Bun.udpSocket({ hostname, port: 0, socket: { data } }));
  }
  return { ports: sockets.map((socket) => socket.port) };
}

async function openSender(options, drain) {
  const connect = options.connected ? { hostname, port: options.ports[0] } : undefined;
  return Bun.udpSocket({ hostname, port: 0, connect, socket: { drain } });
}

export const roles = {
  receive: (options, tally) =>
    openReceivers(options, (_socket, message) => {
      tally.count++;
      tally.bytes += message.length;
    }),

  echo: (options, tally) =>
    openReceivers(options, (socket, message, port, address) => {
      tally.count++;
      tally.bytes += message.length;
      socket.send(message, port, address);
    }),

  async 'send-many'(options, tally) {
    const { ports, size, batch, connected } = options;
    const payload = Buffer.alloc(size, 'k');
    const step = connected ? 1 : 3;
    const list = [];
    for (let i = 0; i < batch; i++) {
      list.push(payload);
      if (!connected) list.push(ports[i % ports.length], hostname);
    }
    let rest = list;
    let waiting = false;
    const socket = await openSender(options, () => {
      if (!waiting) return;
      waiting = false;
      turn();
    });
    function turn() {
      const taken = socket.sendMany(rest);
      tally.count += taken;
      tally.bytes += taken * size;
      if (taken * step === rest.length) {
        rest = list;
        setImmediate(turn);
      } else {
        rest = rest.slice(taken * step);
        waiting = true;
      }
    }
    setImmediate(turn);
    return {};
  },

  // One send() at a time; false means that the kernel took nothing, and drain says when to go on.
  async send(options, tally) {
    const { ports, size, batch, connected } = options;
    const payload = Buffer.alloc(size, 'k');
    let next = 0;
    let waiting = false;
    const socket = await openSender(options, () => {
      if (!waiting) return;
      waiting = false;
      turn();
    });
    function turn() {
      for (let i = 0; i < batch; i++) {
        const taken = connected ? socket.send(payload) : socket.send(payload, ports[next], hostname);
        if (!taken) {
          waiting = true;
          return;
        }
        tally.count++;
        tally.bytes += size;
        if (++next === ports.length) next = 0;
      }
      setImmediate(turn);
    }
    setImmediate(turn);
    return {};
  },

  'send-callbacks'() {
    throw new Unavailable('Bun.udpSocket has no callback for a finished send');
  },
};
