// Memory that the thread writes to is lent to listeners. No program can take it away from the thread.
import assert from 'node:assert/strict';
import { nodeBinary } from '../dgram/nodes.js';
import { type ChildOptions, runProgram } from '../support/child.js';
import { detachBatches } from '../support/detach-batches.js';
import { test } from '../support/test.js';

const NODES = [20, 22, 24, 26];

async function detachMessages(pooled: boolean): Promise<void> {
  const { createSocket } = await import('ksocket');
  const socket = createSocket({ type: 'udp4', pooled });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  const bad: number[] = [];
  let received = 0;
  await new Promise<void>((resolve) => {
    socket.on('message', (msg) => {
      const memory = msg.buffer as ArrayBuffer & { transfer?: () => void };
      if (msg.length !== (received % 7 === 0 ? 0 : 100) || msg.some((byte) => byte !== received)) bad.push(received);
      try {
        if (memory.transfer) memory.transfer();
        else structuredClone(memory, { transfer: [memory] });
      } catch {} // Node 20 knows that the memory is shared
      if (++received === 60) resolve();
    });
    for (let i = 0; i < 60; i++) socket.send(Buffer.alloc(i % 7 === 0 ? 0 : 100, i), port, '127.0.0.1');
  });
  socket.close();
  console.log(JSON.stringify({ received, bad }));
}

for (const major of NODES) {
  const on = (options: ChildOptions = {}) => ({ ...options, node: nodeBinary(major) });

  test(`the memory of a batch cannot be detached, Node ${major}`, async () => {
    const { code, signal, stdout, stderr } = await runProgram(detachBatches, [], on());
    assert.deepEqual([code, signal, stderr], [0, null, '']);
    assert.deepEqual(JSON.parse(stdout), { received: 1000, lost: [] });
  });

  test(`messages arrive behind one whose memory was transferred, Node ${major}`, async () => {
    for (const pooled of [true, false]) {
      const { code, stdout, stderr } = await runProgram(detachMessages, [pooled], on());
      assert.deepEqual([code, stderr], [0, '']);
      assert.deepEqual(JSON.parse(stdout), { received: 60, bad: [] });
    }
  });

  test(`a listener that writes over all of a lent ArrayBuffer harms nobody else, Node ${major}`, async () => {
    const { code, signal, stdout, stderr } = await runProgram(overwriteAll, [], on());
    assert.deepEqual([code, signal, stderr, stdout], [0, null, '', 'secret,secret,secret,secret,secret\n']);
  });

  test(`borrowed Buffers work with Node's and the Web's interfaces, Node ${major}`, async () => {
    const { code, stdout, stderr } = await runProgram(useBorrowed, [], on());
    assert.deepEqual([code, stderr], [0, '']);
    assert.deepEqual(JSON.parse(stdout), { ways: 14, wrong: [] });
  });
}

async function useBorrowed(): Promise<void> {
  const { createSocket } = await import('ksocket');
  const { once } = await import('node:events');
  const [crypto, fs, net, zlib] = await Promise.all([
    import('node:crypto'),
    import('node:fs'),
    import('node:net'),
    import('node:zlib'),
  ]);
  const text = 'a datagram '.repeat(20);
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const file = fs.openSync('/dev/null', 'w');
  const server = net.createServer((connection) => connection.pipe(connection)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connection = net.connect((server.address() as { port: number }).port, '127.0.0.1');
  await once(connection, 'connect');
  const echoed = once(connection, 'data');
  const sha = (data: Buffer | string) => crypto.createHash('sha256').update(data).digest('hex');

  const ways: Record<string, (data: Buffer) => unknown> = {
    'fs.writeSync': (data) => fs.writeSync(file, data) === text.length,
    'net.Socket.write': (data) => connection.write(data),
    createHash: (data) => sha(data) === sha(text),
    createHmac: (data) => crypto.createHmac('sha1', data).update(data).digest().length === 20,
    'zlib.gzipSync': (data) => zlib.gunzipSync(zlib.gzipSync(data)).toString() === text,
    TextDecoder: (data) => new TextDecoder().decode(data) === text,
    toString: (data: Buffer) => data.toString() === text,
    Response: async (data) => (await new Response(new Response(data as never).body as never).text()) === text,
    Blob: async (data) => (await new Blob([data as never]).text()) === text,
    'crypto.subtle': async (data) =>
      (await globalThis.crypto.subtle.digest('SHA-256', data as never)).byteLength === 32,
    structuredClone: (data) => Buffer.from(structuredClone(data)).toString() === text,
    'Buffer.concat': (data) => Buffer.concat([data, data]).length === 2 * text.length,
    'socket.send': (data) => socket.send(data, 9, '127.0.0.1'),
    DataView: (data) => new DataView(data.buffer, data.byteOffset, data.length).getUint8(0) === 97,
  };
  const wrong: unknown[] = [];
  let count = 0;
  socket.send(text, socket.address().port, '127.0.0.1');
  const [batch] = await new Promise<[unknown]>((resolve) => {
    socket.once('batch', (given) => {
      const checks = Object.entries(ways).map(async ([name, way]) => {
        count++;
        try {
          if ((await way(given.data(0))) === false) wrong.push(name);
        } catch (error) {
          wrong.push(`${name}: ${error}`);
        }
      });
      Promise.all(checks).then(() => resolve([given]));
    });
  });
  if (batch === undefined) wrong.push('no batch');
  if ((await echoed)[0].toString() !== text) wrong.push('net.Socket.write wrote something else');
  console.log(JSON.stringify({ ways: count, wrong }));
  process.exit();
}

/** All bytes that can be reached through a borrowed Buffer are overwritten while another socket's datagrams are staged. */
async function overwriteAll(): Promise<void> {
  const { createSocket } = await import('ksocket');
  const { once } = await import('node:events');
  const { default: dgram } = await import('node:dgram');
  const [lent, other, sink] = [createSocket('udp4'), createSocket('udp4'), dgram.createSocket('udp4')];
  for (const socket of [lent, other, sink]) {
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
  }
  const got: string[] = [];
  sink.on('message', (data) => {
    got.push(data.toString());
    if (got.length < 5) return;
    console.log(got.join());
    process.exit();
  });
  lent.on('batch', (batch) => {
    // On a busy machine several come together.
    for (let i = 0; i < batch.length; i++) other.send('secret', sink.address().port, '127.0.0.1');
    new Uint8Array(batch.data(0).buffer).fill(255);
  });
  for (let i = 0; i < 5; i++) {
    lent.send('x'.repeat(100), lent.address().port, '127.0.0.1');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
