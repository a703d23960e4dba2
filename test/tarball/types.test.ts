// The manifest and the types, as the tools see them that people check packages with.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { root } from '../support/child.js';
import { test } from '../support/test.js';
import { Consumer, tarball } from './consumer.js';
import { tool } from './tools.js';

test('publint finds nothing, in its strict way', async () => {
  using consumer = new Consumer();
  const publint = tool('publint@0.3', 'publint/src/cli.js');
  const output = await consumer.runWell(process.execPath, [publint, 'run', tarball, '--strict']);
  assert.match(output, /All good!/);
});

test('every way to resolve a module of ours finds its types: node16 and bundlers, of ECMAScript modules', async () => {
  using consumer = new Consumer();
  const attw = tool('@arethetypeswrong/cli@0.18', '@arethetypeswrong/cli/dist/index.js');
  const args = [attw, tarball, '--profile', 'esm-only', '--no-emoji', '--format', 'table-flipped'];
  const { code, stdout, stderr } = await consumer.run(process.execPath, args);
  assert.equal(code, 0, stdout + stderr);
  for (const entry of ['monitor', 'systemd', 'collect', 'consume']) {
    assert.match(stdout, new RegExp(`"ksocket/${entry}".* OK \\(ESM\\)`));
  }
});

const program = `
import { type Batch, createServer, createSocket, features, slot, type Socket } from 'ksocket';
import { createMonitor } from 'ksocket/monitor';
import unix, { type UnixDgramSocket } from 'ksocket/unix-dgram';
import { sdNotify, systemdSockets } from 'ksocket/systemd';
import { type CollectedDatagram, createCollector, jetstream, type Sink } from 'ksocket/collect';
import { consume } from 'ksocket/consume';
import 'ksocket/register';
const socket: Socket = createSocket({ type: 'udp4', receiveTtl: true }, (message: Buffer, { address, ttl }) => {
  socket.send(message, 9, address);
  void (ttl satisfies number | undefined);
});
socket.on('batch', (batch: Batch) => void (batch.reply(0, 'x') satisfies unknown));
socket.sendMany([Buffer.alloc(1)], socket.peer('127.0.0.1', 9)) satisfies number;
const server = createServer({ rules: [{ match: { prefix: 'x' }, action: { reply: [slot.sourceAddress()] } }] });
createMonitor({ servers: [server] });
for (const { fd } of systemdSockets()) createServer({ fd });
sdNotify({ ready: true, status: 'x' }) satisfies Promise<boolean>;
features().gro satisfies boolean;
const local: UnixDgramSocket = unix.createSocket('unix_dgram', (_: Buffer, { path }) => void (path satisfies string | null));
local.send(Buffer.alloc(1), (error) => void (error?.code satisfies number | undefined));
unix.createSocket('udp4').unref() satisfies Socket;
const sink: Sink = jetstream({ servers: 'nats://127.0.0.1', stream: 'S', subject: ({ port }) => String(port) });
createCollector({ port: 0, sink, shards: 2, batch: { ms: 5 } }).stats().socket.rxKernelDrops satisfies number;
const consumed: AsyncIterable<CollectedDatagram> = consume({ servers: ['a'], stream: 'S', durable: 'd' });
void consumed;
`;

for (const [moduleResolution, module] of [
  ['nodenext', 'nodenext'],
  ['bundler', 'esnext'],
]) {
  test(`a strict program compiles against what is packed: ${moduleResolution}`, async () => {
    using consumer = new Consumer();
    await consumer.install();
    consumer.write('program.ts', program);
    const compilerOptions = {
      target: 'es2023',
      lib: ['es2023', 'esnext.disposable'],
      module,
      moduleResolution,
      typeRoots: [join(root, 'node_modules/@types')],
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
    };
    consumer.write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['program.ts'] }));
    const tsc = join(root, 'node_modules/.bin/tsc');
    const { code, stdout } = await consumer.run(tsc, ['-p', '.'], { compilers: true });
    const own = stdout.split('\n').filter((line) => /error TS/.test(line) && !/@types\//.test(line));
    assert.deepEqual(own, [], `${code}`);
  });
}
