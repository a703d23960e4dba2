// The clients of the examples' tests get the same from servers that answer in the kernel: the files of test/examples/, in a network of
// their own whose `lo` the programs are attached to.
import assert from 'node:assert/strict';
import { Child } from '../support/child.js';
import { kernelTest } from '../support/kernel.js';
import { inNamespace } from '../support/namespace.js';

const examples = { stun: 3, sntp: 1, 'dns-sinkhole': 2, echo: 2 };

for (const [name, tests] of Object.entries(examples)) {
  kernelTest(`the clients of the example ${name} are content with the kernel's answers`, async () => {
    const file = `build-test/examples/${name}.once.test.js`;
    const [command, ...args] = [...inNamespace('ip link set lo up'), process.execPath, '--test-reporter=tap', file];
    await using child = new Child(command, args, { env: { KSOCKET_TEST_KERNEL: '1' }, deadlineMs: 80_000 });
    const { code, stdout, stderr } = await child.end();
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.match(stdout, new RegExp(`^# pass ${tests}$`, 'm'));
  });
}
