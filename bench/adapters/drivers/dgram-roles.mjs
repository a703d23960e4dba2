// The roles of a program that is written against node:dgram's API. ksocket runs this very code.
import { once } from 'node:events';
import process from 'node:process';

/**
 * @typedef {object} RoleOptions
 * @property {object} [socketOptions] passed to createSocket
 * @property {number} [sockets] how many sockets a receiver opens
 * @property {number[]} [ports] where a sender sends to, in turn
 * @property {number} [size] payload bytes
 * @property {number} [batch] datagrams of one turn of the event loop, or of one sendMany
 * @property {number} [outstanding] sends without a callback yet
 * @property {boolean} [connected]
 */

/** @typedef {import('node:dgram').Socket & { stats?(): object, sendMany?(list: any[]): number }} AnySocket what ksocket adds is optional */

const HOST = process.env.KSOCKET_BENCH_SELF ?? '127.0.0.1'; // an end of a cable: harness/cable.mjs

/** @param {(options: any) => any} createSocket */
export function dgramRoles(createSocket) {
  /**
   * @param {RoleOptions} options
   * @param {{ errors: number }} tally
   * @returns {Promise<AnySocket>}
   */
  async function open(options, tally) {
    const socket = createSocket({ type: 'udp4', ...options.socketOptions });
    socket.bind(0, HOST);
    await once(socket, 'listening');
    socket.on('error', () => tally.errors++);
    return socket;
  }

  /** @param {RoleOptions} options */
  async function openSender(options, tally) {
    const socket = await open(options, tally);
    if (options.connected) {
      socket.connect(options.ports[0], HOST);
      await once(socket, 'connect');
    }
    return socket;
  }

  /** @param {(socket: AnySocket) => void} onOpen */
  async function openReceivers(options, tally, onOpen) {
    const sockets = [];
    for (let i = 0; i < (options.sockets ?? 1); i++) {
      const socket = await open(options, tally);
      onOpen(socket);
      sockets.push(socket);
    }
    return { ports: sockets.map((socket) => socket.address().port), stats: () => sockets[0].stats?.() };
  }

  return {
    open,
    openSender,
    openReceivers,

    roles: {
      receive: (options, tally) =>
        openReceivers(options, tally, (socket) => {
          socket.on('message', (message) => {
            tally.count++;
            tally.bytes += message.length;
          });
        }),

      echo: (options, tally) =>
        openReceivers(options, tally, (socket) => {
          socket.on('message', (message, peer) => {
            tally.count++;
            tally.bytes += message.length;
            socket.send(message, peer.port, peer.address);
          });
        }),

      // send() in a loop, with nothing to wait for: the most that the API can do where sendMany is missing.
      async send(options, tally) {
        const { ports, size, batch, connected } = options;
        const socket = await openSender(options, tally);
        const payload = Buffer.alloc(size, 'k');
        let next = 0;
        setImmediate(function turn() {
          for (let i = 0; i < batch; i++) {
            if (connected) socket.send(payload);
            else socket.send(payload, ports[next], HOST);
            if (++next === ports.length) next = 0;
          }
          // dgram resolves the address first, so the datagrams leave when this turn's ticks have run.
          setImmediate(() => {
            tally.count += batch;
            tally.bytes += batch * size;
            turn();
          });
        });
        return { stats: () => socket.stats?.() };
      },

      // Many sockets, open at once: how long that takes, and how much memory.
      async 'open-sockets'({ sockets }, _tally) {
        await open({}, { errors: 0 }); // what the first one costs is not asked
        const rssBefore = process.memoryUsage().rss;
        const started = performance.now();
        const all = [];
        let listening = 0;
        await new Promise((resolve) => {
          for (let i = 0; i < sockets; i++) {
            const socket = createSocket('udp4');
            socket.bind(0, HOST, () => ++listening === sockets && resolve());
            all.push(socket);
          }
        });
        // Node adds what it is to watch when the loop next waits: until then nobody hears anything.
        await new Promise((resolve) => setImmediate(resolve));
        const openUs = ((performance.now() - started) * 1000) / sockets;
        const socketBytes = (process.memoryUsage().rss - rssBefore) / sockets;
        return { ports: [all[0].address().port], stats: () => ({ openUs, socketBytes }) };
      },

      // Against a socket of its own process that answers.
      async 'sockets-in-turn'(_options, tally) {
        const server = await open({}, tally);
        server.on('message', (message, peer) => server.send(message, peer.port, peer.address));
        const { port } = server.address();
        const payload = Buffer.alloc(32, 'k');
        (function turn() {
          const socket = createSocket('udp4');
          socket.on('error', () => tally.errors++);
          socket.on('message', () => socket.close(turn));
          socket.on('close', () => tally.count++);
          socket.bind(0, HOST, () => socket.send(payload, port, HOST));
        })();
        return {};
      },

      // A window of sends, each with a callback. Refilled once a turn: dgram's callbacks are ticks, and
      // a refill from inside them would starve the event loop.
      async 'send-callbacks'(options, tally) {
        const { ports, size, outstanding } = options;
        const socket = await openSender(options, tally);
        const payload = Buffer.alloc(size, 'k');
        let inFlight = 0;
        let refillScheduled = false;

        function onSent(error) {
          inFlight--;
          if (error) {
            tally.errors++;
          } else {
            tally.count++;
            tally.bytes += size;
          }
          if (refillScheduled) return;
          refillScheduled = true;
          setImmediate(refill);
        }
        function refill() {
          refillScheduled = false;
          while (inFlight < outstanding) {
            inFlight++;
            socket.send(payload, ports[0], HOST, onSent);
          }
        }
        refill();
        return { stats: () => socket.stats?.() };
      },
    },
  };
}
