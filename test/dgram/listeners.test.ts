// Who hears a 'message', whatever a program does to its listeners and to what calls them: as with node:dgram.
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { EventEmitter } from 'node:events';
import * as ksocket from 'ksocket';
import { addonTest } from '../support/backend.js';
import { runProgram } from '../support/child.js';
import { bound, closed, Sockets } from '../support/peer.js';
import { sendWhileBlocked } from '../support/programs.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

type Implementation = typeof ksocket;
const implementations: Record<string, Implementation> = { ksocket, 'node:dgram': dgram as unknown as Implementation };
const DATAGRAMS = 6;

interface Case {
  make?: (implementation: Implementation) => ksocket.Socket;
  /** How many lines there will be. */
  lines: number;
  listen: (socket: ksocket.Socket, log: (line: string) => void) => void;
}

/** The datagrams come in one go, so that nothing but the listeners runs in between. Both must come to the same. */
async function same({ make = ({ createSocket }) => createSocket('udp4'), lines, listen }: Case): Promise<void> {
  const logs: Record<string, string[]> = {};
  for (const [name, implementation] of Object.entries(implementations)) {
    const log: string[] = [];
    logs[name] = log;
    const socket = make(implementation);
    try {
      listen(socket, (line) => log.push(line));
      sendWhileBlocked({ port: await bound(socket), count: DATAGRAMS, bytes: 8 });
      await waitFor(
        () => log.length >= lines,
        () => `${log.length} of ${lines} lines with ${name}`,
      );
    } finally {
      await closed(socket);
    }
  }
  assert.equal(logs['node:dgram'].length, lines);
  assert.deepEqual(logs.ksocket, logs['node:dgram']);
}

const numbered = (log: (line: string) => void, name: string) => (data: Buffer) => log(`${name} ${data[0]}`);

test('a listener that another takes the place of is heard no more', () =>
  same({
    lines: DATAGRAMS,
    listen(socket, log) {
      const first = (data: Buffer) => {
        log(`first ${data[0]}`);
        if (data[0] < 2) return;
        socket.off('message', first);
        socket.on('message', numbered(log, 'second'));
      };
      socket.on('message', first);
    },
  }));

test('listeners that come and go in the middle of a burst hear what is theirs', () =>
  same({
    lines: DATAGRAMS + 4,
    listen(socket, log) {
      const second = numbered(log, 'second');
      const third = numbered(log, 'third');
      socket.addListener('message', (data) => {
        log(`first ${data[0]}`);
        if (data[0] === 0) socket.prependListener('message', second); // hears 1 and 2
        if (data[0] === 2) socket.removeListener('message', second);
        if (data[0] === 3) socket.once('message', third); // 4
        if (data[0] === 4) socket.prependOnceListener('message', third); // 5
      });
    },
  }));

test('once() hears one of a burst, whoever is alone after it', () =>
  same({
    lines: 3,
    listen(socket, log) {
      socket.once('message', (data) => {
        log(`once ${data[0]}`);
        socket.once('message', (next) => {
          log(`again ${next[0]}`);
          const last = (third: Buffer) => {
            log(`last ${third[0]}`);
            socket.removeAllListeners();
          };
          socket.on('message', last);
        });
      });
    },
  }));

test('removeAllListeners() of an event leaves the others', () =>
  same({
    lines: DATAGRAMS + 1,
    listen(socket, log) {
      socket.on('removeListener', (event) => event === 'message' && log('gone'));
      socket.on('message', numbered(log, 'first'));
      socket.removeAllListeners('message');
      socket.on('message', numbered(log, 'second'));
      socket.removeAllListeners('error');
    },
  }));

test('a listener that was refused or taken away while another one threw is in its place', () =>
  same({
    lines: DATAGRAMS + 2,
    listen(socket, log) {
      const gone = numbered(log, 'gone');
      socket.on('message', gone);
      const fail = (event: string | symbol) => {
        if (event === 'message') throw new Error('refused');
      };
      socket.on('removeListener', fail);
      try {
        socket.off('message', gone);
      } catch (error) {
        log(`${error}`);
      }
      socket.on('message', numbered(log, 'there'));
      socket.on('newListener', fail);
      try {
        socket.on('message', gone);
      } catch (error) {
        log(`${error}`);
      }
    },
  }));

test('emit() of a socket, of its class and of all emitters is called where a program has replaced it', async () => {
  const through = (log: (line: string) => void) =>
    function (this: EventEmitter, event: string, ...args: unknown[]) {
      if (event === 'message') log(`emit ${(args[0] as Buffer)[0]}`);
      return emit.call(this, event, ...args);
    };
  const { emit } = EventEmitter.prototype;
  const listen: Case['listen'] = (socket, log) => socket.on('message', numbered(log, 'heard'));
  await same({
    lines: 2 * DATAGRAMS,
    listen(socket, log) {
      listen(socket, log);
      socket.emit = through(log) as typeof socket.emit;
    },
  });
  await same({
    lines: DATAGRAMS + 3,
    listen(socket, log) {
      socket.on('message', (data) => {
        log(`heard ${data[0]}`);
        if (data[0] === 2) socket.emit = through(log) as typeof socket.emit;
      });
    },
  });
  let tell: (line: string) => void = () => {};
  await same({
    make({ Socket }) {
      class Own extends Socket {}
      const called = through((line) => tell(line));
      Own.prototype.emit = called as typeof Own.prototype.emit;
      return new Own('udp4');
    },
    lines: 2 * DATAGRAMS,
    listen(socket, log) {
      tell = log;
      listen(socket, log);
    },
  });
  try {
    await same({
      lines: 2 * DATAGRAMS,
      listen(socket, log) {
        listen(socket, log);
        EventEmitter.prototype.emit = through(log) as typeof emit;
      },
    });
  } finally {
    EventEmitter.prototype.emit = emit;
  }
});

