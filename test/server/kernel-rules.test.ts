// Rules that heed what the kernel says, as another host sees their answers: each case of kernel-rules.ts in a network of
// its own.
import assert from 'node:assert/strict';
import { Child } from '../support/child.js';
import { inNamespace } from '../support/namespace.js';
import { test } from '../support/test.js';
import { cases } from './kernel-rules.js';

for (const name of Object.keys(cases)) {
  test(`rules and the kernel: ${name}`, async () => {
    const [command, ...args] = [...inNamespace('true'), process.execPath, 'build-test/server/kernel-rules.js', name];
    await using child = new Child(command, args);
    const { code, stdout, stderr } = await child.end();
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.equal(stdout, `${name}: done\n`);
  });
}
