// The largest batch, of datagrams that the kernel has joined: a reader has a limit of datagrams.
import assert from 'node:assert/strict';
import { readFrame, SOURCE_BYTES } from '../../build-lib/collect/frame.js';
import { Pack } from '../../build-lib/collect/pack.js';
import { test } from '../support/test.js';

const BATCH_BYTES = 8 * 1024 * 1024;
const JOINED = 128;

test('a batch as large as it may be, full of datagrams of one byte, is read', () => {
  const pack = new Pack(1n, 1, '', 0, new Uint8Array(BATCH_BYTES));
  const source = pack.addSource((out, at) => out.fill(0, at, at + SOURCE_BYTES).fill(4, at + 4, at + 5));
  while (pack.fits(JOINED, BATCH_BYTES, 1)) pack.add(source, 1, 0, JOINED, 1, 1);
  assert.ok(pack.count > 4_000_000);
  assert.equal(readFrame(pack.bytes).count, pack.count);
});