const rejecting: Case['listen'] = (socket, log) => {
  socket.on('error', (error) => log(`${error}`));
  socket.on('message', async (data) => {
    log(`heard ${data[0]}`);
    throw new Error(`of ${data[0]}`);
  });
};

test('with captureRejections a listener’s rejection is an error of the socket', async () => {
  EventEmitter.captureRejections = true;
  try {
    await same({ lines: 2 * DATAGRAMS, listen: rejecting });
  } finally {
    EventEmitter.captureRejections = false;
  }
});

test('so it is with a socket that captures rejections by itself', () =>
  same({
    make({ Socket }) {
      class Own extends Socket {}
      const socket = new Own('udp4');
      EventEmitter.call(socket, { captureRejections: true });
      return socket;
    },
    lines: 2 * DATAGRAMS,
    listen: rejecting,
  }));

test('listeners that a program changes without the socket’s methods', () =>
  same({
    lines: DATAGRAMS + 3,
    listen(socket, log) {
      const { on, removeListener, removeAllListeners } = EventEmitter.prototype;
      const second = numbered(log, 'second');
      const first = (data: Buffer) => {
        log(`first ${data[0]}`);
        if (data[0] === 0) on.call(socket, 'message', second);
        if (data[0] === 2) removeListener.call(socket, 'message', first);
        if (data[0] === 2) on.call(socket, 'message', third);
      };
      const third = (data: Buffer) => {
        log(`third ${data[0]}`);
        removeAllListeners.call(socket, 'message');
        socket.on('message', numbered(log, 'fourth'));
        (socket as unknown as { _events: { message: unknown } })._events.message = numbered(log, 'fifth');
      };
      on.call(socket, 'message', first);
    },
  }));

test('a class of a program’s may count listeners as it likes', () =>
  same({
    make({ Socket }) {
      class Own extends Socket {}
      Own.prototype.listenerCount = () => 1;
      Own.prototype.rawListeners = () => [];
      return new Own('udp4');
    },
    lines: DATAGRAMS,
    listen: (socket, log) => void socket.on('message', numbered(log, 'heard')),
  }));

test('a loop over a socket finds the same methods', () => {
  const methods = ({ createSocket }: Implementation) => {
    const socket = createSocket('udp4');
    const found = [];
    for (const key in socket) found.push(key);
    socket.close();
    return found.filter((key) => key in EventEmitter.prototype).sort();
  };
  const [ours, nodes] = Object.values(implementations).map(methods);
  assert.ok(nodes.includes('off') && nodes.includes('on'));
  assert.deepEqual(ours, nodes);
});

addonTest(
  'a thread of its own',
  'who takes batches no more hears messages, whatever has taken the listener away',
  async () => {
    await using sockets = new Sockets();
    const socket = sockets.make();
    const heard: string[] = [];
    const batches = (batch: ksocket.Batch) => heard.push(`batch of ${batch.length}`);
    EventEmitter.prototype.on.call(socket, 'batch', batches);
    socket.on(
      'message',
      numbered((line) => heard.push(line), 'message'),
    );
    const port = await bound(socket);
    sendWhileBlocked({ port, count: 2, bytes: 8 });
    await waitFor(() => heard.length > 0);
    EventEmitter.prototype.removeListener.call(socket, 'batch', batches);
    sendWhileBlocked({ port, count: 2, bytes: 8 });
    await waitFor(() => heard.at(-1) === 'message 1');
    assert.deepEqual(heard, ['batch of 2', 'message 0', 'message 1']);
  },
);

test('a domain catches what a listener throws, whenever it was loaded', async () => {
  const program = async (early: boolean) => {
    const load = async () => (await import('node:domain')).default;
    if (early) await load();
    const { createSocket } = await import('ksocket');
    const { setTimeout: sleep } = await import('node:timers/promises');
    const domain = (await load()).create();
    const caught: string[] = [];
    domain.on('error', (error) => caught.push(error.message));
    const socket = createSocket('udp4');
    domain.add(socket);
    socket.on('message', (data) => {
      throw new Error(`${data}`);
    });
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const { port } = socket.address();
    for (const text of ['a', 'b', 'c']) socket.send(text, port, '127.0.0.1');
    for (let waited = 0; caught.length < 3 && waited < 200; waited++) await sleep(10);
    socket.close();
    process.stdout.write(caught.join());
  };
  for (const early of [false, true]) {
    const { code, stdout, stderr } = await runProgram(program, [early]);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: 'a,b,c' }, stderr);
  }
});
