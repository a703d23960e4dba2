// Answers in the kernel while rules, lists and limits are swapped. Each case of updates.ts in a network of its own.
import assert from 'node:assert/strict';
import { Child } from '../support/child.js';
import { kernelTest } from '../support/kernel.js';
import { inNamespace } from '../support/namespace.js';
import { cases } from './updates.js';

for (const name of Object.keys(cases)) {
  kernelTest(`in the kernel: ${name}`, async () => {
    const [command, ...args] = [...inNamespace('true'), process.execPath, 'build-test/kernel/updates.js', name];
    await using child = new Child(command, args, { deadlineMs: 80_000 });
    const { code, stdout, stderr } = await child.end();
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.equal(stdout, `${name}: done\n`);
  });
}
