// A server that does not answer: what was tried leaves no socket, and the process may end.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { runProgram } from '../support/child.js';
import { Nats } from '../support/nats.js';
import { test } from '../support/test.js';

/** It takes connections, and says only that. */
async function silent(says = ''): Promise<Server & AsyncDisposable & { url: string }> {
  const server = createServer((socket) => {
    socket.on('error', () => {}).resume();
    socket.write(says);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as { port: number };
  return Object.assign(server, { url: `nats://127.0.0.1:${port}` });
}

test('a connect that takes too long leaves no socket: the process ends by itself', async () => {
  await using mute = await silent();
  const info = { server_id: 'x', version: '2.10.0', max_payload: 1_048_576, proto: 1, headers: true };
  await using deaf = await silent(`INFO ${JSON.stringify(info)}\r\n`);
  await using secret = await silent(`INFO ${JSON.stringify({ ...info, tls_required: true })}\r\n`);
  const program = async (urls: string[]) => {
    const { createCollector, jetstream } = await import('ksocket/collect');
    const { consume } = await import('ksocket/consume');
    const attempts = urls.flatMap((servers) => {
      const given = { servers, stream: 'S', timeoutMs: 200 };
      const collector = createCollector({ address: '127.0.0.1', sink: jetstream({ ...given, subject: 'a' }) });
      return [() => collector.start(), () => collector.start(), () => consume({ ...given, durable: 'd' }).open()];
    });
    const started = performance.now();
    for (const attempt of attempts) {
      const told = await attempt().then(
        () => 'nothing is wrong',
        (error) => error.code,
      );
      await new Promise((resolve) => setTimeout(resolve, 20)); // handles close behind a turn of the loop
      const open = process.getActiveResourcesInfo().filter((name) => /TCP|TLS|Timeout/.test(name));
      console.log([told, ...open].join(' '));
    }
    process.on('exit', () => console.log(performance.now() - started < 5000 ? 'soon' : 'late'));
  };
  const { code, stdout, stderr } = await runProgram(program, [[mute.url, deaf.url, secret.url]]);
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(stdout.trim().split('\n'), [...new Array(9).fill('ETIMEDOUT'), 'soon']);
});

test('of several servers the first does not answer: one socket is open, to the other one', async () => {
  await using nats = await Nats.start();
  await nats.stream({ name: 'LOGS', subjects: ['logs.>'] });
  await using mute = await silent();
  const program = async (servers: string[]) => {
    const { createCollector, jetstream } = await import('ksocket/collect');
    const sink = jetstream({ servers, stream: 'LOGS', subject: 'logs.a', timeoutMs: 1000 });
    const collector = createCollector({ address: '127.0.0.1', sink });
    await collector.start();
    const sockets = () => process.getActiveResourcesInfo().filter((name) => /TCP/.test(name)).length;
    const before = sockets();
    await collector.stop();
    await new Promise((resolve) => setTimeout(resolve, 20)); // handles close behind a turn of the loop
    console.log(before, sockets());
  };
  for (let i = 0; i < 4; i++) {
    // The client of NATS takes them in any order.
    const { code, stdout, stderr } = await runProgram(program, [[mute.url, ...nats.servers]]);
    assert.deepEqual([code, stdout, stderr], [0, '1 0\n', '']);
  }
});

test('stop() and close() while the connection is being made anew leave nothing', async () => {
  await using nats = await Nats.start();
  await nats.stream({ name: 'LOGS', subjects: ['logs.>'] });
  const program = async (servers: string[], pid: number) => {
    const { createCollector, jetstream } = await import('ksocket/collect');
    const { consume } = await import('ksocket/consume');
    const given = { servers, stream: 'LOGS', timeoutMs: 300 };
    const collector = createCollector({ address: '127.0.0.1', sink: jetstream({ ...given, subject: 'logs.a' }) });
    const consumption = consume({ ...given, durable: 'a' });
    await Promise.all([collector.start(), consumption.open()]);
    process.kill(pid, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 4000)); // two pings, and some attempts
    await Promise.all([collector.stop({ timeoutMs: 100 }), consumption.close()]);
    await new Promise((resolve) => setTimeout(resolve, 20)); // handles close behind a turn of the loop
    console.log(process.getActiveResourcesInfo().filter((name) => /TCP/.test(name)).length);
    const stopped = performance.now();
    process.on('exit', () => console.log(performance.now() - stopped < 2000 ? 'soon' : 'late'));
  };
  const { code, stdout, stderr } = await runProgram(program, [nats.servers, nats.nodes[0].pid]);
  assert.deepEqual([code, stdout, stderr], [0, '0\nsoon\n', '']);
});
