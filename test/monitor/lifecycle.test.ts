// Starting, stopping, ending: a monitor leaves nothing behind and keeps nobody.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createTcpServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker, WorkerOptions } from 'node:worker_threads';
import { createServer } from 'ksocket';
import { createMonitor, type MonitorOptions } from 'ksocket/monitor';
import { runProgram, startProgram } from '../support/child.js';
import { ask, askJson, portOf } from '../support/monitor.js';
import { bound, Inbox, Sockets, sent } from '../support/peer.js';
import { heldAtRest, untilHeldIs } from '../support/process.js';
import { test } from '../support/test.js';
import { uncaughtWhile } from '../support/uncaught.js';
import { waitFor } from '../support/wait.js';

const anyServer = () => createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });

test('a listener of its end that throws is the program’s error, and it has stopped', async () => {
  const monitor = createMonitor({ servers: [anyServer()] });
  monitor.once('close', () => {
    throw new Error('close');
  });
  const thrown = await uncaughtWhile(async (thrown) => {
    await monitor.start();
    await monitor.stop();
    await waitFor(() => thrown.length === 1, 'what its listener has thrown');
  });
  assert.deepEqual([thrown, monitor.address()], [['close'], null]);
});

test('it starts, stops and starts again; the port is free in between', async () => {
  const server = anyServer();
  const monitor = createMonitor({ servers: [server] });
  assert.equal(monitor.address(), null);
  await monitor.stop(); // nothing to do
  await monitor.start();
  const address = monitor.address();
  assert.deepEqual({ ...address, port: 0 }, { address: '127.0.0.1', family: 'IPv4', port: 0 });
  await monitor.start(); // stays as it is
  assert.deepEqual(monitor.address(), address);
  let closes = 0;
  monitor.on('close', () => closes++);
  await monitor.stop();
  assert.equal(monitor.address(), null);
  assert.equal(closes, 1);

  const next = createMonitor({ servers: [server], port: address?.port });
  await next.start();
  assert.equal(portOf(next), address?.port);
  await next.stop();
  await monitor.start();
  assert.equal((await ask(portOf(monitor), '/metrics')).status, 200);
  await monitor.stop();
});

test('calls of start() and stop() take effect in their order', async () => {
  const monitor = createMonitor({ servers: [anyServer()] });
  await Promise.all([monitor.start(), monitor.stop(), monitor.start(), monitor.stop()]);
  assert.equal(monitor.address(), null);
});

test('stop() ends open connections and leaves no descriptor', async () => {
  const server = anyServer();
  await server.start();
  const warm = createMonitor({ servers: [server] });
  await warm.start(); // what Node opens once for workers is open
  await warm.stop();
  await server.stop();
  const before = await heldAtRest();
  await server.start();
  for (let i = 0; i < 5; i++) {
    const monitor = createMonitor({ servers: [server] });
    await monitor.start();
    const { connect } = await import('node:net');
    const idle = connect(portOf(monitor), '127.0.0.1');
    await once(idle, 'connect');
    await ask(portOf(monitor), '/stats.json');
    idle.on('error', () => {}); // a reset is an end, too
    const ended = once(idle, 'close');
    await monitor.stop();
    idle.resume();
    await ended;
  }
  await server.stop();
  await untilHeldIs(before);
});

test('a busy port is the error that node:http has', async () => {
  const other = createTcpServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const monitor = createMonitor({ servers: [anyServer()], port });
  try {
    await assert.rejects(monitor.start(), {
      name: 'Error',
      message: `listen EADDRINUSE: address already in use 127.0.0.1:${port}`,
      code: 'EADDRINUSE',
      syscall: 'listen',
      address: '127.0.0.1',
      port,
    });
    assert.equal(monitor.address(), null);
  } finally {
    other.close();
    await once(other, 'close');
  }
  await monitor.start(); // it can be tried again
  assert.equal(portOf(monitor), port);
  await monitor.stop();
});

