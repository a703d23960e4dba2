import assert from 'node:assert/strict';
import { dirname, relative } from 'node:path';
import { createServer, type Server } from 'ksocket';
import { buildHandler } from '../support/handlers.js';
import { Sockets } from '../support/peer.js';
import { heldAtRest, untilHeldIs } from '../support/process.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

const upper = buildHandler('examples/handler/upper.c');

async function started(options: Parameters<typeof createServer>[0]): Promise<Server & AsyncDisposable> {
  const server = createServer({ address: '127.0.0.1', port: 0, ...options });
  await server.start();
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.stop() });
}

async function ask(server: Server, requests: string[]): Promise<string[]> {
  await using sockets = new Sockets();
  const socket = sockets.make();
  const answers: string[] = [];
  socket.on('message', (data) => answers.push(`${data}`));
  for (const request of requests) socket.send(request, server.address()?.port as number, '127.0.0.1');
  await waitFor(
    () => answers.length === requests.length,
    () => `${answers.length} answers`,
  );
  return answers;
}

test('a handler in C answers on the server’s thread, with its argument', async () => {
  const before = await heldAtRest();
  {
    await using server = await started({ handler: upper, handlerArgument: '> ' });
    assert.deepEqual(await ask(server, ['one', '', 'x'.repeat(500)]), ['> ONE', '> ', `> ${'X'.repeat(500)}`]);
    assert.deepEqual(await ask(server, ['?']), ['3']);
    await waitFor(() => server.stats().txDatagrams === 4, 'the count, which comes behind the sending');
  }
  await untilHeldIs(before);
});

test('a handler starts afresh with the server', async () => {
  const server = createServer({ address: '127.0.0.1', port: 0, handler: upper });
  for (let i = 0; i < 3; i++) {
    await server.start();
    assert.deepEqual(await ask(server, ['a', '?']), ['A', '1']);
    await server.stop();
  }
});

test('a handler hands on to JavaScript what it likes', async () => {
  await using server = await started({ handler: buildHandler('native/test/support/handlers/tester.c') });
  const got: string[] = [];
  server.on('datagram', (data, source) => got.push(`${data} ${source.size}`));
  assert.deepEqual(await ask(server, ['x', '2 y', 'z'].slice(0, 1)), ['x']);
  assert.deepEqual(await ask(server, ['y', 'wild']), ['y', 'tame']);
  await using sockets = new Sockets();
  sockets.make().send('js', server.address()?.port as number, '127.0.0.1');
  await waitFor(() => got.length > 0);
  assert.deepEqual(got, ['js 2']);
});

test('a relative path is one from the working directory', async () => {
  await using server = await started({ handler: relative(process.cwd(), upper) });
  assert.deepEqual(await ask(server, ['a']), ['A']);
});

test('a handler that cannot be loaded is an error that says why, and nothing stays open', async () => {
  const before = await heldAtRest();
  const refused: [options: Parameters<typeof createServer>[0], words: RegExp][] = [
    [{ handler: '/no/such/file.so' }, /No such file/],
    [{ handler: buildHandler('native/test/support/handlers/nothing.c') }, /no symbol ksocket_get_handler/],
    [{ handler: buildHandler('native/test/support/handlers/later_version.c') }, /version 2.*this is version 1/],
    [{ handler: upper, handlerArgument: 'x'.repeat(64) }, /longer than 63 bytes/],
    [{ handler: dirname(upper) }, /./],
  ];
  for (const [options, words] of refused) {
    const server = createServer({ address: '127.0.0.1', port: 0, ...options });
    await assert.rejects(server.start(), { code: 'ERR_DLOPEN_FAILED', message: words });
    assert.equal(server.running, false);
  }
  await untilHeldIs(before);
});

test('wrong handler options are refused', () => {
  assert.throws(() => createServer({ handler: 5 as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => createServer({ handler: './x.so', handlerArgument: 5 as never }), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
  assert.throws(() => createServer({ handler: './x.so', reply: 'x' }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /options\.reply.*together with handler/,
  });
});
