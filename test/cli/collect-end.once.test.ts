// `ksocket collect` into files that cannot be finished: it says so in a line, and what was written is there.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { capturesIn, Folder, readWithTshark } from '../support/captures.js';
import { startCli } from '../support/child.js';
import { bound, Sockets, sent } from '../support/peer.js';
import { test } from '../support/test.js';
import { waitFor } from '../support/wait.js';

test('a file that does not get its name: a line, 1, and all of it is readable', async () => {
  using folder = new Folder();
  const dir = join(folder.path, 'captures');
  await using child = startCli(['collect', '--port', '0', '--address', '127.0.0.1', '--to', dir]);
  const port = () => Number(/:(\d+), pcapng/.exec(child.stdout)?.[1]);
  await waitFor(() => port() > 0, 'it listens');
  await using sockets = new Sockets();
  const client = sockets.makePeer();
  await bound(client);
  await sent(client, 'x', port());
  const [file] = capturesIn(dir);
  mkdirSync(join(dir, file.replace(/\.part$/, '')));
  child.kill('SIGTERM');
  const { code, stdout, stderr } = await child.end();
  assert.equal(code, 1);
  assert.match(stderr, /^ksocket: pcapng in .*: E\w+: .*rename.*\n$/);
  assert.match(stdout, /received 1, delivered 1, dropped 0\n$/);
  assert.equal(readWithTshark(join(dir, file)).length, 1);
});
