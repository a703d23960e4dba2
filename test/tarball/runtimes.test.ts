// The installed tarball on every runtime that we name: receiving, sending, batches, sendMany, a server, workers, register.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { nodeBinary } from '../dgram/nodes.js';
import { test } from '../support/test.js';
import { Consumer, received } from './consumer.js';
import { bun, deno, tool } from './tools.js';

/** One line of output for each thing that works. */
const smoke = `
import { createServer, createSocket, features } from 'ksocket';
import { Worker, isMainThread, parentPort } from 'node:worker_threads';

const say = (line) => (isMainThread ? console.log(line) : parentPort.postMessage(line));
const bound = (socket) => new Promise((resolve) => socket.bind(0, '127.0.0.1', () => resolve(socket.address().port)));
const closed = (socket) => new Promise((resolve) => socket.close(resolve));

const receiver = createSocket('udp4');
const sender = createSocket('udp4');
const port = await bound(receiver);
const heard = new Promise((resolve) => receiver.once('message', (data, { address }) => resolve(\`\${data} \${address}\`)));
await new Promise((resolve, reject) => sender.send('message', port, '127.0.0.1', (error) => (error ? reject(error) : resolve())));
say(await heard);

let batched = 0;
const all = new Promise((resolve) => receiver.on('batch', (batch) => (batched += batch.length) >= 100 && resolve()));
const taken = sender.sendMany(Array.from({ length: 100 }, () => [Buffer.from('many'), port, '127.0.0.1']).flat());
await all;
say(\`sendMany \${taken}, batches \${batched}\`);
const { rxDatagrams } = receiver.stats();
await Promise.all([closed(receiver), closed(sender)]);
say(\`received \${rxDatagrams}\`);

const looped = createSocket('udp4');
const own = await bound(looped);
looped.send('iterated', own, '127.0.0.1');
for await (const { data } of looped) {
  say(String(data));
  break;
}
await closed(looped);

const server = createServer({ port: 0, address: '127.0.0.1', rules: [{ match: { exact: 'ping' }, action: { reply: 'pong' } }] });
await server.start();
const client = createSocket('udp4');
const answer = new Promise((resolve) => client.once('message', (data) => resolve(String(data))));
client.send('ping', server.address().port, '127.0.0.1');
say(\`server \${await answer}\`);
await Promise.all([server.stop(), closed(client)]);

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  worker.on('message', (line) => console.log('worker', line));
  await new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject));
  console.log(features().engine);
}
`;

const lines = ['message 127.0.0.1', 'sendMany 100, batches 100', 'received 101', 'iterated', 'server pong'];
const expected = [...lines, ...lines.map((line) => `worker ${line}`), 'mmsg'].map((line) => `${line}\n`).join('');

const onDgram = received.replace('mmsg', 'dgram');

const registered = `
import { createSocket } from 'node:dgram';
const socket = createSocket('udp4', (data) => {
  console.log(String(data), typeof socket.sendMany);
  socket.close();
});
socket.bind(0, '127.0.0.1', () => socket.send('registered', socket.address().port, '127.0.0.1'));
`;

async function installed(): Promise<Consumer> {
  const consumer = new Consumer();
  await consumer.install();
  consumer.write('smoke.mjs', smoke);
  consumer.write('registered.mjs', registered);
  return consumer;
}

for (const major of [20, 22, 24, 26]) {
  test(`Node ${major}`, async () => {
    using consumer = await installed();
    const node = nodeBinary(major);
    assert.equal(await consumer.runWell(node, ['smoke.mjs']), expected);
    const output = await consumer.runWell(node, ['--import', 'ksocket/register', 'registered.mjs']);
    assert.equal(output, 'registered function\n');
    consumer.write('required.cjs', "const { createSocket } = require('ksocket'); console.log(typeof createSocket);");
    assert.equal(await consumer.runWell(node, ['--no-warnings', 'required.cjs']), 'function\n');
  });
}

test('the oldest Node of each line that the manifest names', async () => {
  using consumer = await installed();
  const { engines } = JSON.parse(readFileSync(consumer.path('node_modules/ksocket/package.json'), 'utf8'));
  // Node 21, and 22 before 22.12, lack what the package is loaded with: process.getBuiltinModule, require() of modules.
  assert.equal(engines.node, '^20.19.0 || >=22.12.0');
  const name = `node-${process.platform}-${process.arch}`;
  for (const oldest of ['20.19.0', '22.12.0']) {
    const node = tool(`${name}@${oldest}`, `${name}/bin/node`);
    for (const backend of ['addon', 'dgram']) {
      const env = { KSOCKET_BACKEND: backend };
      const output = await consumer.runWell(node, ['smoke.mjs'], { env });
      assert.equal(output, backend === 'addon' ? expected : expected.replace(/mmsg\n$/, 'dgram\n'));
    }
    consumer.write('required.cjs', "console.log(typeof require('ksocket').createSocket);");
    assert.equal(await consumer.runWell(node, ['--no-warnings', 'required.cjs']), 'function\n');
  }
});

test('a process of which only workers have loaded it ends well', async () => {
  using consumer = await installed();
  consumer.write(
    'workers.mjs',
    `import { Worker, isMainThread } from 'node:worker_threads';
     if (isMainThread) {
       for (let i = 0; i < 3; i++) {
         await new Promise((resolve) => new Worker(new URL(import.meta.url)).on('exit', resolve));
         console.log('ended');
       }
     } else {
       const { createSocket } = await import('ksocket');
       const socket = createSocket('udp4', () => socket.close());
       socket.bind(0, '127.0.0.1', () => socket.send('hello', socket.address().port, '127.0.0.1'));
     }`,
  );
  for (const major of [20, 24]) {
    assert.equal(await consumer.runWell(nodeBinary(major), ['workers.mjs']), 'ended\nended\nended\n');
  }
});

test('Bun', async () => {
  using consumer = await installed();
  const env = {};
  assert.equal(await consumer.runWell(bun(), ['smoke.mjs'], { env }), expected);
  const output = await consumer.runWell(bun(), ['--preload', 'ksocket/register', 'registered.mjs'], { env });
  assert.equal(output, 'registered function\n');
});

test('Deno', async () => {
  using consumer = await installed();
  const env = { DENO_DIR: consumer.path('.deno'), NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' };
  assert.equal(await consumer.runWell(deno(), ['run', '--allow-all', 'smoke.mjs'], { env }), expected);
});

test('Deno without the addon: a bound socket keeps the program running', async () => {
  using consumer = await installed();
  const env = { DENO_DIR: consumer.path('.deno'), NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1', KSOCKET_BACKEND: 'dgram' };
  assert.equal(await consumer.runWell(deno(), ['run', '--allow-all', 'receive.mjs'], { env }), onDgram);
  const output = await consumer.runWell(deno(), ['run', '--allow-all', 'smoke.mjs'], { env });
  assert.equal(output, expected.replace(/mmsg\n$/, 'dgram\n'));
});
