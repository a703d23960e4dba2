// Every flag that makes Node say more about what is deprecated, on every Node: it says nothing about ksocket.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Child, root } from '../support/child.js';
import { startSender } from '../support/programs.js';
import { test } from '../support/test.js';
import { nodeBinary } from './nodes.js';

const programs = join(root, 'build-test/dgram/programs');
const nodes = [20, 22, 24, 26];

interface Way {
  name: string;
  flags: string[];
  env?: Record<string, string>;
}

const ways: Way[] = [
  { name: '--pending-deprecation', flags: ['--pending-deprecation', '--trace-warnings'] },
  { name: '--pending-deprecation --throw-deprecation', flags: ['--pending-deprecation', '--throw-deprecation'] },
  { name: 'NODE_PENDING_DEPRECATION=1', flags: ['--trace-deprecation'], env: { NODE_PENDING_DEPRECATION: '1' } },
];

async function output(node: number, { flags, env = {} }: Way, command: string[]): Promise<string> {
  const options = { env: { NODE_OPTIONS: '', ...env } };
  await using child = new Child(nodeBinary(node), [...flags, ...command], options);
  const { stdout, ...end } = await child.end();
  assert.deepEqual(end, { code: 0, signal: null, stderr: '' }, stdout);
  return stdout;
}

for (const node of nodes) {
  for (const way of ways) {
    test(`${way.name} is silent about sockets, servers, monitors and workers on node ${node}`, async () => {
      assert.equal(await output(node, way, [join(programs, 'everything.js')]), 'done\n');
    });
  }

  const strict: Way = { name: '', flags: ['--pending-deprecation', '--throw-deprecation', '--trace-warnings'] };

  test(`programs under ksocket/register run with deprecations thrown as without on node ${node}`, async () => {
    for (const way of ['--import', '--require']) {
      for (const program of ['use', 'worker', 'cluster', 'ipc-odd']) {
        const path = join(programs, `${program}.js`);
        const plain = await output(node, { name: '', flags: [] }, [path]);
        const found = await output(node, strict, [way, 'ksocket/register', path]);
        assert.equal(found.replaceAll('"ksocket":true', '"ksocket":false'), plain, program);
      }
    }
  });

  test(`the command runs with deprecations thrown on node ${node}`, async () => {
    assert.match(await output(node, strict, ['dist/cli/main.js', 'info']), /engine/);
    assert.equal(await output(node, strict, ['dist/cli/main.js', 'send', 'x', '--to', '127.0.0.1:9']), '');
    const serve = ['dist/cli/main.js', 'serve', '--port', '0', '--echo', '--monitor', '0'];
    await using child = new Child(nodeBinary(node), [...strict.flags, ...serve]);
    const [, port] = await child.line(/listening on port (\d+)/);
    await child.line(/monitor on/);
    await using sender = startSender({ port: Number(port), count: 100, bytes: 8 }); // several in one turn
    assert.equal((await sender.end()).code, 0);
    await child.line(/received 8 bytes/);
    child.kill('SIGTERM');
    const { code, stderr } = await child.end();
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  });
}
