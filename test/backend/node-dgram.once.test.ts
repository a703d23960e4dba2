// Sockets without the addon and node:dgram's own, side by side, as test/dgram/differential.test.ts has them with it.
import assert from 'node:assert/strict';
import { test as longTest } from 'node:test';
import { traces } from '../dgram/cluster-traces.js';
import { nodeBinary } from '../dgram/nodes.js';
import { Child, root } from '../support/child.js';
import { test } from '../support/test.js';

const SCRIPTS = Number(process.env.KSOCKET_SCRIPTS ?? 300);
const SEED = Number(process.env.KSOCKET_SEED ?? 2026);
const DEADLINE_MS = 85_000 + SCRIPTS * 10;

/** They look at `_handle.fd`, bind to a handle, or to the descriptor of a file: docs/backends.md. */
const ABOUT_DESCRIPTORS = [
  'bind(handle)',
  'bind({ fd }) of something else',
  'the state of a socket',
  'the state of a socket that could not be bound',
  'who looks at the descriptor opens the port to nobody',
  'a handle that was taken before bind()',
  '_reuseAddr may be set',
  '_stopReceiving()',
];

for (const version of [20, 26]) {
  void longTest(
    `without the addon all cases but those about descriptors, and random scripts, are as node:dgram's on node ${version}`,
    { timeout: DEADLINE_MS },
    async () => {
      const args = ['--scripts', `${SCRIPTS}`, '--seed', `${SEED + version}`];
      const without = ABOUT_DESCRIPTORS.flatMap((name) => ['--without', name]);
      await using child = new Child(nodeBinary(version), ['build-test/dgram/differential.js', ...args, ...without], {
        cwd: root,
        deadlineMs: DEADLINE_MS,
        env: { KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: undefined },
        execArgv: [],
      });
      const { code, stdout } = await child.end();
      assert.equal(code, 0, stdout);
      assert.match(stdout, /^1\d\d cases and \d+ random scripts .* 0 differ$/m);
    },
  );
}

test("without the addon a cluster's workers share, disconnect and end as with node:dgram", async () => {
  const env = { KSOCKET_BACKEND: 'dgram', KSOCKET_ENGINE: undefined };
  const plain = await traces(20, []);
  assert.ok(Object.keys(plain).length > 60);
  const flags = ['--import', 'ksocket/register', '--disable-warning=ExperimentalWarning'];
  assert.deepEqual(await traces(20, flags, [], env), plain);
});
