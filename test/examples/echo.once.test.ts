import assert from 'node:assert/strict';
import { runClient, sayLine } from '../support/clients.js';
import { exampleOf, startBlocked } from '../support/examples.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

test('socat gets its line back from an echo server whose loop is blocked', async () => {
  const { child, port } = await startBlocked('echo', 'echoServer', {});
  await using _ = child;
  assert.equal(await sayLine('hello', port), 'hello');
});

test('a shell that sends more than the limit is echoed only what the limit lets through', async () => {
  const server = (await exampleOf('echo', 'echoServer'))({
    address: '127.0.0.1',
    port: 0,
    limits: { perSource: { rate: 1, burst: 5 } },
  });
  await server.start();
  try {
    // Each echo is a datagram. head reads whole ones; the shell's own `read` would cut them to their first byte.
    const script = `exec 3<>/dev/udp/127.0.0.1/${server.address()?.port}
      for i in {1..20}; do echo "line $i" >&3; done
      head -n 5 <&3`;
    const { code, stdout } = await runClient('bash', 'bash', '-c', script);
    assert.equal(code, 0);
    assert.equal(stdout, 'line 1\nline 2\nline 3\nline 4\nline 5\n');
    // A bucket that refills once a second may let one more pass on a slow machine.
    await waitFor(() => server.stats().rxDatagrams === 20);
    assert.ok(server.stats().answering.limited >= 10, `${server.stats().answering.limited} of 20`);
  } finally {
    await server.stop();
  }
});