test('an address of another machine, a name that does not exist', async () => {
  await assert.rejects(createMonitor({ servers: [anyServer()], host: '192.0.2.1' }).start(), {
    code: 'EADDRNOTAVAIL',
    address: '192.0.2.1',
  });
  await assert.rejects(createMonitor({ servers: [anyServer()], host: 'no.such.name.invalid' }).start(), {
    syscall: 'getaddrinfo',
    hostname: 'no.such.name.invalid',
  });
});

test('bad options', () => {
  const server = anyServer();
  const bad: [options: unknown, code: string, message: RegExp][] = [
    [undefined, 'ERR_INVALID_ARG_TYPE', /"options"/],
    [null, 'ERR_INVALID_ARG_TYPE', /"options"/],
    [{}, 'ERR_INVALID_ARG_TYPE', /options\.servers/],
    [{ servers: server }, 'ERR_INVALID_ARG_TYPE', /options\.servers/],
    [{ servers: [] }, 'ERR_INVALID_ARG_VALUE', /options\.servers/],
    [{ servers: [server, {}] }, 'ERR_INVALID_ARG_TYPE', /options\.servers\[1\]/],
    [{ servers: [null] }, 'ERR_INVALID_ARG_TYPE', /options\.servers\[0\]/],
    [{ servers: [server], host: 1 }, 'ERR_INVALID_ARG_TYPE', /options\.host/],
    [{ servers: [server], port: 65536 }, 'ERR_SOCKET_BAD_PORT', /options\.port/],
    [{ servers: [server], port: 'http' }, 'ERR_SOCKET_BAD_PORT', /options\.port/],
    [{ servers: [server], maxLagMs: '1' }, 'ERR_INVALID_ARG_TYPE', /options\.maxLagMs/],
    [{ servers: [server], maxLagMs: 0 }, 'ERR_OUT_OF_RANGE', /options\.maxLagMs/],
    [{ servers: [server], maxLagMs: 1.5 }, 'ERR_OUT_OF_RANGE', /options\.maxLagMs/],
  ];
  for (const [options, code, message] of bad) {
    assert.throws(() => createMonitor(options as MonitorOptions), { code, message }, String(code));
  }
});

test('a thread that fails is an error of the monitor, which can be started again', async () => {
  const monitor = createMonitor({ servers: [anyServer()] });
  for (let round = 0; round < 2; round++) {
    const made = once(process, 'worker') as Promise<[Worker]>;
    await monitor.start();
    const [worker] = await made;
    const told = once(monitor, 'error');
    worker.emit('error', new Error('out of memory'));
    assert.equal((await told)[0].message, 'out of memory');
    assert.equal(monitor.address(), null);
    worker.emit('error', new Error('once is enough')); // it is not the monitor's any more
    await once(worker, 'exit');
  }
  await monitor.stop();
});

test('latencies are measured only while a monitor runs', async () => {
  const server = anyServer();
  await server.start();
  const port = server.address()?.port ?? 0;
  const monitor = createMonitor({ servers: [server] });
  const second = createMonitor({ servers: [server] });
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  const inbox = new Inbox(client);
  await bound(client);
  let echoes = 0;
  const echo = async () => {
    await sent(client, 'hello', port);
    await inbox.take(++echoes);
  };
  const measured = async () => (await askJson(portOf(monitor), '/stats.json')).servers[0].latency.count;
  try {
    await echo(); // unobserved
    await monitor.start();
    await echo();
    assert.equal(await measured(), 1);
    await second.start();
    await echo();
    await second.stop(); // the other one still wants them
    await echo();
    assert.equal(await measured(), 3);
    await monitor.stop();
    await echo(); // unobserved
    await monitor.start();
    assert.equal(await measured(), 3);
    assert.equal((await askJson(portOf(monitor), '/stats.json')).servers[0].stats.rxDatagrams, 5);
  } finally {
    await monitor.stop();
    await server.stop();
  }
});

test('a process that serves ends cleanly by process.exit()', async () => {
  const result = await runProgram(async () => {
    const { createServer } = await import('ksocket');
    const { createMonitor } = await import('ksocket/monitor');
    const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
    const monitor = createMonitor({ servers: [server] });
    await server.start();
    await monitor.start();
    await fetch(`http://127.0.0.1:${monitor.address()?.port}/metrics`);
    console.log('bye');
    process.exit(3);
  }, []);
  assert.deepEqual([result.code, result.stdout, result.stderr], [3, 'bye\n', '']);
});

