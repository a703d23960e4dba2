// Files of a directory that another process writes to at the same time, in spite of what is said about prefixes.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pcapng } from 'ksocket/collect';
import { batchOf, Folder, large, never, OPENING, readWithTshark } from '../support/captures.js';
import { test } from '../support/test.js';

test('a file that somebody else has finished meanwhile is not written over', async () => {
  using folder = new Folder();
  const sink = pcapng({ dir: folder.path, rotate: { bytes: 65_536 } });
  await sink.open(OPENING);
  const now = Date.now();
  const others = Array.from({ length: 20 }, (_, s) => {
    const time = new Date(now + s * 1000).toISOString().replace(/\.\d+|[-:]/g, '');
    return join(folder.path, `ksocket-${time}-000002.pcapng`);
  });
  for (const other of others) writeFileSync(other, 'precious');
  for (let i = 0; i < 3; i++) await sink.write(batchOf([large]), never);
  await sink.close();
  for (const other of others) assert.equal(readFileSync(other, 'utf8'), 'precious');
  const mine = folder.files.filter((file) => !file.includes('-000002'));
  assert.equal(mine.length, 3);
  for (const file of mine) assert.equal(readWithTshark(join(folder.path, file)).length, 1);
});
