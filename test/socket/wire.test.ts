// What is said beside a datagram, both ways, as another host sees it: each case of wire.ts in a network of its own.
import assert from 'node:assert/strict';
import { Child } from '../support/child.js';
import { inNamespace } from '../support/namespace.js';
import { test } from '../support/test.js';
import { cases } from './wire.js';

for (const name of Object.keys(cases)) {
  test(`on the wire: ${name}`, async () => {
    const [command, ...args] = [...inNamespace('true'), process.execPath, 'build-test/socket/wire.js', name];
    await using child = new Child(command, args);
    const { code, stdout, stderr } = await child.end();
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.equal(stdout, `${name}: done\n`);
  });
}
