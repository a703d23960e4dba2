// A child process of `ksocket compare`: one program under load, or the load. Talks to its parent by messages:
// gets { options }, says { port }, gets { port?, seconds }, says { report }.
import dgram from 'node:dgram';
import { createSocket, type Socket } from '../../socket/socket.js';
import type { PeerOptions, PeerReport } from './scenarios.js';

interface Start {
  /** Where to send to. */
  port: number;
  seconds: number;
}

const BLOCKED_MS = 500;

function open(options: PeerOptions): Promise<Socket> {
  const make = (options.library === 'dgram' ? dgram.createSocket : createSocket) as typeof createSocket;
  const socket = make({ type: 'udp4', gso: options.gso ?? true });
  return new Promise((resolve) => socket.bind(0, '127.0.0.1', () => resolve(socket)));
}

let over = false; // what is sent now, nobody counts

/** Runs for the given time and says how much CPU the whole process used. */
async function measure(seconds: number, count: () => number): Promise<PeerReport> {
  const [cpu, start, before] = [process.cpuUsage(), performance.now(), count()];
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  over = true;
  const { user, system } = process.cpuUsage(cpu);
  return { count: count() - before, seconds: (performance.now() - start) / 1000, cpuMicros: user + system };
}

function receiver(socket: Socket): (start: Start) => Promise<PeerReport> {
  let received = 0;
  socket.on('message', () => received++);
  return ({ seconds }) => measure(seconds, () => received);
}

// Lets the loop turn now and then, so that timers run.
function repeat(send: () => number) {
  let sent = 0;
  const turn = () => {
    if (over) return;
    sent += send();
    setImmediate(turn);
  };
  turn();
  return () => sent;
}

const RUN = 1024;
const OUTSTANDING = 64;

function runOf(payload: Buffer, port: number): (Buffer | number | string)[] {
  return Array.from({ length: RUN }, () => [payload, port, '127.0.0.1']).flat();
}

const roles: Record<
  PeerOptions['role'],
  (socket: Socket, options: PeerOptions) => (start: Start) => Promise<PeerReport>
> = {
  receive: receiver,
  sink: (socket) => {
    socket.on('batch', () => {});
    return ({ seconds }) => measure(seconds, () => 0);
  },
  echo: (socket) => {
    socket.on('message', (msg, { port, address }) => socket.send(msg, port, address));
    return ({ seconds }) => measure(seconds, () => 0);
  },
  flood:
    (socket, { bytes }) =>
    ({ port, seconds }) => {
      const list = runOf(Buffer.alloc(bytes ?? 64), port);
      return measure(
        seconds,
        repeat(() => socket.sendMany(list)),
      );
    },
  send:
    (socket, { bytes, library }) =>
    ({ port, seconds }) => {
      const payload = Buffer.alloc(bytes ?? 64);
      if (library === 'ksocket') {
        const list = runOf(payload, port);
        return measure(
          seconds,
          repeat(() => socket.sendMany(list)),
        );
      }
      return sendWithCallbacks(socket, payload, port, seconds);
    },
  'send-callback':
    (socket, { bytes }) =>
    ({ port, seconds }) =>
      sendWithCallbacks(socket, Buffer.alloc(bytes ?? 64), port, seconds),
  ping:
    (socket, { bytes }) =>
    ({ port, seconds }) =>
      ping(socket, Buffer.alloc(bytes ?? 64), port, seconds),
  paced:
    (socket, { bytes, rate }) =>
    async ({ port, seconds }) => {
      const payload = Buffer.alloc(bytes ?? 64);
      const start = performance.now();
      let sent = 0;
      const send = () => {
        const due = Math.floor(((performance.now() - start) / 1000) * (rate ?? 0)) - sent;
        sent += Math.max(0, due);
        return due > 0 ? socket.sendMany(Array.from({ length: due }, () => [payload, port, '127.0.0.1']).flat()) : 0;
      };
      const report = await measure(seconds, repeat(send));
      return { ...report, count: sent };
    },
  // Blocks the event loop in the middle, and lets it catch up before it reports.
  blocked: (socket) => {
    let received = 0;
    socket.on('message', () => received++);
    return async ({ seconds }) => {
      setTimeout(() => {
        const until = performance.now() + BLOCKED_MS;
        while (performance.now() < until);
      }, 100);
      return measure(seconds + 0.4, () => received);
    };
  },
};

function sendWithCallbacks(socket: Socket, payload: Buffer, port: number, seconds: number): Promise<PeerReport> {
  let sent = 0;
  let outstanding = 0;
  let resting = false;
  const send = () => {
    outstanding++;
    socket.send(payload, port, '127.0.0.1', () => {
      sent++;
      outstanding--;
      // A chain of callbacks alone would starve the timer that ends the measurement: all rest, then all start again.
      resting ||= sent % (RUN * 16) === 0;
      if (!resting) send();
      else if (outstanding === 0) setImmediate(start);
    });
  };
  const start = () => {
    resting = false;
    for (let i = 0; i < OUTSTANDING; i++) send();
  };
  start();
  return measure(seconds, () => sent);
}

async function ping(socket: Socket, payload: Buffer, port: number, seconds: number): Promise<PeerReport> {
  const times: number[] = [];
  let sentAt = 0;
  const send = () => {
    sentAt = performance.now();
    socket.send(payload, port, '127.0.0.1');
  };
  socket.on('message', () => {
    times.push(performance.now() - sentAt);
    send();
  });
  send();
  const report = await measure(seconds, () => times.length);
  const sorted = Float64Array.from(times.slice(times.length >> 3)).sort(); // the first ones warm up
  return { ...report, p50: sorted[sorted.length >> 1] * 1000 };
}

process.once('message', async ({ options }: { options: PeerOptions }) => {
  const socket = await open(options);
  const start = roles[options.role](socket, options);
  process.once('message', async (message: Start) => {
    process.send?.({ report: await start(message) }, () => process.exit());
  });
  process.send?.({ port: socket.address().port });
});
process.once('disconnect', () => process.exit());