test('a thread of its that fails to start is why start() is refused, and the next one may work', async () => {
  const { code, stdout, stderr } = await runProgram(async () => {
    const { syncBuiltinESMExports } = await import('node:module');
    const { default: threads } = await import('node:worker_threads');
    const { Worker } = threads;
    let failing = true;
    threads.Worker = class extends Worker {
      constructor(file: URL, options?: WorkerOptions) {
        if (failing) super('throw new Error("no thread today")', { ...options, eval: true });
        else super(file, options);
      }
    };
    syncBuiltinESMExports();
    const { createServer } = await import('ksocket');
    const { createMonitor } = await import('ksocket/monitor');
    const monitor = createMonitor({ servers: [createServer({ address: '127.0.0.1', port: 0, reply: 'echo' })] });
    await monitor.start().catch(({ message }) => console.log(message, monitor.address()));
    failing = false;
    await monitor.start();
    console.log(monitor.address()?.address);
    await monitor.stop();
  }, []);
  assert.deepEqual([code, stdout, stderr], [0, 'no thread today null\n127.0.0.1\n', '']);
});

test('it keeps the process alive, unless it was unref’d', async () => {
  const program = async (unref: boolean) => {
    const { createServer } = await import('ksocket');
    const { createMonitor } = await import('ksocket/monitor');
    const server = createServer({ address: '127.0.0.1', port: 0, reply: 'echo' });
    const monitor = createMonitor({ servers: [server] });
    if (unref) monitor.unref();
    await monitor.start();
    console.log(monitor.address()?.port);
    process.on('SIGTERM', () => void monitor.stop().then(() => console.log('stopped')));
  };
  const unrefd = await runProgram(program, [true]);
  assert.deepEqual([unrefd.code, unrefd.stderr], [0, '']);
  await using child = startProgram(program, [false]);
  const port = Number((await child.line(/^(\d+)$/))[1]);
  await waitFor(async () => (await askJson(port, '/stats.json')).sample.sequence >= 2, 'it stays');
  child.kill('SIGTERM');
  const { code, stdout, stderr } = await child.end();
  assert.deepEqual([code, stdout, stderr], [0, `${port}\nstopped\n`, '']);
});

test('one that is unref’d while it starts is waited for, and then keeps nobody', async () => {
  const program = async (calls: ('ref' | 'unref')[]) => {
    const { createServer } = await import('ksocket');
    const { createMonitor } = await import('ksocket/monitor');
    const monitor = createMonitor({ servers: [createServer({ address: '127.0.0.1', port: 0, reply: 'echo' })] });
    const starting = monitor.start();
    await Promise.resolve(); // the thread is there, and does not listen yet
    for (const call of calls) monitor[call]();
    console.log(monitor.address());
    await starting;
    console.log(monitor.address() !== null);
  };
  for (const calls of [['unref'], ['unref', 'ref', 'unref']] as const) {
    const result = await runProgram(program, [[...calls]]);
    assert.deepEqual(result, { code: 0, signal: null, stdout: 'null\ntrue\n', stderr: '' }, calls.join());
  }
  await using kept = startProgram(program, [['unref', 'ref']]);
  await kept.line(/^true$/);
  await sleep(100);
  assert.equal(kept.process.exitCode, null, 'it runs');
});

test('two monitors of several servers, on IPv6 where there is one', async () => {
  const servers = [anyServer(), anyServer()];
  const monitors = [createMonitor({ servers }), createMonitor({ servers, host: 'localhost' })];
  await Promise.all([...servers, ...monitors].map((each) => each.start()));
  try {
    for (const monitor of monitors) {
      const { address: host = '', port = 0 } = monitor.address() ?? {};
      const { body, status } = await ask(port, '/stats.json', { host });
      assert.equal(status, 200);
      assert.deepEqual(
        JSON.parse(body).servers.map(({ name }: { name: string }) => name),
        servers.map((server) => `127.0.0.1:${server.address()?.port}`),
      );
    }
  } finally {
    await Promise.all([...monitors, ...servers].map((each) => each.stop()));
  }
});
