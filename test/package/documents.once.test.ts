// The programs in README.md and docs/ are programs: each JavaScript block of them runs, in a network of its own.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, root } from '../support/child.js';
import { install } from '../support/clients.js';
import { inNamespace } from '../support/namespace.js';
import { test } from '../support/test.js';

const documents = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];

/** Compiled, and beside each program. */
const examples = join(root, 'build-test/programs');

/** A program that goes on for ever ends after this: what it does at its start has worked by then. */
const RUNS_MS = 1500;
const ends = `data:text/javascript,${encodeURIComponent(`setTimeout(() => process.exit(), ${RUNS_MS}).unref();`)}`;
/** The addresses that they name. */
const network = 'ip link set lo up && ip address add 192.0.2.1/24 dev lo';

/** Before a program that wants a server of NATS: one that ends with it, and the stream of docs/collect.md. */
const nats = `
import { spawn } from 'node:child_process';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
const server = spawn('nats-server', ['-a', '127.0.0.1', '-js', '-sd', 'nats'], { stdio: 'ignore' });
server.unref();
process.on('exit', () => server.kill('SIGKILL'));
for (;;) {
  try {
    const connection = await connect({ servers: '127.0.0.1:4222', timeout: 1000 });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: 'LOGS', subjects: ['syslog.>'], num_replicas: 1, max_bytes: 10e9 });
    await connection.close();
    break;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
`;

interface Block {
  document: string;
  line: number;
  code: string;
}

function blocksOf(document: string): Block[] {
  const text = readFileSync(join(root, document), 'utf8');
  return [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(({ 1: code, index }) => ({
    document,
    line: text.slice(0, index).split('\n').length,
    code,
  }));
}

const blocks = documents.flatMap(blocksOf);

test('there are programs in the documents', () => {
  assert.ok(blocks.filter(({ document }) => document === 'README.md').length >= 5);
});

for (const { document, line, code } of blocks) {
  test(`${document}, line ${line}`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ksocket-test-'));
    try {
      mkdirSync(join(directory, 'node_modules'));
      symlinkSync(root, join(directory, 'node_modules/ksocket'));
      for (const name of readdirSync(examples)) symlinkSync(join(examples, name), join(directory, name));
      writeFileSync(join(directory, 'program.mjs'), code);
      const preloads = ['--import', ends];
      if (code.includes('nats://')) {
        await install('nats-server', 'nats-server');
        symlinkSync(join(root, 'node_modules/@nats-io'), join(directory, 'node_modules/@nats-io'));
        writeFileSync(join(directory, 'nats.mjs'), nats);
        preloads.unshift('--import', './nats.mjs');
      }
      const [command, ...before] = inNamespace(network);
      const args = [...before, process.execPath, ...preloads, 'program.mjs'];
      await using child = new Child(command, args, { cwd: directory, env: { KSOCKET_ENGINE: undefined } });
      const { code: status, stderr } = await child.end();
      assert.deepEqual([status, stderr], [0, '']);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}
