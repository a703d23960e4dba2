import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Child, root } from '../support/child.js';
import { runClient } from '../support/clients.js';
import { test } from '../support/test.js';

const program = join(root, 'build-test/programs/counter.js');

/** Sends a line with socat. */
async function say(line: string, to: string): Promise<void> {
  const { code, stderr } = await runClient('socat', 'socat', '-u', `SYSTEM:printf ${line}`, to);
  assert.equal(code, 0, stderr);
}

test('the counter counts what its filter lets through, by address', async () => {
  await using child = new Child(process.execPath, [program, '0', 'payload len > 4 and', 'not payload prefix "secret"']);
  const [, port] = await child.line(/^counting at port (\d+)$/);
  for (const line of ['hello', 'no', 'secrets', 'hello-again']) await say(line, `UDP4-SENDTO:127.0.0.1:${port}`);
  await say('hello-six!', `UDP6-SENDTO:[::1]:${port}`);
  await child.line(/^::1: 1 datagrams, 10 bytes$/);
  assert.deepEqual(child.lines.slice(-2), ['::ffff:127.0.0.1: 2 datagrams, 16 bytes', '::1: 1 datagrams, 10 bytes']);
  assert.equal(child.stderr, '');
});

test('a filter that is none is said, with its place', async () => {
  await using child = new Child(process.execPath, [program, '0', 'src port htp']);
  const { code, stderr } = await child.end();
  assert.equal(code, 1);
  assert.match(stderr, /is no filter at character 10: a port is expected, not 'htp'/);
});
