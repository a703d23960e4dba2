// What rests on how a version of Node keeps async contexts, streams and timers, on the Nodes that this is not.
import assert from 'node:assert/strict';
import { Child, root } from '../support/child.js';
import { test } from '../support/test.js';
import { nodeBinary } from './nodes.js';

const FILES = ['dgram/context', 'socket/lone-datagrams'];
const DEADLINE_MS = 90_000;

for (const major of [22, 24, 26]) {
  for (const file of FILES) {
    test(`${file} on Node ${major}`, async () => {
      const command = ['--test-reporter=tap', `build-test/${file}.test.js`];
      await using child = new Child(nodeBinary(major), command, { cwd: root, deadlineMs: DEADLINE_MS });
      const { code, stdout } = await child.end();
      assert.equal(code, 0, stdout);
      assert.match(stdout, /^# pass [1-9]/m);
    });
  }
}
