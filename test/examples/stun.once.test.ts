import assert from 'node:assert/strict';
import { runClient } from '../support/clients.js';
import { startBlocked } from '../support/examples.js';
import { test } from '../support/test.js';

for (const address of ['127.0.0.1', '::1']) {
  test(`coturn's client learns its address from the STUN server on ${address}, whose loop is blocked`, async () => {
    const { child, port } = await startBlocked('stun', 'stunServer', { address });
    await using _ = child;
    const { code, stdout } = await runClient('coturn', 'turnutils_stunclient', '-p', `${port}`, address);
    assert.equal(code, 0);
    // The client binds to any address, so it only knows the port of its own.
    const [, mapped, mappedPort] = /UDP reflexive addr: (.+):(\d+)$/m.exec(stdout) ?? [];
    assert.equal(mapped, address, stdout);
    assert.ok(Number(mappedPort) > 0 && Number(mappedPort) !== port, stdout);
  });
}
